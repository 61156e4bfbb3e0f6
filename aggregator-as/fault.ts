/**
 * Words for what the WebAssembly module reports in numbers: decode faults and the first rejection
 * of a call. It never sees the payload, and puts none in a message.
 */
import type { Signal } from '../schemas/archive.ts';
import { DecodeError, TidemarkError } from '../schemas/errors.ts';
import { anyValueDepthMax } from '../schemas/limits.ts';

/** Why an item is refused. */
export type RejectReason =
  | 'trace_id_length'
  | 'trace_id_zero'
  | 'span_id_length'
  | 'span_id_zero'
  | 'parent_span_id_length'
  | 'link_id'
  | 'time_zero'
  | 'temporality_unspecified'
  | 'exemplar_id'
  | 'value_missing'
  | 'bucket_count'
  | 'bounds_order'
  | 'bucket_sum'
  | 'sum_without_count'
  | 'quantile_range'
  | 'quantile_value'
  | 'attributes';

/** Each signal's reasons, in the order in which an item is judged: their numbers in the module. */
export const rejectReasons: Record<Signal, readonly RejectReason[]> = {
  traces: [
    'trace_id_length',
    'trace_id_zero',
    'span_id_length',
    'span_id_zero',
    'parent_span_id_length',
    'link_id',
    'attributes',
  ],
  metrics: [
    'time_zero',
    'temporality_unspecified',
    'exemplar_id',
    'value_missing',
    'bucket_count',
    'bounds_order',
    'bucket_sum',
    'sum_without_count',
    'quantile_range',
    'quantile_value',
    'attributes',
  ],
  logs: ['trace_id_length', 'span_id_length', 'attributes'],
};

const itemNames: Record<Signal, string> = {
  traces: 'span',
  metrics: 'data point',
  logs: 'log record',
};

/** In the order of the `…Message` numbers of assembly/otlp/wire.ts. */
const messages = [
  'ExportTraceServiceRequest',
  'ResourceSpans',
  'Resource',
  'ScopeSpans',
  'InstrumentationScope',
  'Span',
  'Span.Event',
  'Span.Link',
  'Status',
  'KeyValue',
  'AnyValue',
  'ArrayValue',
  'KeyValueList',
  'ExportLogsServiceRequest',
  'ResourceLogs',
  'ScopeLogs',
  'LogRecord',
];

/** Those of metrics, whose numbers begin at 32. */
const metricMessages = [
  'ExportMetricsServiceRequest',
  'ResourceMetrics',
  'ScopeMetrics',
  'Metric',
  'Gauge',
  'Sum',
  'Histogram',
  'ExponentialHistogram',
  'Summary',
  'NumberDataPoint',
  'HistogramDataPoint',
  'ExponentialHistogramDataPoint',
  'SummaryDataPoint',
  'ExponentialHistogramDataPoint.Buckets',
  'SummaryDataPoint.ValueAtQuantile',
  'Exemplar',
];

const capacityFault = 8;

/** In the order of the fault codes of assembly/otlp/fault.ts. */
const faults: Partial<Record<number, string>> = {
  1: 'varint is longer than 10 bytes',
  2: 'message ends inside a field',
  3: 'length of a field passes the end of its message',
  5: 'tag has a field number of 0 or above 2^29 - 1, or wire type 6 or 7',
  6: 'group ends that has not begun, or has no end',
  7: `values are nested deeper than ${anyValueDepthMax}`,
};

export interface Fault {
  readonly code: number;
  /** Offset in the request. */
  readonly byteOffset: number;
  /** Of a wrong wire type: `message << 8 | field << 3 | wire type`. */
  readonly detail: number;
}

/** The error for a fault in a request of this signal. */
export function faultError(signal: Signal, fault: Fault, pagesMax: number): TidemarkError {
  if (fault.code === capacityFault) {
    const mebibytes = pagesMax / 16;
    return new TidemarkError(
      'CAPACITY',
      `Cannot decode OTLP ${signal}: they need more than the ${mebibytes} MiB of memory allowed`,
    );
  }
  const text = faults[fault.code] ?? wireTypeText(fault.detail);
  return new DecodeError(
    `Cannot decode OTLP ${signal}: ${text} (byte ${fault.byteOffset})`,
    fault.byteOffset,
  );
}

function wireTypeText(detail: number): string {
  const number = detail >> 8;
  const message = messages[number] ?? metricMessages[number - 32] ?? 'message';
  return `${message} field ${(detail >> 3) & 31} has wire type ${detail & 7}, which is not its own`;
}

export interface Rejection {
  readonly reason: RejectReason;
  /** Index of the item in its request. */
  readonly itemIndex: number;
  /** Length of what is wrong: an id's bytes, or a list's values. */
  readonly size: number;
  readonly byteOffset: number;
  /** Index of the item's part that is wrong: a link, an exemplar, a value of a list. */
  readonly part: number;
  /** Of a link's or exemplar's id: 1 = trace_id, 2 = span_id. Of a list: how many are wanted or allowed. */
  readonly field: number;
}

/** One sentence about a rejected item. */
export function rejectionText(signal: Signal, rejection: Rejection): string {
  const item = `${itemNames[signal]} ${rejection.itemIndex}`;
  return `Cannot accept ${item}: ${stateText(rejection)} (byte ${rejection.byteOffset})`;
}

function stateText({ reason, size, part, field }: Rejection): string {
  const texts: Record<RejectReason, string> = {
    trace_id_length: `trace_id ${lengthText(size, 16)}`,
    trace_id_zero: 'trace_id is all zero',
    span_id_length: `span_id ${lengthText(size, 8)}`,
    span_id_zero: 'span_id is all zero',
    parent_span_id_length: `parent_span_id ${lengthText(size, 8)}`,
    link_id: `link ${part}'s ${idText(field, size)}`,
    time_zero: 'time_unix_nano is 0',
    temporality_unspecified: 'aggregation_temporality is unspecified',
    exemplar_id: `exemplar ${part}'s ${idText(field, size)}`,
    value_missing: 'it has neither as_double nor as_int',
    bucket_count: `bucket_counts has ${size} values, wanted ${field}`,
    bounds_order: `explicit_bounds[${part}] is not above the one before`,
    bucket_sum: 'the buckets do not add up to count',
    sum_without_count: 'sum is not 0, but count is',
    quantile_range: `quantile_values[${part}].quantile is not in [0, 1] and above the one before`,
    attributes: `it has ${size} attributes, at most ${field} are allowed`,
    quantile_value: `quantile_values[${part}].value is negative`,
  };
  return texts[reason];
}

function idText(field: number, size: number): string {
  return field === 1 ? `trace_id ${lengthText(size, 16)}` : `span_id ${lengthText(size, 8)}`;
}

function lengthText(size: number, wanted: number): string {
  return `has ${size} bytes, wanted ${wanted}`;
}
