/** Archive files against two independent readers and an independent decoder of their input. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns } from '../../aggregator-as/host.ts';
import { topics, traceColumns } from '../../schemas/archive.ts';
import { rowGroupRows } from '../../schemas/limits/archive.ts';
import { encodeParquet } from '../../workers/parquet.ts';
import { clickhouseRows, duckdb, duckdbRows, expectedRows } from '../support/archived.ts';
import type { ArchiveRow, Traces } from '../support/archived.ts';
import { decodeTraces, encodeTraces } from '../support/otlp.ts';
import { seededRandom } from '../support/random.ts';

const hourMs = Date.UTC(2026, 10, 22, 13);
const receivedMs = hourMs + 3_599_999;
const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);

let directory: string;
let transcoder: WebAssembly.Module;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tidemark-parquet-'));
  transcoder = await WebAssembly.compile(await readFile(wasm));
});

afterAll(async () => rm(directory, { recursive: true }));

function origin(offset: bigint, at = receivedMs) {
  return { tenantId: 'acme', receivedMs: at, topic: topics.traces, partition: -1, offset };
}

/** Far enough that no span of these tests is quarantined unless it wants to be. */
const windows = { pastMaxMs: 86_400_000, futureMaxMs: 86_400_000 };

/** The files of all hours of some requests, in the order in which they come. */
async function archive(requests: readonly Uint8Array[]) {
  const columns = new ItemColumns(transcoder, 'traces');
  for (const [index, request] of requests.entries()) {
    columns.add(request, { ...origin(BigInt(index)), ...windows });
  }
  const files = [];
  for (const batch of columns.hours()) {
    const { hourMs: hour, quarantined, rows, timeMinNs, timeMaxNs } = batch;
    const { bytes, rowGroups } = encodeParquet(batch);
    const path = join(directory, `${files.length}-${Math.trunc(performance.now() * 1000)}.parquet`);
    await writeFile(path, bytes);
    files.push({ path, hour, quarantined, rows, timeMinNs, timeMaxNs, rowGroups });
  }
  return files;
}

function keyOf({ TraceId, SpanId, Offset, ItemIndex }: ArchiveRow): string {
  return [TraceId, SpanId, String(Offset).padStart(20), String(ItemIndex).padStart(9)].join();
}

/** By trace id, span id and arrival: the order of an archive file. */
function sorted(rows: readonly ArchiveRow[]): ArchiveRow[] {
  return rows.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** Raw messages are compared on their own: here only whether there is one. */
function withoutRaw(row: ArchiveRow): ArchiveRow {
  const raw = ['SpanOtlp', 'ResourceOtlp', 'ScopeOtlp'];
  return { ...row, ...Object.fromEntries(raw.map((name) => [name, Boolean(row[name])])) };
}

const id = (byte: number, bytes: number) => Buffer.alloc(bytes, byte);

const everyKind = [
  { key: 'string', value: { stringValue: 'grün 🌊' } },
  { key: 'empty string', value: { stringValue: '' } },
  { key: 'true', value: { boolValue: true } },
  { key: 'false', value: { boolValue: false } },
  { key: 'int', value: { intValue: '-9223372036854775808' } },
  { key: 'double', value: { doubleValue: 1.5 } },
  { key: 'bytes', value: { bytesValue: Buffer.from([0, 255, 16]) } },
  { key: 'none', value: {} },
];

const nested = [
  { key: 'array', value: { arrayValue: { values: [{ stringValue: 'a' }, { stringValue: 'b' }] } } },
  { key: 'list', value: { kvlistValue: { values: [{ key: 'k', value: { stringValue: 'v' } }] } } },
];

function spanAt(byte: number, ns: string, more: Record<string, unknown> = {}) {
  return {
    traceId: id(byte, 16),
    spanId: id(byte, 8),
    name: `span ${byte}`,
    kind: byte % 6,
    startTimeUnixNano: `${BigInt(hourMs) * 1_000_000n + BigInt(ns)}`,
    endTimeUnixNano: `${BigInt(hourMs) * 1_000_000n + BigInt(ns) + 1_234_567_891n}`,
    ...more,
  };
}

/** A request that has something in every field of OTLP's traces. */
function fullRequest(): Uint8Array {
  const event = { timeUnixNano: '1795352400123456789', name: 'retry', attributes: everyKind };
  const link = { traceId: id(7, 16), spanId: id(8, 8), traceState: 'l=1', attributes: everyKind };
  const full = spanAt(3, '123456789', {
    parentSpanId: id(9, 8),
    traceState: 'a=1,b=2',
    flags: 0x301,
    attributes: everyKind,
    droppedAttributesCount: 4_294_967_295,
    events: [
      { ...event, droppedAttributesCount: 3 },
      { timeUnixNano: '1', name: '' },
    ],
    droppedEventsCount: 5,
    links: [
      { ...link, droppedAttributesCount: 6, flags: 0x100 },
      { ...link, attributes: [] },
    ],
    droppedLinksCount: 7,
    status: { code: 2, message: 'kaputt' },
  });
  const resource = {
    attributes: [{ key: 'service.name', value: { stringValue: 'cart' } }, ...everyKind],
    droppedAttributesCount: 8,
  };
  const scope = { name: 'lib', version: '1.2', attributes: everyKind, droppedAttributesCount: 9 };
  const reversed = { endTimeUnixNano: `${BigInt(hourMs) * 1_000_000n}` };
  return encodeTraces({
    resourceSpans: [
      {
        resource,
        schemaUrl: 'https://example.org/resource',
        scopeSpans: [
          {
            scope,
            schemaUrl: 'https://example.org/scope',
            spans: [full, spanAt(2, '0', { attributes: nested }), spanAt(1, '5', reversed)],
          },
          { spans: [spanAt(4, '7', { status: { code: 1 } })] },
        ],
      },
      { resource: { attributes: nested }, scopeSpans: [{ spans: [spanAt(5, '1')] }] },
      { scopeSpans: [{ scope: { attributes: nested }, spans: [spanAt(6, '999999999')] }] },
    ],
  });
}

describe('encodeParquet()', () => {
  it('keeps every column: DuckDB and ClickHouse read what protobufjs reads of OTLP', async () => {
    const request = fullRequest();
    const [file] = await archive([request]);
    const traces = decodeTraces(request) as unknown as Traces;
    const expected = sorted(expectedRows(traces, origin(0n)));
    const byDuckdb = await duckdbRows([file?.path ?? '']);
    const byClickhouse = clickhouseRows(file?.path ?? '');
    expect(Object.keys(byDuckdb[0] ?? {})).toEqual(traceColumns.map(({ name }) => name));
    expect(byDuckdb.map(withoutRaw)).toEqual(expected);
    expect(byClickhouse.map(withoutRaw)).toEqual(expected);
    expect(byClickhouse).toEqual(byDuckdb);
  });

  it('keeps the raw message of what the columns alone do not give back', async () => {
    const request = fullRequest();
    const [file] = await archive([request]);
    const rows = await duckdbRows([file?.path ?? '']);
    const raw = Buffer.from(String(rows[1]?.['SpanOtlp']), 'hex');
    const span = spanAt(2, '0', { attributes: nested });
    // A request that wraps the raw span again: field 1 within field 2 within field 2.
    const wrapped = [0x12, 0x12, 0x0a].reduce(
      (inner, tag) => Buffer.concat([Buffer.from([tag, inner.length]), inner]),
      raw,
    );
    expect(raw.length).toBeLessThan(120);
    const decoded = decodeTraces(Uint8Array.from(wrapped));
    const again = decodeTraces(
      encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }),
    );
    expect(JSON.stringify(decoded)).toBe(JSON.stringify(again));
  });

  it('gives a file per hour, quarantined spans apart, and the ranges of their times', async () => {
    const times = ['0', '3599999999999', '3600000000000', '-1', '-86400000000000000'];
    const spans = times.map((ns, index) => spanAt(index + 1, ns));
    const files = await archive([encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans }] }] })]);
    const hour = 3_600_000;
    const found = files.map((file) => [file.hour, file.quarantined, file.rows]);
    expect(found.map(String).toSorted()).toEqual(
      [
        [hourMs - hour, false, 1],
        [hourMs, false, 2],
        [hourMs + hour, false, 1],
        [hourMs, true, 1],
      ]
        .map(String)
        .toSorted(),
    );
    const start = BigInt(hourMs) * 1_000_000n;
    const good = files.find((file) => file.hour === hourMs && !file.quarantined);
    expect(good).toMatchObject({ timeMinNs: start, timeMaxNs: start + 3_599_999_999_999n });
    const [wild] = await duckdbRows([files.find((file) => file.quarantined)?.path ?? '']);
    expect(wild).toMatchObject({ SpanName: 'span 5', Quarantined: true });
  });

  it('cuts row groups, sorts by trace id and states their ranges, zstd, no dictionary of ids', async () => {
    const seed = 20_261_122;
    console.info(`seed ${seed}`);
    const random = seededRandom(seed);
    const requests = Array.from({ length: 60 }, (_, request) => {
      const spans = Array.from({ length: 1000 }, (__, index) => ({
        ...spanAt(1, String(request * 1000 + index)),
        traceId: Buffer.from(Array.from({ length: 16 }, () => Math.floor(random() * 256))),
        name: `operation ${index % 7}`,
      }));
      return encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
    });
    const [file] = await archive(requests);
    if (!file) throw new Error('no file');
    const ranges = await duckdb(
      `SELECT to_json({rows: count(*), idMin: min(lower(hex(TraceId))),
         idMax: max(lower(hex(TraceId)))})::VARCHAR AS row
       FROM read_parquet('${file.path}', file_row_number = true)
       GROUP BY file_row_number // ${rowGroupRows} ORDER BY file_row_number // ${rowGroupRows}`,
      'row',
    );
    expect(file.rowGroups).toEqual(ranges);
    expect(file.rowGroups.map(({ rows }) => rows)).toEqual([rowGroupRows, 10_000]);
    const metadata = await duckdb(
      `SELECT to_json({rows: row_group_num_rows, name: path_in_schema, codec: compression,
         encodings: encodings, stats: stats_min_value IS NOT NULL})::VARCHAR AS row
       FROM parquet_metadata('${file.path}') WHERE row_group_id = 0
         AND path_in_schema IN ('TraceId', 'SpanName', 'Timestamp', 'Flags')`,
      'row',
    );
    expect(metadata).toMatchObject([
      // Random bytes, and seven names in three bits each, hardly shrink: they are left as they are.
      { name: 'TraceId', codec: 'UNCOMPRESSED', encodings: 'PLAIN, RLE', stats: true },
      { name: 'Flags', codec: 'UNCOMPRESSED', encodings: 'PLAIN, RLE, RLE_DICTIONARY' },
      { name: 'SpanName', codec: 'UNCOMPRESSED', stats: true },
      {
        rows: rowGroupRows,
        name: 'Timestamp',
        codec: 'ZSTD',
        encodings: 'PLAIN, RLE',
        stats: true,
      },
    ]);
    const version = await duckdb(
      `SELECT to_json({value: decode(value)})::VARCHAR AS row
       FROM parquet_kv_metadata('${file.path}') WHERE decode(key) = 'tidemark.schema'`,
      'row',
    );
    expect(version).toEqual([{ value: '2' }]);
  });
});
