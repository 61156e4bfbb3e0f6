/**
 * What differs between the signals on the wire of OTLP/HTTP: paths, messages and the names of
 * counts. It is data alone; every step of a request is the same for all of them.
 */
import type { Signal } from '../schemas/archive.ts';

/** How one signal is sent and answered (OTLP 1.11, "OTLP/HTTP Request"). */
export interface SignalWire {
  readonly signal: Signal;
  readonly path: `/v1/${Signal}`;
  /** The message of a request, in `otlpMessages`. */
  readonly request: string;
  /** What a person calls its items. */
  readonly items: string;
  /** The field of `partial_success` that counts rejected items, number 1 in each signal's message. */
  readonly rejectedName: string;
}

export const signalWires: Readonly<Record<Signal, SignalWire>> = {
  traces: {
    signal: 'traces',
    path: '/v1/traces',
    request: 'ExportTraceServiceRequest',
    items: 'spans',
    rejectedName: 'rejectedSpans',
  },
  metrics: {
    signal: 'metrics',
    path: '/v1/metrics',
    request: 'ExportMetricsServiceRequest',
    items: 'data points',
    rejectedName: 'rejectedDataPoints',
  },
  logs: {
    signal: 'logs',
    path: '/v1/logs',
    request: 'ExportLogsServiceRequest',
    items: 'log records',
    rejectedName: 'rejectedLogRecords',
  },
};
