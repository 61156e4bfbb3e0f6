/**
 * Turns OTLP bytes into rows of ClickHouse with the WebAssembly transcoder, of which an isolate
 * keeps one. Rows stay in its memory: whoever wants them later, when another request has used that, has
 * them made again, which is the same rows.
 */
import { Transcoder } from '../aggregator-as/host.ts';
import type { Receipt, Tally } from '../aggregator-as/host.ts';
import type { Signal } from '../schemas/archive.ts';
import type { LazyRows } from './fanout.ts';
import { TidemarkError } from '../schemas/errors.ts';
import type { Lease } from './lease.ts';

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

const pageBytes = 65_536;

/**
 * Makes the step, and the transcoder at its first use, which never needs more than `bytesMax` for
 * a request, its rows and what is between, and rejects items of more than `attributesMax`. The step throws `DecodeError` for bytes
 * that are no request of the signal, CAPACITY when the rows do not fit its memory, and OVERLOADED when
 * the runtime's copies of them do not fit `lease`.
 */
export function transcodeWith(
  module: WebAssembly.Module,
  bytesMax: number,
  attributesMax: number,
): (signal: Signal, otlp: Uint8Array, receipt: Receipt, lease: Lease) => Transcoded {
  const pagesMax = Math.floor(bytesMax / pageBytes);
  let transcoder: Transcoder | undefined;
  /** Counts what was transcoded: whose rows lie in its memory. */
  let edition = 0;
  return (signal, otlp, receipt, lease) => {
    transcoder ??= new Transcoder(module, { pagesMax, attributesMax });
    const own = transcoder;
    let made = (edition += 1);
    const { tables, ...tally } = rowsOf(own, signal, otlp, receipt);
    const digest = own.digest();
    lease.take(tables.reduce((sum, { rows }) => sum + rows.length, 0));
    let latest = tables;
    const rowsAt = (index: number) => (): Uint8Array => {
      if (made !== edition) {
        made = edition += 1;
        latest = own.toRowBinary(signal, otlp, receipt).tables;
      }
      const rows = latest[index]?.rows;
      if (rows === undefined) throw new Error('Bug: a request has other tables than before');
      return rows;
    };
    const lazy = tables.map((table, index) => ({ ...table, rows: rowsAt(index) }));
    return { tally, tables: lazy, digest };
  };
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
