/**
 * The archive's Parquet schema: the columns of a file of spans, in order, and the keys under
 * which files and spool objects lie. Names are those of the ClickHouse tables, so that one query
 * fits both; what ClickHouse has no column for follows.
 */

/**
 * Arrow types of columns. `dictionary` is Dictionary<Int32, Utf8>, `attributes` is
 * Map<Utf8, Utf8> (keys in request order), `kinds` is List<UInt8>: for each map entry the field number of the
 * AnyValue's oneof (0 = empty, 1 string, 2 bool, 3 int, 4 double, 5 array, 6 kvlist, 7 bytes).
 * A name in `list…` is a List of that type. Times are UTC and carry no zone: DuckDB reads zoned
 * nanoseconds as microseconds, and needs an extension to compute with zoned times at all.
 */
export type ArchiveType =
  | 'dictionary'
  | 'utf8'
  | 'binary'
  | 'id16'
  | 'id8'
  | 'bool'
  | 'int32'
  | 'int64'
  | 'uint32'
  | 'uint64'
  | 'double'
  | 'timestampMs'
  | 'timestampNs'
  | 'attributes'
  | 'kinds'
  | 'listTimestampNs'
  | 'listUtf8'
  | 'listId16'
  | 'listId8'
  | 'listUint32'
  | 'listInt64'
  | 'listUint64'
  | 'listDouble'
  | 'listAttributes'
  | 'listKinds';

export interface ArchiveColumn {
  readonly name: string;
  readonly type: ArchiveType;
  readonly nullable: boolean;
}

/** The last columns of every signal: the item's owners, and where it is from. */
const ownerColumns: readonly ArchiveColumn[] = [
  column('ResourceAttributes', 'attributes'),
  column('ResourceAttributeKinds', 'kinds'),
  column('ResourceDroppedAttributesCount', 'uint32'),
  column('ResourceSchemaUrl', 'dictionary'),
  column('ResourceOtlp', 'binary', true),
  column('ScopeName', 'dictionary'),
  column('ScopeVersion', 'dictionary'),
  column('ScopeAttributes', 'attributes'),
  column('ScopeAttributeKinds', 'kinds'),
  column('ScopeDroppedAttributesCount', 'uint32'),
  column('ScopeSchemaUrl', 'dictionary'),
  column('ScopeOtlp', 'binary', true),
  column('TenantId', 'dictionary'),
  column('IngestedAt', 'timestampMs'),
  column('Topic', 'dictionary'),
  column('Partition', 'int32'),
  column('Offset', 'int64'),
  column('ItemIndex', 'uint32'),
  column('Quarantined', 'bool'),
];

/**
 * Columns of `signal=traces` files. Rows ascend by `TraceId`, then by `SpanId`, then by arrival.
 * `…Otlp` columns hold the raw protobuf message (Span, Resource, InstrumentationScope) wherever the
 * other columns alone cannot give it back exactly: nested values, strings that are not UTF-8, unknown
 * fields, ids of unusual length; else null. `PeerKind` and `PeerName`, since version 2, are what the span's
 * attributes say of the other side of its call: docs/GRAPH.md has the rules.
 */
export const traceColumns: readonly ArchiveColumn[] = [
  column('TraceId', 'id16'),
  column('SpanId', 'id8'),
  column('ParentSpanId', 'id8', true),
  column('TraceState', 'utf8'),
  column('Flags', 'uint32'),
  column('SpanName', 'dictionary'),
  column('SpanKind', 'dictionary'),
  column('SpanKindNumber', 'int32'),
  column('ServiceName', 'dictionary'),
  column('Timestamp', 'timestampNs'),
  column('EndTimestamp', 'timestampNs'),
  column('Duration', 'uint64'),
  column('StatusCode', 'dictionary'),
  column('StatusCodeNumber', 'int32'),
  column('StatusMessage', 'utf8'),
  column('SpanAttributes', 'attributes'),
  column('SpanAttributeKinds', 'kinds'),
  column('DroppedAttributesCount', 'uint32'),
  column('Events.Timestamp', 'listTimestampNs'),
  column('Events.Name', 'listUtf8'),
  column('Events.Attributes', 'listAttributes'),
  column('Events.AttributeKinds', 'listKinds'),
  column('Events.DroppedAttributesCount', 'listUint32'),
  column('DroppedEventsCount', 'uint32'),
  column('Links.TraceId', 'listId16'),
  column('Links.SpanId', 'listId8'),
  column('Links.TraceState', 'listUtf8'),
  column('Links.Attributes', 'listAttributes'),
  column('Links.AttributeKinds', 'listKinds'),
  column('Links.DroppedAttributesCount', 'listUint32'),
  column('Links.Flags', 'listUint32'),
  column('DroppedLinksCount', 'uint32'),
  column('SpanOtlp', 'binary', true),
  column('PeerKind', 'dictionary'),
  column('PeerName', 'dictionary'),
  ...ownerColumns,
];

/**
 * Columns of `signal=metrics` files: one data point of any kind a row, sorted by (SeriesHash,
 * TimeUnix). `SeriesHash` is a 128-bit hash over resource attributes, scope name, version and
 * attributes, metric name, unit, type, temporality and monotonicity, and the point's attributes,
 * whatever their order: equal for the same series in every file. `MetricOtlp` is the Metric message
 * without its points. A number's `Value` is the double, or the one nearest to the int that `ValueInt`
 * has; of an exemplar's value `Exemplars.ValueKinds` has the field number (3 double, 6 int, 0 none).
 * What a kind of metric does not have is null, 0 or an empty list, as is what was not sent.
 */
export const metricColumns: readonly ArchiveColumn[] = [
  column('SeriesHash', 'id16'),
  column('MetricName', 'dictionary'),
  column('MetricDescription', 'dictionary'),
  column('MetricUnit', 'dictionary'),
  column('MetricType', 'dictionary'),
  column('AggregationTemporality', 'int32'),
  column('IsMonotonic', 'bool'),
  column('ServiceName', 'dictionary'),
  column('StartTimeUnix', 'timestampNs'),
  column('TimeUnix', 'timestampNs'),
  column('Flags', 'uint32'),
  column('Attributes', 'attributes'),
  column('AttributeKinds', 'kinds'),
  column('Value', 'double', true),
  column('ValueInt', 'int64', true),
  column('Count', 'uint64', true),
  column('Sum', 'double', true),
  column('Min', 'double', true),
  column('Max', 'double', true),
  column('BucketCounts', 'listUint64'),
  column('ExplicitBounds', 'listDouble'),
  column('Scale', 'int32', true),
  column('ZeroCount', 'uint64', true),
  column('ZeroThreshold', 'double', true),
  column('PositiveOffset', 'int32', true),
  column('PositiveBucketCounts', 'listUint64'),
  column('NegativeOffset', 'int32', true),
  column('NegativeBucketCounts', 'listUint64'),
  column('ValueAtQuantiles.Quantile', 'listDouble'),
  column('ValueAtQuantiles.Value', 'listDouble'),
  column('Exemplars.FilteredAttributes', 'listAttributes'),
  column('Exemplars.FilteredAttributeKinds', 'listKinds'),
  column('Exemplars.TimeUnix', 'listTimestampNs'),
  column('Exemplars.Value', 'listDouble'),
  column('Exemplars.ValueInt', 'listInt64'),
  column('Exemplars.ValueKinds', 'kinds'),
  column('Exemplars.SpanId', 'listId8'),
  column('Exemplars.TraceId', 'listId16'),
  column('MetricMetadata', 'attributes'),
  column('MetricMetadataKinds', 'kinds'),
  column('PointOtlp', 'binary', true),
  column('MetricOtlp', 'binary', true),
  ...ownerColumns,
];

/**
 * Columns of `signal=logs` files. Rows ascend by `SortKey`, then by the first 8 bytes of `ContentHash`,
 * then by arrival. Both are functions of the tenant and of what was sent, never of when it was
 * received: a record that was delivered twice has one key, so a range of keys holds all its copies.
 *
 * - `SortKey`: 8 bytes FNV-1a (64 bits, big-endian) of tenant, a zero byte and service name; then
 *   `Time`, else `ObservedTime`, else 0 as 8 bytes big-endian. A service's records lie together,
 *   in the order of time, which compresses well and is what a search for them reads.
 * - `ContentHash`: MurmurHash3 x64 128, as ClickHouse's `murmurHash3_128`, called H here, of
 *   H(H(resource) H(its schema URL)) H(H(scope) H(its schema URL)) H(LogRecord), of the messages as
 *   they were sent. `ContentOccurrence`: records of the same hash before it in its request, pieces
 *   of it that were records of their own included (`repeatsField`). A record is
 *   identified by (TenantId, ContentHash, ContentOccurrence): DESIGN.md, decision 7.
 * - `Timestamp`: `Time`, else `ObservedTime`, else when the request was received; the hour that the
 *   file lies under is its. `TraceFlags`: the lowest 8 bits of `Flags`. `Body`: the string form of a
 *   body of `BodyKind`, an AnyValue's field number (0 = none).
 */
export const logColumns: readonly ArchiveColumn[] = [
  column('SortKey', 'id16'),
  column('ContentHash', 'id16'),
  column('ContentOccurrence', 'uint32'),
  column('Timestamp', 'timestampNs'),
  column('Time', 'timestampNs', true),
  column('ObservedTime', 'timestampNs', true),
  column('TraceId', 'id16', true),
  column('SpanId', 'id8', true),
  column('TraceFlags', 'uint32'),
  column('Flags', 'uint32'),
  column('SeverityText', 'dictionary'),
  column('SeverityNumber', 'int32'),
  column('ServiceName', 'dictionary'),
  column('Body', 'utf8'),
  column('BodyKind', 'uint32'),
  column('EventName', 'dictionary'),
  column('LogAttributes', 'attributes'),
  column('LogAttributeKinds', 'kinds'),
  column('DroppedAttributesCount', 'uint32'),
  column('LogOtlp', 'binary', true),
  ...ownerColumns,
];

/** Columns of each signal's files. The first is 16 bytes that the rows of a file ascend by. */
export const archiveColumns: Record<Signal, readonly ArchiveColumn[]> = {
  traces: traceColumns,
  metrics: metricColumns,
  logs: logColumns,
};

/**
 * Columns that have pages where the first column has them: those that the batch takes a range of ids of, as
 * far as they have more than a few bytes for a row.
 */
export const indexedColumns: Readonly<Partial<Record<Signal, ReadonlySet<string>>>> = {
  traces: new Set(['SpanId', 'ParentSpanId', 'SpanName', 'ServiceName', 'Duration', 'PeerName']),
};

/** Versions of the columns above, written into each file's metadata as `tidemark.schema`. */
export const schemaVersions: Record<Signal, number> = { traces: 2, metrics: 1, logs: 1 };

/** Columns that files of earlier versions lack, and the column that they can be made of. */
export const columnsSince: Readonly<
  Record<string, { readonly version: number; readonly madeOf: string }>
> = {
  PeerKind: { version: 2, madeOf: 'SpanAttributes' },
  PeerName: { version: 2, madeOf: 'SpanAttributes' },
};

/** Partition number, in the `Partition` column, of items that came through the R2 spool. */
export const spoolPartition = -1;

export type Signal = 'traces' | 'metrics' | 'logs';

/** Kafka topics of the signals: the Collector's defaults. */
export const topics = { traces: 'otlp_spans', metrics: 'otlp_metrics', logs: 'otlp_logs' } as const;

/** Hive prefix of one event hour, ending in a slash. `hourMs` is a UTC hour's start. */
export function hourPrefix(signal: Signal, hourMs: number): string {
  const [day, time] = new Date(hourMs).toISOString().split('T');
  const [year, month, date] = (day ?? '').split('-');
  const hour = (time ?? '').slice(0, 2);
  return `signal=${signal}/year=${year}/month=${month}/day=${date}/hour=${hour}/`;
}

export interface FileKeyParts {
  readonly topic: string;
  /** Kafka partition number, or `spool`. */
  readonly partition: string;
  /** First offset of the commit that the file belongs to. */
  readonly firstOffset: bigint;
  /** Unique to the attempt, so that a writer that lost never overwrites the winner's file. */
  readonly attempt: string;
}

/**
 * Key of a Parquet file. It names the commit that makes it real, so a reader who lists a period's
 * prefix knows which commits to read and no others.
 */
export function fileKey(signal: Signal, hourMs: number, parts: FileKeyParts): string {
  const { topic, partition, attempt } = parts;
  const name = [topic, partition, padOffset(parts.firstOffset), attempt].join('+');
  return `${hourPrefix(signal, hourMs)}${name}.parquet`;
}

/** The parts of a file's key, or `undefined` for a key that is none of ours. */
export function parseFileKey(key: string): FileKeyParts | undefined {
  const match = /\/([^/+]+)\+([^/+]+)\+(\d{19})\+([^/+]+)\.parquet$/.exec(key);
  const [, topic, partition, offset, attempt] = match ?? [];
  if (!topic || !partition || !offset || !attempt) return undefined;
  return { topic, partition, firstOffset: BigInt(offset), attempt };
}

/** Prefixes of what waits in R2 for the archiver, and for ClickHouse. */
export const archiveSpoolsPrefix = 'spool/archive/';
export const speedSpoolsPrefix = 'spool/speed/';

/** Prefix of the spool objects that wait for the archiver, oldest first in key order. */
export function archiveSpoolPrefix(topic: string): string {
  return `${archiveSpoolsPrefix}${topic}/`;
}

/**
 * Prefix of requests that could not be archived. Each lies there under its spool name, its reason
 * as JSON beside it under the same name and `.json`.
 */
export function deadPrefix(topic: string): string {
  return `_dead/${topic}/`;
}

/**
 * Prefix of RowBinary bodies that ClickHouse did not take, oldest first in key order. In their names
 * the deduplication token stands in the place of the request id.
 */
export function speedSpoolPrefix(table: string): string {
  return `${speedSpoolsPrefix}${table}/`;
}

/**
 * Prefix of rows that ClickHouse refuses for good, under their spool name; the reason as JSON beside
 * them under the same name and `.json`.
 */
export function speedDeadPrefix(table: string): string {
  return `_dead/speed/${table}/`;
}

/** What the drain remembers between its ticks. */
export const drainStateKey = '_drain/state.json';

export interface SpoolKeyParts {
  readonly receivedMs: number;
  /** Unique to the request. */
  readonly requestId: string;
  readonly tenantId: string;
}

/** Name of a spool object under its prefix: `<received ms>+<request id>+<tenant>`. */
export function spoolName(parts: SpoolKeyParts): string {
  return `${String(parts.receivedMs).padStart(13, '0')}+${parts.requestId}+${parts.tenantId}`;
}

/** The parts of a spool object's key, or `undefined` for a key that is none of ours. */
export function parseSpoolKey(key: string): SpoolKeyParts | undefined {
  const match = /\/(\d{13})\+([0-9a-zA-Z-]{1,64})\+([a-z0-9][a-z0-9_-]{0,62})$/.exec(key);
  const [, received, requestId, tenantId] = match ?? [];
  if (!received || !requestId || !tenantId) return undefined;
  return { receivedMs: Number(received), requestId, tenantId };
}

/**
 * The request id of one piece of a request that was too large for one record: each piece is a valid
 * request, and spool objects need names of their own.
 */
export function pieceId(requestId: string, pieceIndex: number): string {
  return `${requestId}-p${pieceIndex}`;
}

/**
 * Number of a field that no OTLP message has, first in each piece of a log request that was split: packed
 * varints, by twos the index of a record in the piece and how many of its content (`ContentHash`) came
 * in pieces before; indexes ascend, and only the first record of a content has one. It makes
 * `ContentOccurrence` what it is in the whole request, however that is delivered. Anywhere else the
 * field means nothing, and other readers of OTLP skip it.
 */
export const repeatsField = 29_801;

/** Headers of a Kafka record, where the way to Kafka knows headers; values are UTF-8. */
export const recordHeaders = {
  tenant: 'tidemark-tenant',
  requestId: 'tidemark-request-id',
} as const;

/** Key of a Kafka record: all pieces of a request have one, and so one partition. */
export function recordKey({ tenantId, requestId }: Omit<SpoolKeyParts, 'receivedMs'>): string {
  return `${tenantId}/${requestId}`;
}

/** Tenant and request id of a record's key, or `undefined` for a key that is none of ours. */
export function parseRecordKey(key: string): Omit<SpoolKeyParts, 'receivedMs'> | undefined {
  const match = /^([a-z0-9][a-z0-9_-]{0,62})\/([0-9a-zA-Z-]{1,64})$/.exec(key);
  const [, tenantId, requestId] = match ?? [];
  if (!tenantId || !requestId) return undefined;
  return { tenantId, requestId };
}

/** Tenant names that keys and tables may carry. */
export const tenantPattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** An offset as 19 digits, so that keys sort as numbers do. */
export function padOffset(offset: bigint): string {
  return offset.toString().padStart(19, '0');
}

function column(name: string, type: ArchiveType, nullable = false): ArchiveColumn {
  return { name, type, nullable };
}
