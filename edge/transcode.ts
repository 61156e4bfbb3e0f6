/**
 * Turns OTLP bytes into rows of ClickHouse with the WebAssembly transcoder, of which an isolate
 * keeps one. It never keeps a view of its memory: rows are copied out.
 */
import { Transcoder } from '../aggregator-as/host.ts';
import type { Receipt, TableRows, Tally } from '../aggregator-as/host.ts';
import type { Signal } from '../schemas/archive.ts';

export interface Transcoded {
  readonly tally: Tally;
  /** Rows by table, copies; none when every valid item is quarantined. */
  readonly tables: readonly TableRows[];
}

/**
 * Makes the step, and the transcoder at its first use. The step throws `DecodeError` for bytes
 * that are no request of the signal, and CAPACITY when the rows do not fit its memory.
 */
export function transcodeWith(
  module: WebAssembly.Module,
): (signal: Signal, otlp: Uint8Array, receipt: Receipt) => Transcoded {
  let transcoder: Transcoder | undefined;
  return (signal, otlp, receipt) => {
    transcoder ??= new Transcoder(module);
    const { tables, ...tally } = transcoder.toRowBinary(signal, otlp, receipt);
    return { tally, tables: tables.map((table) => ({ ...table, rows: table.rows.slice() })) };
  };
}
