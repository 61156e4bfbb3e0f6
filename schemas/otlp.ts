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
  | 'uint32'
  | 'int64'
  | 'fixed32'
  | 'fixed64'
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
  /** Member of the message's oneof. No OTLP message has more than one oneof. */
  readonly oneof: boolean;
}

/** Message name to its fields. */
export const otlpMessages: Readonly<Record<string, readonly OtlpField[]>> = {
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
