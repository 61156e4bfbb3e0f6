import { describe, expect, it } from 'vitest';
import { SeriesLimit } from '../../../batch/metrics/limit.ts';
import { MergedSeries } from '../../../batch/metrics/merge.ts';
import { mergePoints } from '../../../batch/metrics/tables.ts';
import { double } from '../../../batch/publish/table.ts';
import type { TableRow } from '../../../batch/work.ts';
import { encodePointPartial, type Series } from '../../../schemas/partials/points.ts';
import { countingReaders } from '../../support/partials.ts';
import { seededRandom } from '../../support/random.ts';

function seriesOf(index: number, serviceName: string): Series {
  const values = [1, 2, 3, 4, 5, 6, 7];
  const counts = { points: 2, duplicates: 1, conflicts: 1, unrecorded: 0, nans: 0 };
  const hour = {
    ...counts,
    bases: 0,
    resets: 0,
    increase: 1.5,
    values,
    histogram: undefined,
    summary: undefined,
  };
  return {
    name: {
      tenantId: 't',
      serviceName,
      metricName: 'm',
      metricType: 'Sum',
      unit: '',
      temporality: 2,
      isMonotonic: true,
      scopeName: '',
      scopeVersion: '',
      attributes: [['__proto__', String(index)]],
      resourceAttributes: [],
    },
    hash: index.toString(16).padStart(32, '0'),
    hours: [
      { hourMs: 0, ...hour },
      { hourMs: 3_600_000, ...hour },
    ],
  };
}

/** Partials of the series cut into so many shards, each with the limit of a shard. */
function partialsOf(all: readonly Series[], shards: number, seriesMax: number): Uint8Array[] {
  const size = Math.ceil(all.length / shards);
  return Array.from({ length: shards }, (_, shard) => {
    const limit = new SeriesLimit(seriesMax);
    const series = all.slice(shard * size, (shard + 1) * size).filter((each) => limit.keeps(each));
    return encodePointPartial({ series, overflow: limit.overflow() });
  });
}

describe('mergePoints()', () => {
  it('gives the same rows for any shards in any order, the least hashes of a service kept', async () => {
    const random = seededRandom(4);
    const all = Array.from({ length: 300 }, (_, i) =>
      seriesOf(i, random() < 0.8 ? 'big' : 'small'),
    );
    const results: unknown[] = [];
    for (const shards of [1, 7, 50]) {
      const partials = partialsOf(all, shards, 100).toSorted(() => random() - 0.5);
      const merged = await mergePoints(countingReaders(partials).readers, { seriesMax: 100 });
      expect(merged).toMatchObject({ items: 1200, duplicates: 600, conflicts: 600 });
      const tables: TableRow[][] = [];
      for (const table of merged.tables) {
        const rows: TableRow[] = [];
        for await (const part of table.parts()) rows.push(...part);
        expect(rows).toHaveLength(table.rowCount);
        const sum = rows.reduce((total, row) => total + Number(row[table.sumColumn]), 0);
        expect(sum).toBe(table.sum);
        tables.push(rows);
      }
      results.push(tables);
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
    const [stats = [], names = []] = results[0] as TableRow[][];
    const big = all.filter(({ name }) => name.serviceName === 'big');
    const small = all.length - big.length;
    expect(names).toHaveLength(100 + small);
    expect(names[0]).toMatchObject({ attributes: { ['__proto__']: '0' } });
    const kept = names.filter((row) => row['service_name'] === 'big').map((row) => row['series']);
    expect(kept).toEqual(big.slice(0, 100).map(({ hash }) => hash));
    const past = stats.filter((row) => row['series'] === '');
    expect(past).toHaveLength(2);
    expect(past[0]).toMatchObject({
      overflow_series: big.length - 100,
      points: 2 * (big.length - 100),
      duplicate_points: big.length - 100,
      increase: 'nan',
    });
  });

  it('holds one partial at a time, and reads each once to count and once for each table', async () => {
    const all = Array.from({ length: 40 }, (_, i) => seriesOf(i, 's'));
    const { readers, cost } = countingReaders(partialsOf(all, 4, 100));
    const merged = await MergedSeries.open(readers, 100);
    expect(cost.requests).toBe(4);
    let series = 0;
    for await (const part of merged.parts()) series += part.length;
    expect(series).toBe(40);
    expect(cost).toMatchObject({ requests: 8, inFlight: 0 });
  });
});

it('double() writes what JSON has no form for as text', () => {
  expect([1.5, NaN, Infinity, -Infinity, -0].map(double)).toEqual([1.5, 'nan', 'inf', '-inf', -0]);
});
