/**
 * What the archive's rows must say: from protobufjs's view of a request, and as DuckDB and the
 * ClickHouse engine read them from a Parquet file. All three in one normal form, by column name:
 * ids and bytes as hex, 64-bit numbers and times as decimal strings, attributes as [key, value].
 */
import { DuckDBInstance } from '@duckdb/node-api';
import { query } from 'chdb';
import { archiveColumns } from '../../schemas/archive.ts';
import type { ArchiveType, Signal } from '../../schemas/archive.ts';
import { peerOf } from './peer.ts';

export type ArchiveRow = Record<string, unknown>;

interface Value {
  readonly value?: string;
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: string;
  readonly doubleValue?: number;
  readonly bytesValue?: Buffer;
  readonly arrayValue?: { readonly values: readonly Value[] };
  readonly kvlistValue?: { readonly values: readonly Attribute[] };
}

interface Attribute {
  readonly key: string;
  readonly value: Value | null;
}

interface Event {
  readonly timeUnixNano: string;
  readonly name: string;
  readonly attributes: readonly Attribute[];
  readonly droppedAttributesCount: number;
}

interface Link {
  readonly traceId: Buffer;
  readonly spanId: Buffer;
  readonly traceState: string;
  readonly attributes: readonly Attribute[];
  readonly droppedAttributesCount: number;
  readonly flags: number;
}

export interface Span {
  readonly traceId: Buffer;
  readonly spanId: Buffer;
  readonly parentSpanId: Buffer;
  readonly traceState: string;
  readonly flags: number;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
  readonly droppedAttributesCount: number;
  readonly events: readonly Event[];
  readonly droppedEventsCount: number;
  readonly links: readonly Link[];
  readonly droppedLinksCount: number;
  readonly status: { readonly code: number; readonly message: string } | null;
}

interface Scoped {
  readonly name: string;
  readonly version: string;
  readonly attributes: readonly Attribute[];
  readonly droppedAttributesCount: number;
}

export interface Traces {
  readonly resourceSpans: readonly {
    readonly resource: Pick<Scoped, 'attributes' | 'droppedAttributesCount'> | null;
    readonly schemaUrl: string;
    readonly scopeSpans: readonly {
      readonly scope: Scoped | null;
      readonly schemaUrl: string;
      readonly spans: readonly Span[];
    }[];
  }[];
}

export interface Origin {
  readonly tenantId: string;
  readonly receivedMs: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

/** Names of the kinds and status codes in the Collector's tables, by number. */
const kinds = ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'];
const statusCodes = ['Unset', 'Ok', 'Error'];

/**
 * The rows of a decoded request, in its order. `…Otlp` columns are true where a raw message must be
 * kept. Values must be simple: strings, booleans, numbers, bytes, and arrays and lists of strings.
 */
export function expectedRows(traces: Traces, origin: Origin): ArchiveRow[] {
  const rows = traces.resourceSpans.flatMap(({ resource, schemaUrl, scopeSpans }) => {
    const resourceRow = {
      ServiceName: textOf(resource?.attributes.find(({ key }) => key === 'service.name')?.value),
      ...attributesOf('Resource', resource?.attributes),
      ResourceDroppedAttributesCount: resource?.droppedAttributesCount ?? 0,
      ResourceSchemaUrl: schemaUrl,
      ResourceOtlp: hasNested(resource?.attributes),
    };
    return scopeSpans.flatMap(({ scope, schemaUrl: scopeUrl, spans }) => {
      const scopeRow = {
        ScopeName: scope?.name ?? '',
        ScopeVersion: scope?.version ?? '',
        ...attributesOf('Scope', scope?.attributes),
        ScopeDroppedAttributesCount: scope?.droppedAttributesCount ?? 0,
        ScopeSchemaUrl: scopeUrl,
        ScopeOtlp: hasNested(scope?.attributes),
      };
      return spans.map((span) => ({ ...spanRow(span), ...resourceRow, ...scopeRow }));
    });
  });
  return rows.map((row, itemIndex) => ({
    ...row,
    TenantId: origin.tenantId,
    IngestedAt: String(origin.receivedMs),
    Topic: origin.topic,
    Partition: origin.partition,
    Offset: String(origin.offset),
    ItemIndex: itemIndex,
    Quarantined: false,
  }));
}

function spanRow(span: Span): ArchiveRow {
  const start = BigInt(span.startTimeUnixNano);
  const end = BigInt(span.endTimeUnixNano);
  const statusNumber = span.status?.code ?? 0;
  return {
    TraceId: span.traceId.toString('hex'),
    SpanId: span.spanId.toString('hex'),
    ParentSpanId: span.parentSpanId.length === 0 ? null : span.parentSpanId.toString('hex'),
    TraceState: span.traceState,
    Flags: span.flags,
    SpanName: span.name,
    SpanKind: kinds[span.kind] ?? '',
    SpanKindNumber: span.kind,
    Timestamp: String(start),
    EndTimestamp: String(end),
    Duration: String(end > start ? end - start : 0n),
    StatusCode: statusCodes[statusNumber] ?? '',
    StatusCodeNumber: statusNumber,
    StatusMessage: span.status?.message ?? '',
    ...attributesOf('Span', span.attributes),
    DroppedAttributesCount: span.droppedAttributesCount,
    'Events.Timestamp': span.events.map(({ timeUnixNano }) => timeUnixNano),
    'Events.Name': span.events.map(({ name }) => name),
    ...nestedAttributesOf('Events', span.events),
    DroppedEventsCount: span.droppedEventsCount,
    'Links.TraceId': span.links.map(({ traceId }) => traceId.toString('hex')),
    'Links.SpanId': span.links.map(({ spanId }) => spanId.toString('hex')),
    'Links.TraceState': span.links.map(({ traceState }) => traceState),
    ...nestedAttributesOf('Links', span.links),
    'Links.Flags': span.links.map(({ flags }) => flags),
    DroppedLinksCount: span.droppedLinksCount,
    ...peerColumns(span),
    SpanOtlp: [span, ...span.events, ...span.links].some((each) => hasNested(each.attributes)),
  };
}

function peerColumns({ kind, attributes }: Span): ArchiveRow {
  const { kind: peerKind, name } = peerOf(
    kinds[kind] ?? '',
    Object.fromEntries((attributes ?? []).map(pairOf)),
  );
  return { PeerKind: peerKind, PeerName: name };
}

function attributesOf(owner: string, attributes: readonly Attribute[] = []): ArchiveRow {
  return {
    [`${owner}Attributes`]: attributes.map(pairOf),
    [`${owner}AttributeKinds`]: attributes.map(kindOf),
  };
}

function nestedAttributesOf(
  owner: string,
  items: readonly { attributes: readonly Attribute[]; droppedAttributesCount: number }[],
): ArchiveRow {
  return {
    [`${owner}.Attributes`]: items.map(({ attributes }) => attributes.map(pairOf)),
    [`${owner}.AttributeKinds`]: items.map(({ attributes }) => attributes.map(kindOf)),
    [`${owner}.DroppedAttributesCount`]: items.map((item) => item.droppedAttributesCount),
  };
}

function pairOf({ key, value }: Attribute): [string, string] {
  return [key, textOf(value)];
}

/** The Collector's `AsString` for the simple values that these tests use. */
function textOf(value: Value | null | undefined): string {
  if (!value) return '';
  switch (value.value ?? '') {
    case 'stringValue':
      return value.stringValue ?? '';
    case 'boolValue':
      return String(value.boolValue);
    case 'intValue':
      return String(value.intValue);
    case 'doubleValue':
      return String(value.doubleValue);
    case 'bytesValue':
      return value.bytesValue?.toString('base64') ?? '';
    case 'arrayValue':
      return JSON.stringify(value.arrayValue?.values.map(textOf));
    case 'kvlistValue':
      return JSON.stringify(Object.fromEntries(value.kvlistValue?.values.map(pairOf) ?? []));
    default:
      return '';
  }
}

const oneofs = [
  'stringValue',
  'boolValue',
  'intValue',
  'doubleValue',
  'arrayValue',
  'kvlistValue',
  'bytesValue',
];

function kindOf({ value }: Attribute): number {
  return oneofs.indexOf(value?.value ?? '') + 1;
}

/** Arrays and lists lose their members' kinds in the text form, so the message must be kept. */
function hasNested(attributes: readonly Attribute[] = []): boolean {
  return attributes.some((each) => ['arrayValue', 'kvlistValue'].includes(each.value?.value ?? ''));
}

/** All rows of Parquet files, read by DuckDB, in the order of the files. */
export async function duckdbRows(
  paths: readonly string[],
  signal: Signal = 'traces',
): Promise<ArchiveRow[]> {
  const fields = archiveColumns[signal].map(
    ({ name, type }) => `'${name}': ${duckdbForm(type, name)}`,
  );
  const rows = await duckdb(
    `SELECT to_json({${fields.join(', ')}})::VARCHAR AS row FROM ${duckdbFiles(paths)}`,
    'row',
  );
  return rows.map((row) => withDoubles(row, signal));
}

/** JSON has no form for every double, so all engines give them as text. */
export function withDoubles(row: ArchiveRow, signal: Signal): ArchiveRow {
  const entries = archiveColumns[signal].map(({ name, type }) => {
    const value = row[name];
    if (type === 'double') return [name, value === null ? null : toDouble(value)];
    return [name, type === 'listDouble' ? (value as unknown[]).map(toDouble) : value];
  });
  return Object.fromEntries(entries) as ArchiveRow;
}

function toDouble(text: unknown): number {
  return Number(String(text).replace('inf', 'Infinity').replace('nan', 'NaN'));
}

/** A table function that reads the files. */
export function duckdbFiles(paths: readonly string[]): string {
  return `read_parquet([${paths.map((path) => `'${path}'`).join(', ')}], hive_partitioning = false)`;
}

/** Runs a query in a database of its own and parses the JSON in one of its columns. */
export async function duckdb(sql: string, column: string): Promise<ArchiveRow[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    const rows = (await connection.runAndReadAll(sql)).getRowObjects();
    return rows.map((row) => JSON.parse(String(row[column])) as ArchiveRow);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function duckdbForm(type: ArchiveType, name: string): string {
  const forms: Partial<Record<ArchiveType, (value: string) => string>> = {
    id16: (value) => `lower(hex(${value}))`,
    id8: (value) => `lower(hex(${value}))`,
    binary: (value) => `lower(hex(${value}))`,
    int64: (value) => `${value}::VARCHAR`,
    uint64: (value) => `${value}::VARCHAR`,
    double: (value) => `${value}::VARCHAR`,
    timestampMs: (value) => `epoch_ms(${value})::VARCHAR`,
    timestampNs: (value) => `epoch_ns(${value})::VARCHAR`,
    attributes: (value) => `list_transform(map_entries(${value}), lambda e: [e.key, e.value])`,
  };
  const item = `${type.slice(4, 5).toLowerCase()}${type.slice(5)}` as ArchiveType;
  const form = forms[type.startsWith('list') ? item : type];
  if (!form) return `"${name}"`;
  return type.startsWith('list')
    ? `list_transform("${name}", lambda x: ${form('x')})`
    : form(`"${name}"`);
}

/** All rows of a Parquet file, read by the ClickHouse engine, in the order of the file. */
export function clickhouseRows(path: string, signal: Signal = 'traces'): ArchiveRow[] {
  const columns = archiveColumns[signal];
  const fields = columns.map(
    ({ name, type }, index) => `${clickhouseForm(type, `c${index}`)} AS \`${name}\``,
  );
  // The names of the result hide those of the file, so the file's get another one first.
  const aliases = columns.map(({ name }, index) => `\`${name}\` AS c${index}`);
  const sql = `SELECT ${fields.join(', ')} FROM (SELECT ${aliases.join(', ')} FROM file('${path}', Parquet))
    SETTINGS output_format_json_quote_64bit_integers = 1, max_threads = 1`;
  return query(sql, 'JSONEachRow')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => withDoubles(JSON.parse(line) as ArchiveRow, signal));
}

function clickhouseForm(type: ArchiveType, column: string): string {
  const forms: Partial<Record<ArchiveType, (value: string) => string>> = {
    id16: (value) => `lower(hex(${value}))`,
    id8: (value) => `lower(hex(${value}))`,
    binary: (value) => `lower(hex(${value}))`,
    double: (value) => `toString(${value})`,
    timestampMs: (value) => `toString(toUnixTimestamp64Milli(${value}))`,
    timestampNs: (value) => `toString(toUnixTimestamp64Nano(${value}))`,
    attributes: (value) => `arrayMap((k, v) -> [k, v], mapKeys(${value}), mapValues(${value}))`,
  };
  const item = `${type.slice(4, 5).toLowerCase()}${type.slice(5)}` as ArchiveType;
  const form = forms[type.startsWith('list') ? item : type];
  if (!form) return column;
  return type.startsWith('list') ? `arrayMap(x -> ${form('x')}, ${column})` : form(column);
}
