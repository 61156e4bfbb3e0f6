/** Small requests of each signal in OTLP/JSON, for tests that hold for all of them alike. */
import type { Signal } from '../../schemas/archive.ts';
import type { SpeedTable } from '../../schemas/tables.ts';
import { nowMs, span } from './stack.ts';

/** One signal, as a test needs it. */
export interface Sample {
  readonly signal: Signal;
  readonly path: string;
  /** Messages of the request and of its answer. */
  readonly request: string;
  readonly response: string;
  /** Names of OTLP 1.11 for the count of rejected items, in JSON. */
  readonly rejected: string;
  readonly topic: string;
  /** Where the rows of `item` go. */
  readonly table: SpeedTable;
  /** A valid item; `index` tells items apart. */
  readonly item: (index: number) => object;
  /** An item that breaks the protocol. */
  readonly bad: () => object;
  /** A valid item of another age. */
  readonly old: () => object;
  /** A valid item with these attributes. */
  readonly with: (attributes: readonly object[]) => object;
  /** A request's fields around these items. */
  readonly around: (items: readonly object[]) => object;
  /** JSON with a fault, and the path to it. */
  readonly fault: readonly [json: string, path: string];
}

const nowNs = `${nowMs}000000`;

export const samples: readonly Sample[] = [
  {
    signal: 'traces',
    path: '/v1/traces',
    request: 'ExportTraceServiceRequest',
    response: 'ExportTraceServiceResponse',
    rejected: 'rejectedSpans',
    topic: 'otlp_spans',
    table: 'otel_traces',
    item: (index) => span(index),
    bad: () => span(0, { traceId: '00' }),
    old: () => span(0, { startTimeUnixNano: '5' }),
    with: (attributes) => span(0, { attributes }),
    around: (spans) => ({ resourceSpans: [{ scopeSpans: [{ spans }] }] }),
    fault: [
      '{"resourceSpans":[{},{"scopeSpans":[{"spans":[{"kind":true}]}]}]}',
      'resourceSpans[1].scopeSpans[0].spans[0].kind',
    ],
  },
  {
    signal: 'metrics',
    path: '/v1/metrics',
    request: 'ExportMetricsServiceRequest',
    response: 'ExportMetricsServiceResponse',
    rejected: 'rejectedDataPoints',
    topic: 'otlp_metrics',
    table: 'otel_metrics_gauge',
    item: (index) => gauge({ timeUnixNano: nowNs, asInt: String(index) }),
    // OTLP 1.11, metrics.proto: a point without a time should be rejected.
    bad: () => gauge({ timeUnixNano: '0', asInt: '1' }),
    old: () => gauge({ timeUnixNano: '5', asInt: '1' }),
    with: (attributes) => gauge({ timeUnixNano: nowNs, asInt: '1', attributes }),
    around: (metrics) => ({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }),
    fault: [
      '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asInt":"x"}]}}]}]}]}',
      'resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[0].asInt',
    ],
  },
  {
    signal: 'logs',
    path: '/v1/logs',
    request: 'ExportLogsServiceRequest',
    response: 'ExportLogsServiceResponse',
    rejected: 'rejectedLogRecords',
    topic: 'otlp_logs',
    table: 'otel_logs',
    item: (index) => line({ body: { stringValue: `line ${index}` } }),
    bad: () => line({ traceId: '00' }),
    old: () => line({ timeUnixNano: '5', observedTimeUnixNano: '5' }),
    with: (attributes) => line({ attributes }),
    around: (logRecords) => ({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] }),
    fault: [
      '{"resourceLogs":[{"scopeLogs":[{},{"logRecords":[{"severityNumber":[]}]}]}]}',
      'resourceLogs[0].scopeLogs[1].logRecords[0].severityNumber',
    ],
  },
];

function gauge(point: object): object {
  return { name: 'queue.length', gauge: { dataPoints: [point] } };
}

function line(fields: object): object {
  return { timeUnixNano: nowNs, severityNumber: 9, ...fields };
}
