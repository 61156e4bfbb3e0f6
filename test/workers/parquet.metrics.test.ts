/** Archive files of metrics as ClickHouse and DuckDB read them, against the reference's columns. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { query } from 'chdb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns } from '../../aggregator-as/host.ts';
import { metricColumns, topics } from '../../schemas/archive.ts';
import type { ArchiveType } from '../../schemas/archive.ts';
import { encodeParquet } from '../../workers/parquet.ts';
import { loadTranscoder, provenance as spanProvenance } from '../aggregator-as/module.ts';
import { expectPointHours } from '../aggregator-as/pointcolumns.ts';
import type { PlacedPoint } from '../aggregator-as/pointcolumns.ts';
import { bitsOf, PointGenerator } from '../aggregator-as/pointmaker.ts';
import { expectPoints } from '../aggregator-as/points.ts';
import { duckdb } from '../support/archived.ts';
import { seededRandom } from '../support/random.ts';

const provenance = { ...spanProvenance, topic: topics.metrics };
const seed = 20_261_123;
let directory: string;
let transcoder: WebAssembly.Module;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tidemark-metrics-'));
  transcoder = await loadTranscoder();
});

afterAll(async () => rm(directory, { recursive: true }));

/** A column's value as text that loses nothing: doubles as bits, times as integers, bytes as hex. */
function textOf(type: ArchiveType, value: unknown): unknown {
  if (value === null) return null;
  if (Array.isArray(value) && type === 'listDouble')
    return value.map((each) => textOf('double', each));
  if (type === 'double') return String(bitsOf(value as number));
  if (type.endsWith('Kinds') || type === 'kinds') return value;
  if (Array.isArray(value) && /^list(Ui|I)nt|^listTimestamp/.test(type)) return value.map(String);
  return typeof value === 'bigint' || typeof value === 'number' ? String(value) : value;
}

/** The same text by ClickHouse. */
function selected(name: string, type: ArchiveType): string {
  const column = `\`${name}\``;
  const each = (item: string) => `arrayMap(x -> ${item}, ${column})`;
  const texts: Partial<Record<ArchiveType, string>> = {
    id16: `lower(hex(${column}))`,
    binary: `lower(hex(${column}))`,
    double: `toString(reinterpretAsUInt64(${column}))`,
    timestampNs: `toString(toUnixTimestamp64Nano(${column}))`,
    timestampMs: `toString(toUnixTimestamp64Milli(${column}))`,
    attributes: `arrayZip(mapKeys(${column}), mapValues(${column}))`,
    listAttributes: each('arrayZip(mapKeys(x), mapValues(x))'),
    listDouble: each('toString(reinterpretAsUInt64(x))'),
    listTimestampNs: each('toString(toUnixTimestamp64Nano(x))'),
    listInt64: each('toString(x)'),
    listUint64: each('toString(x)'),
    listId8: each('lower(hex(x))'),
    listId16: each('lower(hex(x))'),
  };
  if (/^(int|uint)/.test(type)) return `toString(${column})`;
  return texts[type] ?? column;
}

describe('encodeParquet() of metrics', () => {
  it('keeps every column: ClickHouse and DuckDB read what protobufjs reads of OTLP', async () => {
    const columns = new ItemColumns(transcoder, 'metrics');
    const generator = new PointGenerator(seededRandom(seed));
    const placed: PlacedPoint[] = [];
    for (let count = 0; count < 60; count++) {
      const request = generator.request();
      columns.add(request, provenance);
      const { points } = expectPoints(request, provenance);
      placed.push(...points.map((point) => ({ point, provenance })));
    }
    const hours = expectPointHours(placed);
    let index = 0;
    for (const batch of columns.hours()) {
      const { rows = [] } = hours[index++] ?? {};
      const { bytes, rowGroups } = encodeParquet(batch);
      const path = join(directory, `${index}.parquet`);
      await writeFile(path, bytes);
      expect(rowGroups[0]?.idMin).toBe(rows[0]?.['SeriesHash']);
      const cells = metricColumns.map(({ name, type }) => selected(name, type));
      const text = query(
        `SELECT ${cells.join(', ')} FROM file('${path}', Parquet)`,
        'JSONCompactEachRow',
      );
      const stored = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown[]);
      for (const [place, { name, type }] of metricColumns.entries()) {
        const wanted = rows.map((row) => textOf(type, row[name]));
        expect(
          stored.map((row) => row[place]),
          `seed ${seed}: ${name}`,
        ).toEqual(wanted);
      }
      const sql = `SELECT to_json({rows: count(*), ints: count("ValueInt"), sums: count("Sum"),
        buckets: sum(len("BucketCounts"))::INT, attributes: sum(cardinality("Attributes"))::INT
        })::VARCHAR AS row FROM '${path}'`;
      const lengths = (name: string) =>
        rows.reduce((sum, row) => sum + (row[name] as unknown[]).length, 0);
      expect(await duckdb(sql, 'row')).toEqual([
        {
          rows: rows.length,
          ints: rows.filter((row) => row['ValueInt'] !== null).length,
          sums: rows.filter((row) => row['Sum'] !== null).length,
          buckets: lengths('BucketCounts'),
          attributes: lengths('Attributes'),
        },
      ]);
    }
    expect(index).toBe(hours.length);
    expect(placed.length).toBeGreaterThan(200);
  });
});
