/**
 * Spans for tests of the batch, and Parquet files of them: only the columns that the batch needs,
 * and some that it must not read, in the archive's types and order.
 */
import {
  Dictionary,
  Field,
  FixedSizeBinary,
  Int32,
  Int64,
  List,
  makeData,
  Map_,
  RecordBatch,
  Schema,
  Struct,
  Table as ArrowTable,
  tableToIPC,
  TimestampMillisecond,
  TimestampNanosecond,
  Uint32,
  Uint64,
  Utf8,
  vectorFromArray,
  type Data,
  type DataType,
} from 'apache-arrow';
import { Compression, Table, WriterPropertiesBuilder, writeParquet } from 'parquet-wasm/node';
import type { CommitRowGroup } from '../../schemas/commit.ts';
import { peerOf } from './peer.ts';
import { seededRandom } from './random.ts';

export interface SpanRow {
  readonly tenant: string;
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  readonly kind: string;
  readonly service: string;
  readonly operation: string;
  readonly status: string;
  readonly timestampNs: bigint;
  readonly durationNs: bigint;
  readonly ingestedMs: number;
  readonly partition: number;
  readonly offset: bigint;
  readonly itemIndex: number;
  /** 16 hex digits; none by default. */
  readonly parentSpanId?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
}

export interface SpanFile {
  readonly bytes: Uint8Array;
  readonly rowGroups: CommitRowGroup[];
  readonly rows: SpanRow[];
}

/**
 * A Parquet file of the rows, sorted as the archiver sorts them; for tests of damage, without some columns
 * or in the order given.
 */
export function writeSpanFile(
  rows: readonly SpanRow[],
  rowGroupRows = 50_000,
  without: readonly string[] = [],
  order: 'sorted' | 'unsorted' = 'sorted',
  version = '2',
  names: 'coded' | 'plain' = 'coded',
): SpanFile {
  const sorted = order === 'sorted' ? rows.toSorted(byTraceAndArrival) : [...rows];
  const columns = columnsOf(sorted);
  for (const name of without) delete columns[name];
  const fields = Object.entries(columns).map(
    ([name, data]) => new Field(name, data.type, name === 'ParentSpanId'),
  );
  const schema = new Schema(fields);
  const struct = makeData({
    type: new Struct(fields),
    length: sorted.length,
    nullCount: 0,
    children: Object.values(columns),
  });
  const table = new ArrowTable([new RecordBatch(schema, struct)]);
  const properties = new WriterPropertiesBuilder()
    .setMaxRowGroupSize(rowGroupRows)
    .setCompression(Compression.ZSTD)
    .setKeyValueMetadata(new Map([['tidemark.schema', version]]))
    .setDictionaryEnabled(names === 'coded')
    .setColumnDictionaryEnabled('TraceId', false)
    .setColumnDictionaryEnabled('SpanId', false)
    .build();
  const bytes = writeParquet(Table.fromIPCStream(tableToIPC(table, 'stream')), properties);
  return { bytes, rowGroups: rowGroupsOf(sorted, rowGroupRows), rows: sorted };
}

/**
 * Spans of `hourMs` with every kind of trouble: duplicates (equal and differing), span ids shared
 * by a client and a server, empty and non-ASCII names, equal durations, big ones.
 */
export function randomSpans(
  random: () => number,
  count: number,
  options: { hourMs?: number; traces?: number; offset?: bigint; services?: number } = {},
): SpanRow[] {
  const { hourMs = Date.UTC(2026, 10, 21, 13), offset = 0n, services = 5 } = options;
  const traces = Array.from({ length: options.traces ?? Math.max(1, count >> 3) }, () =>
    randomHex(random, 32),
  );
  const rows: SpanRow[] = [];
  while (rows.length < count) {
    const previous = rows[Math.floor(random() * rows.length)];
    const fresh = freshSpan(random, pick(random, traces), hourMs, services);
    const at = { offset: offset + BigInt(rows.length >> 4), itemIndex: rows.length & 15 };
    rows.push({ ...(previous === undefined ? fresh : troubled(random, fresh, previous)), ...at });
  }
  return joined(rows);
}

/** Spans with parents of the same trace, attributes of all kinds of peers, and links. */
function joined(rows: readonly SpanRow[]): SpanRow[] {
  const random = seededRandom(rows.length);
  const traces = Map.groupBy(rows, ({ traceId }) => traceId);
  return rows.map((row) => {
    const parent = pick(random, traces.get(row.traceId) ?? [row]);
    return {
      ...row,
      ...(random() < 0.8 && { parentSpanId: parent.spanId }),
      attributes: Object.fromEntries(
        peerAttributes.filter(() => random() < 0.12).map((key) => [key, pick(random, peers)]),
      ),
      links: rows.slice(0, random() < 0.3 ? 2 : 0).map(() => {
        const { traceId, spanId } = pick(random, rows);
        return { traceId, spanId };
      }),
    };
  });
}

const mapType = new Map_(
  new Field(
    'entries',
    new Struct<{ key: Utf8; value: Utf8 }>([
      new Field('key', new Utf8(), false),
      new Field('value', new Utf8(), false),
    ]),
    false,
  ),
);

const peerAttributes = [
  'peer.service',
  'db.system.name',
  'db.system',
  'db.namespace',
  'db.name',
  'messaging.system',
  'messaging.destination.name',
  'messaging.destination',
  'server.address',
  'net.peer.name',
  'http.route',
];
const peers = ['kafka', 'orders', 'cart', '10.0.0.7', 'größe', ''];

function freshSpan(
  random: () => number,
  traceId: string,
  hourMs: number,
  services: number,
): SpanRow {
  const startMs = hourMs + Math.floor(random() * 3_600_000);
  return {
    tenant: pick(random, ['default', 'default', 'acme']),
    traceId,
    spanId: randomHex(random, 16),
    kind: pick(random, ['Internal', 'Server', 'Client', 'Producer', 'Consumer', 'Unspecified']),
    service: pick(random, ['checkout', 'cart', '', 'zahlung-ü', 'search'].slice(0, services)),
    operation: pick(random, ['GET /', 'POST /pay', '', 'select 🛒', "a\tb'c\\d", 'x'.repeat(300)]),
    status: pick(random, ['Unset', 'Unset', 'Ok', 'Error']),
    timestampNs: BigInt(startMs) * 1_000_000n + BigInt(Math.floor(random() * 1_000_000)),
    durationNs: duration(random),
    ingestedMs: startMs + Math.floor(random() * 5000),
    partition: pick(random, [-1, 0, 1]),
    offset: 0n,
    itemIndex: 0,
  };
}

function duration(random: () => number): bigint {
  const shape = random();
  if (shape < 0.1) return 0n;
  if (shape < 0.3) return 1_000_000n;
  return BigInt(Math.floor(10 ** (random() * 11)));
}

/** Sometimes a copy of an earlier span: exact, from elsewhere, of another kind, or in conflict. */
function troubled(random: () => number, fresh: SpanRow, previous: SpanRow): SpanRow {
  const which = random();
  const { ingestedMs, partition } = fresh;
  if (which < 0.05) return previous;
  if (which < 0.1) return { ...previous, ingestedMs, partition };
  if (which < 0.15) return { ...previous, kind: fresh.kind, service: fresh.service };
  if (which < 0.18) return { ...fresh, traceId: previous.traceId, spanId: previous.spanId };
  if (which < 0.2) return { ...previous, durationNs: fresh.durationNs, operation: fresh.operation };
  return fresh;
}

function pick<T>(random: () => number, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error('Bug: nothing to pick from');
  return item;
}

function randomHex(random: () => number, digits: number): string {
  return Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('');
}

function columnsOf(rows: readonly SpanRow[]): Record<string, Data> {
  return {
    TraceId: fixed(rows, 16, (row) => row.traceId),
    SpanId: fixed(rows, 8, (row) => row.spanId),
    ParentSpanId: parents(rows),
    SpanName: dictionary(rows, (row) => row.operation),
    SpanKind: dictionary(rows, (row) => row.kind),
    ServiceName: dictionary(rows, (row) => row.service),
    Timestamp: makeData({
      type: new TimestampNanosecond('UTC'),
      data: BigInt64Array.from(rows, (row) => row.timestampNs),
    }),
    Duration: makeData({
      type: new Uint64(),
      data: BigUint64Array.from(rows, (row) => row.durationNs),
    }),
    StatusCode: dictionary(rows, (row) => row.status),
    StatusMessage: text(rows.map((row) => `a long message that nobody asked for ${row.spanId}`)),
    SpanAttributes: vector(
      rows.map(({ attributes }) => new Map(Object.entries(attributes ?? {}))),
      mapType,
    ),
    'Links.TraceId': idLists(rows, 16, ({ traceId }) => traceId),
    'Links.SpanId': idLists(rows, 8, ({ spanId }) => spanId),
    PeerKind: dictionary(rows, (row) => peerOf(row.kind, row.attributes ?? {}).kind),
    PeerName: dictionary(rows, (row) => peerOf(row.kind, row.attributes ?? {}).name),
    TenantId: dictionary(rows, (row) => row.tenant),
    IngestedAt: makeData({
      type: new TimestampMillisecond('UTC'),
      data: BigInt64Array.from(rows, (row) => BigInt(row.ingestedMs)),
    }),
    Topic: dictionary(rows, () => 'otlp_spans'),
    Partition: makeData({ type: new Int32(), data: Int32Array.from(rows, (row) => row.partition) }),
    Offset: makeData({ type: new Int64(), data: BigInt64Array.from(rows, (row) => row.offset) }),
    ItemIndex: makeData({
      type: new Uint32(),
      data: Uint32Array.from(rows, (row) => row.itemIndex),
    }),
  };
}

function fixed(rows: readonly SpanRow[], width: number, of: (row: SpanRow) => string): Data {
  const data = new Uint8Array(Buffer.from(rows.map(of).join(''), 'hex'));
  return makeData({ type: new FixedSizeBinary(width), length: rows.length, nullCount: 0, data });
}

function dictionary(rows: readonly SpanRow[], of: (row: SpanRow) => string): Data {
  const values = [...new Set(rows.map(of))];
  const codes = new Map(values.map((value, code) => [value, code]));
  return makeData({
    type: new Dictionary(new Utf8(), new Int32()),
    length: rows.length,
    nullCount: 0,
    data: Int32Array.from(rows, (row) => codes.get(of(row)) ?? 0),
    dictionary: vectorFromArray(values, new Utf8()),
  });
}

/** Ids of parents, null where there is none. */
function parents(rows: readonly SpanRow[]): Data {
  const given = rows.map(({ parentSpanId }) => parentSpanId);
  const nullBitmap = new Uint8Array(Math.ceil(rows.length / 8));
  for (const [row, id] of given.entries()) {
    if (id !== undefined) nullBitmap[row >> 3] = (nullBitmap[row >> 3] ?? 0) | (1 << (row & 7));
  }
  const nullCount = given.filter((id) => id === undefined).length;
  const ids = given.map((id) => id ?? 'ff'.repeat(8)).join('');
  const data = new Uint8Array(Buffer.from(ids, 'hex'));
  const type = new FixedSizeBinary(8);
  return makeData({ type, length: rows.length, nullCount, nullBitmap, data });
}

function idLists(
  rows: readonly SpanRow[],
  width: number,
  of: (link: { traceId: string; spanId: string }) => string,
): Data {
  const lists = rows.map(({ links = [] }) => links.map((link) => Buffer.from(of(link), 'hex')));
  return vector(lists, new List(new Field('item', new FixedSizeBinary(width), false)));
}

function text(values: readonly string[]): Data {
  return vector(values, new Utf8());
}

function vector(values: readonly unknown[], type: DataType): Data {
  const [data] = vectorFromArray(values, type).data;
  if (data === undefined) throw new Error('Bug: a vector without data');
  return data;
}

function rowGroupsOf(sorted: readonly SpanRow[], rowGroupRows: number): CommitRowGroup[] {
  const groups: CommitRowGroup[] = [];
  for (let at = 0; at < sorted.length; at += rowGroupRows) {
    const rows = sorted.slice(at, at + rowGroupRows);
    groups.push({
      rows: rows.length,
      idMin: rows[0]?.traceId ?? '',
      idMax: rows.at(-1)?.traceId ?? '',
    });
  }
  return groups;
}

function byTraceAndArrival(a: SpanRow, b: SpanRow): number {
  return (
    compare(a.traceId, b.traceId) ||
    compare(a.spanId, b.spanId) ||
    compare(a.ingestedMs, b.ingestedMs) ||
    compare(a.partition, b.partition) ||
    compare(a.offset, b.offset) ||
    compare(a.itemIndex, b.itemIndex)
  );
}

function compare<T extends string | number | bigint>(a: T, b: T): number {
  return a < b ? -1 : Number(a > b);
}
