/**
 * The fields of OTLP messages, as the JSON reader of the edge needs them: names, numbers and types
 * of opentelemetry-proto 1.11 (`schemas/otlp/`). A test holds this table against the `.proto` files.
 */

export type OtlpScalar =
  | 'string'
  | 'bytes'
  /** A `bytes` field that OTLP/JSON writes as hex, not base64: trace and span ids. */
  | 'id'
  | 'bool'
  | 'int32'
  | 'sint32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'fixed32'
  | 'fixed64'
  | 'sfixed64'
  | 'double';

export interface OtlpField {
  /** Field number in the protobuf message. */
  readonly number: number;
  /** Name in the `.proto` file. The JSON name is its lowerCamelCase form. */
  readonly name: string;
  readonly type: OtlpScalar | 'message' | 'enum';
  /** Name in `otlpMessages` or `otlpEnums`, empty for scalars. */
  readonly of: string;
  readonly repeated: boolean;
  /**
   * Member of the message's oneof. No OTLP message has more than one oneof, but for those that
   * stand for `optional` fields, each of a single member.
   */
  readonly oneof: boolean;
}

/** Messages that all signals share (resource.proto, common.proto). */
const commonMessages: Readonly<Record<string, readonly OtlpField[]>> = {
  Resource: [
    repeated(message(1, 'attributes', 'KeyValue')),
    scalar(2, 'dropped_attributes_count', 'uint32'),
    repeated(message(3, 'entity_refs', 'EntityRef')),
  ],
  InstrumentationScope: [
    scalar(1, 'name', 'string'),
    scalar(2, 'version', 'string'),
    repeated(message(3, 'attributes', 'KeyValue')),
    scalar(4, 'dropped_attributes_count', 'uint32'),
  ],
  EntityRef: [
    scalar(1, 'schema_url', 'string'),
    scalar(2, 'type', 'string'),
    repeated(scalar(3, 'id_keys', 'string')),
    repeated(scalar(4, 'description_keys', 'string')),
  ],
  KeyValue: [
    scalar(1, 'key', 'string'),
    message(2, 'value', 'AnyValue'),
    scalar(3, 'key_strindex', 'int32'),
  ],
  AnyValue: [
    oneof(scalar(1, 'string_value', 'string')),
    oneof(scalar(2, 'bool_value', 'bool')),
    oneof(scalar(3, 'int_value', 'int64')),
    oneof(scalar(4, 'double_value', 'double')),
    oneof(message(5, 'array_value', 'ArrayValue')),
    oneof(message(6, 'kvlist_value', 'KeyValueList')),
    oneof(scalar(7, 'bytes_value', 'bytes')),
    oneof(scalar(8, 'string_value_strindex', 'int32')),
  ],
  ArrayValue: [repeated(message(1, 'values', 'AnyValue'))],
  KeyValueList: [repeated(message(1, 'values', 'KeyValue'))],
};

/** Messages of a request of traces (trace.proto). */
const traceMessages: Readonly<Record<string, readonly OtlpField[]>> = {
  ExportTraceServiceRequest: [repeated(message(1, 'resource_spans', 'ResourceSpans'))],
  ResourceSpans: [
    message(1, 'resource', 'Resource'),
    repeated(message(2, 'scope_spans', 'ScopeSpans')),
    scalar(3, 'schema_url', 'string'),
  ],
  ScopeSpans: [
    message(1, 'scope', 'InstrumentationScope'),
    repeated(message(2, 'spans', 'Span')),
    scalar(3, 'schema_url', 'string'),
  ],
  Span: [
    scalar(1, 'trace_id', 'id'),
    scalar(2, 'span_id', 'id'),
    scalar(3, 'trace_state', 'string'),
    scalar(4, 'parent_span_id', 'id'),
    scalar(5, 'name', 'string'),
    enumeration(6, 'kind', 'SpanKind'),
    scalar(7, 'start_time_unix_nano', 'fixed64'),
    scalar(8, 'end_time_unix_nano', 'fixed64'),
    repeated(message(9, 'attributes', 'KeyValue')),
    scalar(10, 'dropped_attributes_count', 'uint32'),
    repeated(message(11, 'events', 'Event')),
    scalar(12, 'dropped_events_count', 'uint32'),
    repeated(message(13, 'links', 'Link')),
    scalar(14, 'dropped_links_count', 'uint32'),
    message(15, 'status', 'Status'),
    scalar(16, 'flags', 'fixed32'),
  ],
  Event: [
    scalar(1, 'time_unix_nano', 'fixed64'),
    scalar(2, 'name', 'string'),
    repeated(message(3, 'attributes', 'KeyValue')),
    scalar(4, 'dropped_attributes_count', 'uint32'),
  ],
  Link: [
    scalar(1, 'trace_id', 'id'),
    scalar(2, 'span_id', 'id'),
    scalar(3, 'trace_state', 'string'),
    repeated(message(4, 'attributes', 'KeyValue')),
    scalar(5, 'dropped_attributes_count', 'uint32'),
    scalar(6, 'flags', 'fixed32'),
  ],
  Status: [scalar(2, 'message', 'string'), enumeration(3, 'code', 'StatusCode')],
};

/** Messages of a request of logs (logs.proto). */
const logMessages: Readonly<Record<string, readonly OtlpField[]>> = {
  ExportLogsServiceRequest: [repeated(message(1, 'resource_logs', 'ResourceLogs'))],
  ResourceLogs: [
    message(1, 'resource', 'Resource'),
    repeated(message(2, 'scope_logs', 'ScopeLogs')),
    scalar(3, 'schema_url', 'string'),
  ],
  ScopeLogs: [
    message(1, 'scope', 'InstrumentationScope'),
    repeated(message(2, 'log_records', 'LogRecord')),
    scalar(3, 'schema_url', 'string'),
  ],
  LogRecord: [
    scalar(1, 'time_unix_nano', 'fixed64'),
    enumeration(2, 'severity_number', 'SeverityNumber'),
    scalar(3, 'severity_text', 'string'),
    message(5, 'body', 'AnyValue'),
    repeated(message(6, 'attributes', 'KeyValue')),
    scalar(7, 'dropped_attributes_count', 'uint32'),
    scalar(8, 'flags', 'fixed32'),
    scalar(9, 'trace_id', 'id'),
    scalar(10, 'span_id', 'id'),
    scalar(11, 'observed_time_unix_nano', 'fixed64'),
    scalar(12, 'event_name', 'string'),
  ],
};

/** Messages of a request of metrics (metrics.proto). */
const metricMessages: Readonly<Record<string, readonly OtlpField[]>> = {
  ExportMetricsServiceRequest: [repeated(message(1, 'resource_metrics', 'ResourceMetrics'))],
  ResourceMetrics: [
    message(1, 'resource', 'Resource'),
    repeated(message(2, 'scope_metrics', 'ScopeMetrics')),
    scalar(3, 'schema_url', 'string'),
  ],
  ScopeMetrics: [
    message(1, 'scope', 'InstrumentationScope'),
    repeated(message(2, 'metrics', 'Metric')),
    scalar(3, 'schema_url', 'string'),
  ],
  Metric: [
    scalar(1, 'name', 'string'),
    scalar(2, 'description', 'string'),
    scalar(3, 'unit', 'string'),
    oneof(message(5, 'gauge', 'Gauge')),
    oneof(message(7, 'sum', 'Sum')),
    oneof(message(9, 'histogram', 'Histogram')),
    oneof(message(10, 'exponential_histogram', 'ExponentialHistogram')),
    oneof(message(11, 'summary', 'Summary')),
    repeated(message(12, 'metadata', 'KeyValue')),
  ],
  Gauge: [repeated(message(1, 'data_points', 'NumberDataPoint'))],
  Sum: [
    repeated(message(1, 'data_points', 'NumberDataPoint')),
    enumeration(2, 'aggregation_temporality', 'AggregationTemporality'),
    scalar(3, 'is_monotonic', 'bool'),
  ],
  Histogram: [
    repeated(message(1, 'data_points', 'HistogramDataPoint')),
    enumeration(2, 'aggregation_temporality', 'AggregationTemporality'),
  ],
  ExponentialHistogram: [
    repeated(message(1, 'data_points', 'ExponentialHistogramDataPoint')),
    enumeration(2, 'aggregation_temporality', 'AggregationTemporality'),
  ],
  Summary: [repeated(message(1, 'data_points', 'SummaryDataPoint'))],
  NumberDataPoint: [
    scalar(2, 'start_time_unix_nano', 'fixed64'),
    scalar(3, 'time_unix_nano', 'fixed64'),
    oneof(scalar(4, 'as_double', 'double')),
    repeated(message(5, 'exemplars', 'Exemplar')),
    oneof(scalar(6, 'as_int', 'sfixed64')),
    repeated(message(7, 'attributes', 'KeyValue')),
    scalar(8, 'flags', 'uint32'),
  ],
  HistogramDataPoint: [
    scalar(2, 'start_time_unix_nano', 'fixed64'),
    scalar(3, 'time_unix_nano', 'fixed64'),
    scalar(4, 'count', 'fixed64'),
    scalar(5, 'sum', 'double'),
    repeated(scalar(6, 'bucket_counts', 'fixed64')),
    repeated(scalar(7, 'explicit_bounds', 'double')),
    repeated(message(8, 'exemplars', 'Exemplar')),
    repeated(message(9, 'attributes', 'KeyValue')),
    scalar(10, 'flags', 'uint32'),
    scalar(11, 'min', 'double'),
    scalar(12, 'max', 'double'),
  ],
  ExponentialHistogramDataPoint: [
    repeated(message(1, 'attributes', 'KeyValue')),
    scalar(2, 'start_time_unix_nano', 'fixed64'),
    scalar(3, 'time_unix_nano', 'fixed64'),
    scalar(4, 'count', 'fixed64'),
    scalar(5, 'sum', 'double'),
    scalar(6, 'scale', 'sint32'),
    scalar(7, 'zero_count', 'fixed64'),
    message(8, 'positive', 'Buckets'),
    message(9, 'negative', 'Buckets'),
    scalar(10, 'flags', 'uint32'),
    repeated(message(11, 'exemplars', 'Exemplar')),
    scalar(12, 'min', 'double'),
    scalar(13, 'max', 'double'),
    scalar(14, 'zero_threshold', 'double'),
  ],
  Buckets: [scalar(1, 'offset', 'sint32'), repeated(scalar(2, 'bucket_counts', 'uint64'))],
  SummaryDataPoint: [
    scalar(2, 'start_time_unix_nano', 'fixed64'),
    scalar(3, 'time_unix_nano', 'fixed64'),
    scalar(4, 'count', 'fixed64'),
    scalar(5, 'sum', 'double'),
    repeated(message(6, 'quantile_values', 'ValueAtQuantile')),
    repeated(message(7, 'attributes', 'KeyValue')),
    scalar(8, 'flags', 'uint32'),
  ],
  ValueAtQuantile: [scalar(1, 'quantile', 'double'), scalar(2, 'value', 'double')],
  Exemplar: [
    scalar(2, 'time_unix_nano', 'fixed64'),
    oneof(scalar(3, 'as_double', 'double')),
    scalar(4, 'span_id', 'id'),
    scalar(5, 'trace_id', 'id'),
    oneof(scalar(6, 'as_int', 'sfixed64')),
    repeated(message(7, 'filtered_attributes', 'KeyValue')),
  ],
};

/** Message name to its fields: all that a request of any signal may hold. */
export const otlpMessages: Readonly<Record<string, readonly OtlpField[]>> = {
  ...traceMessages,
  ...logMessages,
  ...metricMessages,
  ...commonMessages,
};

/** Enum name to its values by name. */
export const otlpEnums: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  SpanKind: {
    SPAN_KIND_UNSPECIFIED: 0,
    SPAN_KIND_INTERNAL: 1,
    SPAN_KIND_SERVER: 2,
    SPAN_KIND_CLIENT: 3,
    SPAN_KIND_PRODUCER: 4,
    SPAN_KIND_CONSUMER: 5,
  },
  StatusCode: { STATUS_CODE_UNSET: 0, STATUS_CODE_OK: 1, STATUS_CODE_ERROR: 2 },
  AggregationTemporality: {
    AGGREGATION_TEMPORALITY_UNSPECIFIED: 0,
    AGGREGATION_TEMPORALITY_DELTA: 1,
    AGGREGATION_TEMPORALITY_CUMULATIVE: 2,
  },
  SeverityNumber: {
    SEVERITY_NUMBER_UNSPECIFIED: 0,
    SEVERITY_NUMBER_TRACE: 1,
    SEVERITY_NUMBER_TRACE2: 2,
    SEVERITY_NUMBER_TRACE3: 3,
    SEVERITY_NUMBER_TRACE4: 4,
    SEVERITY_NUMBER_DEBUG: 5,
    SEVERITY_NUMBER_DEBUG2: 6,
    SEVERITY_NUMBER_DEBUG3: 7,
    SEVERITY_NUMBER_DEBUG4: 8,
    SEVERITY_NUMBER_INFO: 9,
    SEVERITY_NUMBER_INFO2: 10,
    SEVERITY_NUMBER_INFO3: 11,
    SEVERITY_NUMBER_INFO4: 12,
    SEVERITY_NUMBER_WARN: 13,
    SEVERITY_NUMBER_WARN2: 14,
    SEVERITY_NUMBER_WARN3: 15,
    SEVERITY_NUMBER_WARN4: 16,
    SEVERITY_NUMBER_ERROR: 17,
    SEVERITY_NUMBER_ERROR2: 18,
    SEVERITY_NUMBER_ERROR3: 19,
    SEVERITY_NUMBER_ERROR4: 20,
    SEVERITY_NUMBER_FATAL: 21,
    SEVERITY_NUMBER_FATAL2: 22,
    SEVERITY_NUMBER_FATAL3: 23,
    SEVERITY_NUMBER_FATAL4: 24,
  },
};

/** The JSON name of a field: `start_time_unix_nano` is `startTimeUnixNano` (proto3 JSON). */
export function jsonName(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function scalar(number: number, name: string, type: OtlpScalar): OtlpField {
  return { number, name, type, of: '', repeated: false, oneof: false };
}

function message(number: number, name: string, of: string): OtlpField {
  return { number, name, type: 'message', of, repeated: false, oneof: false };
}

function enumeration(number: number, name: string, of: string): OtlpField {
  return { number, name, type: 'enum', of, repeated: false, oneof: false };
}

function repeated(field: OtlpField): OtlpField {
  return { ...field, repeated: true };
}

function oneof(field: OtlpField): OtlpField {
  return { ...field, oneof: true };
}
