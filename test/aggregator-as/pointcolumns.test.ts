/** Arrow columns of metrics, read through apache-arrow, against protobufjs with a plain reference. */
import { query } from 'chdb';
import { beforeAll, describe, expect, it } from 'vitest';
import { ItemColumns, Transcoder } from '../../aggregator-as/host.ts';
import type { Provenance } from '../../aggregator-as/host.ts';
import { metricColumns } from '../../schemas/archive.ts';
import { seededRandom } from '../support/random.ts';
import { valuesOf } from './arrow.ts';
import { loadTranscoder, provenance as spanProvenance, receipt } from './module.ts';
import { fillBounded } from './outcome.ts';
import { hexOf, murmur } from './murmur.ts';
import { expectPointHours } from './pointcolumns.ts';
import type { PlacedPoint } from './pointcolumns.ts';
import { dataFields, metricOf, metricsRequest, PointGenerator, pointTime } from './pointmaker.ts';
import { expectPoints } from './points.ts';
import { bytesField, fixed64Field, message, textAttribute, varintField } from './wire.ts';

let module: WebAssembly.Module;
const provenance = { ...spanProvenance, topic: 'otlp_metrics' };

beforeAll(async () => {
  module = await loadTranscoder();
});

function placedOf(request: Uint8Array, from: Provenance): PlacedPoint[] {
  return expectPoints(request, from).points.map((point) => ({ point, provenance: from }));
}

function expectColumns(columns: ItemColumns, placed: readonly PlacedPoint[]): void {
  const hours = expectPointHours(placed);
  let index = 0;
  for (const batch of columns.hours()) {
    const { hourMs, quarantined, rows = [] } = hours[index] ?? {};
    expect(batch).toMatchObject({ signal: 'metrics', hourMs, quarantined, rows: rows.length });
    for (const [place, { name, type, nullable }] of metricColumns.entries()) {
      const column = batch.columns[place];
      if (!column) throw new Error(`no column ${name}`);
      const values = valuesOf(type, column);
      expect(values, name).toEqual(rows.map((row) => row[name]));
      const nullCount = values.filter((value) => value === null).length;
      expect(column.nullCount, name).toBe(nullCount);
      expect(nullCount === 0 || nullable, name).toBe(true);
    }
    const times = rows.map((row) => row['TimeUnix'] as bigint);
    expect(batch.timeMinNs).toBe(times.reduce((least, time) => (time < least ? time : least)));
    expect(batch.timeMaxNs).toBe(times.reduce((most, time) => (time > most ? time : most)));
    expect(Buffer.from(batch.sortIds).toString('hex')).toBe(
      rows.map((row) => row['SeriesHash']).join(''),
    );
    index++;
  }
  expect(index).toBe(hours.length);
}

/** The series hashes of the only hour's rows, in the rows' order. */
function hashesOf(...requests: Uint8Array[]): string[] {
  const columns = new ItemColumns(module, 'metrics');
  for (const request of requests) columns.add(request, provenance);
  return [...columns.hours()].flatMap(({ sortIds }) =>
    Array.from({ length: sortIds.length / 16 }, (_, row) =>
      Buffer.from(sortIds.subarray(row * 16, row * 16 + 16)).toString('hex'),
    ),
  );
}

const attribute = (field: number, key: string, value: string) =>
  bytesField(field, textAttribute(key, value));

const pointWith = (...fields: Uint8Array[]) => message(pointTime, fixed64Field(6, 1n), ...fields);

describe("ItemColumns('metrics')", () => {
  it('gives the columns that protobufjs and the reference give for random requests', () => {
    const columns = new ItemColumns(module, 'metrics');
    for (let seed = 1; seed <= 24; seed++) {
      columns.reset();
      const generator = new PointGenerator(seededRandom(seed * 7919));
      const placed: PlacedPoint[] = [];
      for (let count = 0; count < 1 + (seed % 10); count++) {
        const request = generator.request();
        const from = { ...provenance, offset: BigInt(count), tenantId: `tenant-${count % 3}` };
        columns.add(request, from);
        placed.push(...placedOf(request, from));
      }
      expect(columns.rowCount, `seed ${seed}`).toBe(placed.length);
      expectColumns(columns, placed);
    }
  });

  it('counts as the Transcoder does, request by request', () => {
    const columns = new ItemColumns(module, 'metrics');
    const transcoder = new Transcoder(module);
    for (let seed = 1; seed <= 200; seed++) {
      const request = new PointGenerator(seededRandom(seed * 104_729)).request();
      const { tables: _tables, ...tally } = transcoder.toRowBinary('metrics', request, receipt);
      expect(columns.add(request, provenance), `seed ${seed}`).toEqual(tally);
    }
  });

  it('keeps the Metric without its points when the columns cannot give it back', () => {
    const columns = new ItemColumns(module, 'metrics');
    const point = bytesField(1, message(pointTime, fixed64Field(6, 1n)));
    const sum = bytesField(
      dataFields.sum,
      message(point, varintField(2, 1), varintField(99, 7), point),
    );
    const request = metricsRequest(
      message(bytesField(dataFields.gauge, point), bytesField(1, 'name'), sum, varintField(77, 5)),
      metricOf('gauge', message(pointTime, fixed64Field(6, 2n))),
    );
    columns.add(request, provenance);
    expectColumns(columns, placedOf(request, provenance));
    const wanted = message(
      bytesField(1, 'name'),
      bytesField(dataFields.sum, message(varintField(2, 1), varintField(99, 7))),
      varintField(77, 5),
    );
    const raws = placedOf(request, provenance).map(({ point: { metric } }) => metric.raw);
    expect(raws).toEqual([wanted, wanted, null].map((raw) => raw && Buffer.from(raw)));
  });

  it('names a series by its owners, metric and attributes, in any order of these', () => {
    const a = attribute(7, 'a', '1');
    const b = attribute(7, 'b', '2');
    const same = hashesOf(
      metricsRequest(metricOf('gauge', pointWith(a, b))),
      metricsRequest(metricOf('gauge', pointWith(b, a))),
    );
    expect(new Set(same).size).toBe(1);
    const others = [
      metricOf('gauge', pointWith(a, b)),
      metricOf('gauge', pointWith(a)),
      metricOf('gauge', pointWith(a, a, b)),
      metricOf('gauge', pointWith(attribute(7, 'a', '2'), attribute(7, 'b', '1'))),
      metricOf(
        'gauge',
        pointWith(bytesField(7, message(bytesField(1, 'a'), bytesField(2, varintField(3, 1)))), b),
      ),
      message(metricOf('gauge', pointWith(a, b)), bytesField(1, 'other')),
      message(metricOf('gauge', pointWith(a, b)), bytesField(3, 'ms')),
      message(
        bytesField(1, 'a.gauge'),
        bytesField(7, message(bytesField(1, pointWith(a, b)), varintField(2, 1))),
      ),
      message(
        bytesField(1, 'a.gauge'),
        bytesField(7, message(bytesField(1, pointWith(a, b)), varintField(2, 2))),
      ),
      message(
        bytesField(1, 'a.gauge'),
        bytesField(
          7,
          message(bytesField(1, pointWith(a, b)), varintField(2, 2), varintField(3, 1)),
        ),
      ),
    ].map((metric) => metricsRequest(metric));
    const gauge = bytesField(2, metricOf('gauge', pointWith(a, b)));
    const owned = (...heads: [Uint8Array, Uint8Array]) =>
      bytesField(1, message(heads[0], bytesField(2, message(heads[1], gauge))));
    const none = new Uint8Array();
    others.push(
      owned(bytesField(1, attribute(1, 'host', 'x')), none),
      owned(none, bytesField(1, bytesField(1, 'scope'))),
      owned(none, bytesField(1, bytesField(2, 'scope'))),
      owned(none, bytesField(1, attribute(3, 'host', 'x'))),
    );
    expect(new Set(hashesOf(...others)).size).toBe(others.length);
    // What is said about a series does not make it another one.
    const described = message(metricOf('gauge', pointWith(a, b)), bytesField(2, 'what it is'));
    expect(hashesOf(metricsRequest(described))).toEqual([same[0]]);
  });

  it("hashes as ClickHouse's murmurHash3_128 does", () => {
    const texts = Array.from({ length: 70 }, (_, length) =>
      'Tidemark éÿ'.repeat(9).slice(0, length),
    );
    const selected = texts.map((text) => `lower(hex(murmurHash3_128('${text}')))`);
    const hashes = JSON.parse(
      query(`SELECT [${selected.join(', ')}]`, 'JSONCompactEachRow'),
    ) as string[][];
    expect(texts.map((text) => hexOf(murmur(Buffer.from(text))))).toEqual(hashes[0]);
  });

  it('stays whole at any bound on its memory', () => {
    const refused = fillBounded({
      module,
      signal: 'metrics',
      seeds: 14,
      requests: 40,
      pages: [9, 12],
      generator: (random) => new PointGenerator(random),
      placedOf: (request) => placedOf(request, provenance),
      expectColumns,
    });
    expect(refused).toBeGreaterThan(20);
  });
});
