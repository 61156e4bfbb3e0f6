/**
 * Turns OTLP bytes into rows of ClickHouse with the WebAssembly transcoder, of which an isolate
 * keeps one. It never keeps a view of its memory: rows are copied out.
 */
import { Transcoder } from '../aggregator-as/host.ts';
import type { Receipt, Tally } from '../aggregator-as/host.ts';

export interface Transcoded {
  readonly tally: Tally;
  /** RowBinary of `otel_traces`, a copy. */
  readonly rows: Uint8Array;
}

/**
 * Makes the step, and the transcoder at its first use. The step throws `DecodeError` for bytes
 * that are no ExportTraceServiceRequest, and CAPACITY when the rows do not fit its memory.
 */
export function transcodeWith(
  module: WebAssembly.Module,
): (otlp: Uint8Array, receipt: Receipt) => Transcoded {
  let transcoder: Transcoder | undefined;
  return (otlp, receipt) => {
    transcoder ??= new Transcoder(module);
    const { rows, ...tally } = transcoder.tracesToRowBinary(otlp, receipt);
    return { tally, rows: rows.slice() };
  };
}
