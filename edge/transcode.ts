/**
 * Turns OTLP bytes into rows of ClickHouse with the WebAssembly transcoder, of which an isolate
 * keeps one. It never keeps a view of its memory: rows are copied out.
 */
import { Transcoder } from '../aggregator-as/host.ts';
import type { Receipt, TableRows, Tally } from '../aggregator-as/host.ts';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import type { Lease } from './lease.ts';

export interface Transcoded {
  readonly tally: Tally;
  /** Rows by table, copies; none when every valid item is quarantined. */
  readonly tables: readonly TableRows[];
  /** Names the request: equal whenever the tenant sends the same bytes for the signal. */
  readonly digest: string;
}

const pageBytes = 65_536;

/**
 * Makes the step, and the transcoder at its first use, which never needs more than `bytesMax` for
 * a request, its rows and what is between, and rejects items of more than `attributesMax`. The step throws `DecodeError` for bytes
 * that are no request of the signal, CAPACITY when the rows do not fit its memory, and OVERLOADED when
 * their copies do not fit `lease`.
 */
export function transcodeWith(
  module: WebAssembly.Module,
  bytesMax: number,
  attributesMax: number,
): (signal: Signal, otlp: Uint8Array, receipt: Receipt, lease: Lease) => Transcoded {
  const pagesMax = Math.floor(bytesMax / pageBytes);
  let transcoder: Transcoder | undefined;
  return (signal, otlp, receipt, lease) => {
    transcoder ??= new Transcoder(module, { pagesMax, attributesMax });
    const { tables, ...tally } = rowsOf(transcoder, signal, otlp, receipt);
    const digest = transcoder.digest();
    lease.take(tables.reduce((sum, { rows }) => sum + rows.length, 0));
    const copies = tables.map((table) => ({ ...table, rows: table.rows.slice() }));
    return { tally, tables: copies, digest };
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
