/**
 * Files of several row groups and pages, of values that have dictionaries and of those that do not,
 * against the same columns written by parquet-wasm: DuckDB compares the two, row by row.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns } from '../../aggregator-as/host.ts';
import type { HourBatch } from '../../aggregator-as/host.ts';
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { rowGroupRows } from '../../schemas/limits/archive.ts';
import { encodeParquet } from '../../workers/parquet.ts';
import { Generator } from '../aggregator-as/generate.ts';
import { LogGenerator } from '../aggregator-as/logmaker.ts';
import { loadTranscoder, provenance } from '../aggregator-as/module.ts';
import { PointGenerator } from '../aggregator-as/pointmaker.ts';
import { duckdb } from '../support/archived.ts';
import { encodeByLibrary } from '../support/library.ts';
import { encodeTraces } from '../support/otlp.ts';
import { seededRandom } from '../support/random.ts';

const generators = { traces: Generator, logs: LogGenerator, metrics: PointGenerator };
const hourMs = 3_600_000;
const seed = 20_261_125;

let directory: string;
let module: WebAssembly.Module;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tidemark-large-'));
  module = await loadTranscoder();
});

afterAll(async () => rm(directory, { recursive: true }));

/** Writes the batch both ways. Returns how many rows differ, and how many there are. */
async function compare(batch: HourBatch, name: string) {
  const paths = ['library', 'own'].map((by) => join(directory, `${name}-${by}.parquet`));
  const [library = '', own = ''] = paths;
  await writeFile(library, encodeByLibrary(batch));
  await writeFile(own, encodeParquet(batch).bytes);
  const [counts] = await duckdb(
    `SELECT to_json({rows: count(*)::INT, differing: count(*) FILTER (a IS DISTINCT FROM b)::INT})
       ::VARCHAR AS row
     FROM read_parquet('${own}') a POSITIONAL JOIN read_parquet('${library}') b`,
    'row',
  );
  expect(await schemaOf(own)).toEqual(await schemaOf(library));
  return counts;
}

function schemaOf(path: string) {
  return duckdb(
    `SELECT to_json(COLUMNS(* EXCLUDE file_name))::VARCHAR AS row FROM parquet_schema('${path}')`,
    'row',
  );
}

describe('encodeParquet() of many rows', () => {
  it.each(['traces', 'logs', 'metrics'] as const)(
    'writes of %s what a library writes, whatever the shape of their values',
    async (signal: Signal) => {
      console.info(`seed ${seed}`);
      const generator = new generators[signal](seededRandom(seed));
      const requests = Array.from({ length: 40 }, () => generator.request());
      const columns = new ItemColumns(module, signal);
      const place = { ...provenance, topic: topics[signal] };
      // All in one hour, whatever their times say: those are quarantined.
      const windows = { pastMaxMs: 0, futureMaxMs: 0 };
      for (let offset = 0n; columns.rowCount < rowGroupRows + 5003; offset += 1n) {
        const request = requests[Number(offset % 40n)] ?? new Uint8Array();
        columns.add(request, { ...place, ...windows, offset });
      }
      let index = 0;
      for (const batch of columns.hours()) {
        const { rows } = batch;
        expect(await compare(batch, `${signal}-${index}`)).toEqual({ rows, differing: 0 });
        index += 1;
      }
    },
  );

  it('leaves the dictionary when values are too many, and cuts pages where they are long', async () => {
    const random = seededRandom(seed);
    const id = (bytes: number) =>
      Buffer.from(Array.from({ length: bytes }, () => 1 + Math.floor(random() * 255)));
    const columns = new ItemColumns(module, 'traces');
    const startMs = Math.floor(provenance.receivedMs / hourMs) * hourMs;
    for (let offset = 0n; offset < 30n; offset += 1n) {
      const spans = Array.from({ length: 400 }, (_, index) => ({
        traceId: id(16),
        spanId: id(8),
        ...(random() < 0.5 && { parentSpanId: id(8) }),
        name: `span ${index % 9}`,
        startTimeUnixNano: `${BigInt(startMs) * 1_000_000n + BigInt(Math.floor(random() * 1e12))}`,
        endTimeUnixNano: `${BigInt(startMs + hourMs) * 1_000_000n + BigInt(Math.floor(random() * 1e9))}`,
        traceState: id(1 + (index % 7)).toString('hex'),
        status: { message: id(40).toString('hex') },
        attributes: Array.from({ length: index % 5 }, (__, at) => ({
          key: `key ${at}`,
          value: { stringValue: id(200).toString('hex') },
        })),
        events: Array.from({ length: index % 3 }, () => ({
          name: id(30).toString('hex'),
          attributes: [{ key: 'text', value: { stringValue: id(100).toString('hex') } }],
        })),
      }));
      // Each of a resource of its own: what rows share with their owner does not repeat either.
      const resourceSpans = spans.map((span) => ({
        resource: { attributes: [{ key: 'pod', value: { stringValue: id(20).toString('hex') } }] },
        scopeSpans: [{ spans: [span] }],
      }));
      const request = encodeTraces({ resourceSpans });
      const windows = { pastMaxMs: 1e12, futureMaxMs: 1e12 };
      columns.add(request, { ...provenance, ...windows, topic: topics.traces, offset });
    }
    const [batch] = columns.hours();
    if (!batch) throw new Error('no rows');
    expect(await compare(batch, 'unique')).toEqual({ rows: 12_000, differing: 0 });
    const path = join(directory, 'unique-own.parquet');
    const encodings = await duckdb(
      `SELECT to_json({path: path_in_schema, encodings: encodings})::VARCHAR AS row
       FROM parquet_metadata('${path}') WHERE path_in_schema IN
         ('StatusMessage', 'Duration', 'SpanName', 'SpanAttributes, entries, value',
          'ResourceAttributes, entries, key', 'ResourceAttributes, entries, value')`,
      'row',
    );
    expect(Object.fromEntries(encodings.map((row) => [row['path'], row['encodings']]))).toEqual({
      SpanName: 'PLAIN, RLE, RLE_DICTIONARY',
      Duration: 'PLAIN, RLE',
      StatusMessage: 'PLAIN, RLE',
      'SpanAttributes, entries, value': 'PLAIN, RLE',
      'ResourceAttributes, entries, key': 'PLAIN, RLE, RLE_DICTIONARY',
      'ResourceAttributes, entries, value': 'PLAIN, RLE',
    });
  });

  it('states least and greatest values that filters may go by', async () => {
    const path = join(directory, 'unique-own.parquet');
    const stated = await duckdb(
      `SELECT to_json({name: path_in_schema, least: min(stats_min_value), greatest: max(stats_max_value),
         nulls: sum(stats_null_count)::INT})::VARCHAR AS row
       FROM parquet_metadata('${path}')
       WHERE path_in_schema IN ('SpanName', 'Timestamp', 'Duration', 'ParentSpanId')
       GROUP BY path_in_schema ORDER BY path_in_schema`,
      'row',
    );
    const real = await duckdb(
      `SELECT to_json([
         {name: 'Duration', least: min(Duration)::VARCHAR, greatest: max(Duration)::VARCHAR, nulls: 0},
         {name: 'SpanName', least: min(SpanName), greatest: max(SpanName), nulls: 0},
         {name: 'Timestamp', least: min("Timestamp")::VARCHAR, greatest: max("Timestamp")::VARCHAR,
          nulls: 0}])::VARCHAR AS row,
       FROM read_parquet('${path}')`,
      'row',
    );
    expect(stated.filter(({ name }) => name !== 'ParentSpanId')).toEqual(real[0]);
    const [nulls] = await duckdb(
      `SELECT to_json({nulls: count(*)::INT})::VARCHAR AS row FROM read_parquet('${path}')
       WHERE ParentSpanId IS NULL`,
      'row',
    );
    expect(stated.find(({ name }) => name === 'ParentSpanId')).toMatchObject(nulls ?? {});
  });
});
