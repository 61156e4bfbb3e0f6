/** The rows of `otel_traces` that the reference's spans make: as JSON and as RowBinary. */
import { speedTables } from '../../schemas/tables.ts';
import type { Attribute, ExpectedSpan } from './reference.ts';

export const kindNames = ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'];
export const statusNames = ['Unset', 'Ok', 'Error'];

type Cell = bigint | string | Cell[] | Attribute[];

/** A row's cells, in the order of the columns: Int64 and UInt64 as bigint, maps as attributes. */
function cellsOf(span: ExpectedSpan, tenantId: string, receivedMs: number): Cell[] {
  const cells: Record<(typeof speedTables.otel_traces)[number], Cell> = {
    Timestamp: BigInt.asIntN(64, span.startNs),
    TraceId: span.traceId,
    SpanId: span.spanId,
    ParentSpanId: span.parentSpanId,
    TraceState: span.traceState,
    SpanName: span.name,
    SpanKind: kindNames[span.kind] ?? '',
    ServiceName: serviceOf(span),
    ResourceAttributes: span.resource.attributes,
    ScopeName: span.scope.name,
    ScopeVersion: span.scope.version,
    SpanAttributes: span.attributes,
    Duration: durationOf(span),
    StatusCode: statusNames[span.statusCode] ?? '',
    StatusMessage: span.statusMessage,
    'Events.Timestamp': span.events.map(({ timeNs }) => BigInt.asIntN(64, timeNs)),
    'Events.Name': span.events.map(({ name }) => name),
    'Events.Attributes': span.events.map(({ attributes }) => attributes),
    'Links.TraceId': span.links.map(({ traceId }) => traceId),
    'Links.SpanId': span.links.map(({ spanId }) => spanId),
    'Links.TraceState': span.links.map(({ traceState }) => traceState),
    'Links.Attributes': span.links.map(({ attributes }) => attributes),
    TenantId: tenantId,
    IngestedAt: BigInt(receivedMs),
  };
  return speedTables.otel_traces.map((name) => cells[name]);
}

/** The first `service.name`, as a map lookup in ClickHouse finds it. */
export function serviceOf(span: ExpectedSpan): string {
  return span.resource.attributes.find(({ key }) => key === 'service.name')?.value ?? '';
}

export function durationOf(span: ExpectedSpan): bigint {
  return span.endNs < span.startNs ? 0n : span.endNs - span.startNs;
}

/** RowBinary of the spans that are not quarantined. */
export function rowBinaryOf(
  spans: readonly ExpectedSpan[],
  tenantId: string,
  receivedMs: number,
): Buffer {
  const rows = spans.filter(({ quarantined }) => !quarantined);
  return Buffer.concat(rows.flatMap((span) => cellsOf(span, tenantId, receivedMs).map(encode)));
}

function encode(cell: Cell): Buffer {
  if (typeof cell === 'bigint') {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt.asIntN(64, cell));
    return bytes;
  }
  if (typeof cell === 'string')
    return Buffer.concat([length(Buffer.byteLength(cell)), Buffer.from(cell)]);
  const items = [...cell].map((item) =>
    isAttribute(item) ? Buffer.concat([encode(item.key), encode(item.value)]) : encode(item),
  );
  return Buffer.concat([length(items.length), ...items]);
}

function isAttribute(item: unknown): item is Attribute {
  return typeof item === 'object' && item !== null && 'key' in item;
}

function length(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return Buffer.from([...bytes, value]);
}

/** The row as ClickHouse gives it in `JSONCompactEachRow`: maps and tuples as lists of pairs. */
export function jsonRowOf(span: ExpectedSpan, tenantId: string, receivedMs: number): unknown[] {
  return cellsOf(span, tenantId, receivedMs).map(toJson);
}

function toJson(cell: Cell): unknown {
  if (typeof cell === 'bigint') return String(cell);
  if (typeof cell === 'string') return cell;
  return [...cell].map((item) => (isAttribute(item) ? [item.key, item.value] : toJson(item)));
}
