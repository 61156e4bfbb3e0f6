/**
 * Turns OTLP bytes into rows of ClickHouse with the WebAssembly transcoder, of which an isolate
 * keeps one. Rows stay in its memory: whoever wants them later, when another request has used that, has
 * them made again, which is the same rows.
 */
import { crc32 } from 'node:zlib';
import { Transcoder } from '../aggregator-as/host.ts';
import type { Receipt, Tally } from '../aggregator-as/host.ts';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { placedBytesMax } from '../schemas/limits.ts';
import type { LazyRows } from './fanout.ts';
import type { Lease } from './lease.ts';
import { viewOf } from './lend.ts';
import type { Lent } from './lend.ts';
import type { Inflater } from './receive.ts';
import { inflate, plainGzip } from './receive/inflate.ts';

export interface Transcoded {
  readonly tally: Tally;
  /**
   * Rows by table; none when every valid item is quarantined. What gives them needs the request to be
   * unchanged.
   */
  readonly tables: readonly LazyRows[];
  /** Names the request: equal whenever the tenant sends the same bytes for the signal. */
  readonly digest: string;
}

/** The steps that an isolate's transcoder does. */
export interface Transcoding {
  /**
   * Inflates a gzip body to where it is transcoded, which is the next thing to do with it. What it gives
   * makes the body again once the memory was used for another. Undefined for a body that is too large for
   * that or not the usual one, and for one that is damaged.
   */
  readonly inflate: Inflater;
  /**
   * Throws `DecodeError` for bytes that are no request of the signal, CAPACITY when the rows do not fit
   * its memory, and OVERLOADED when the runtime's copies of them do not fit `lease`.
   */
  readonly transcode: (signal: Signal, otlp: Lent, receipt: Receipt, lease: Lease) => Transcoded;
}

const pageBytes = 65_536;

/** The gzip of nothing. */
const emptyGzip = Uint8Array.of(31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0);

/**
 * Makes the steps, and the transcoder at its first use, which never needs more than `bytesMax` for
 * a request, its rows and what is between, and rejects items of more than `attributesMax`.
 */
export function transcodeWith(
  module: WebAssembly.Module,
  bytesMax: number,
  attributesMax: number,
): Transcoding {
  const pagesMax = Math.floor(bytesMax / pageBytes);
  let kept: Transcoder | undefined;
  const transcoderOf = () => {
    if (kept !== undefined) return kept;
    // The runtime's zlib finds out with the first body which instructions there are for checksums.
    inflate(emptyGzip, 'gzip', 1);
    return (kept = new Transcoder(module, { pagesMax, attributesMax }));
  };
  /** Counts what was inflated and transcoded: whose request or rows lie in its memory. */
  let edition = 0;
  /** What lies there inflated, and as which edition. */
  let placed: { readonly body: () => Uint8Array; readonly edition: number } | undefined;

  const place: Inflater = (sent, inflatedBytesMax) => {
    const gzip = plainGzip(sent);
    if (gzip === undefined || gzip.bytes > Math.min(inflatedBytesMax, placedBytesMax)) {
      return undefined;
    }
    const own = transcoderOf();
    const made = (edition += 1);
    if (!own.inflate(gzip.deflated, gzip.bytes)) return undefined;
    if (crc32(own.inflated()) !== gzip.crc) return undefined;
    let again: Uint8Array | undefined;
    const body = () => {
      if (made === edition) return own.inflated();
      return (again ??= inflate(sent, 'gzip', gzip.bytes));
    };
    placed = { body, edition };
    return body;
  };

  const transcode: Transcoding['transcode'] = (signal, otlp, receipt, lease) => {
    const own = transcoderOf();
    const request = viewOf(otlp);
    const isPlaced = placed?.body === otlp && placed.edition === edition;
    let made = isPlaced ? edition : (edition += 1);
    const { tables, ...tally } = rowsOf(own, signal, request, receipt);
    const digest = own.digest();
    lease.take(tables.reduce((sum, { rows }) => sum + rows.length, 0));
    let latest = tables;
    const rowsAt = (index: number) => (): Uint8Array => {
      if (made !== edition) {
        const again = viewOf(otlp);
        made = edition += 1;
        latest = own.toRowBinary(signal, again, receipt).tables;
      }
      const rows = latest[index]?.rows;
      if (rows === undefined) throw new Error('Bug: a request has other tables than before');
      return rows;
    };
    const lazy = tables.map((table, index) => ({ ...table, rows: rowsAt(index) }));
    return { tally, tables: lazy, digest };
  };
  return { inflate: place, transcode };
}

/** Says what the sender can do about a request that does not fit. */
function rowsOf(transcoder: Transcoder, signal: Signal, otlp: Uint8Array, receipt: Receipt) {
  try {
    return transcoder.toRowBinary(signal, otlp, receipt);
  } catch (error) {
    if (!(error instanceof TidemarkError) || error.code !== 'CAPACITY') throw error;
    throw new TidemarkError('CAPACITY', `${error.message}: send fewer items at once`, {
      cause: error,
    });
  }
}
