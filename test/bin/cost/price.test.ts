/** The cost of a load against hand-computed bills, and what must hold for any load. */
import { describe, expect, it } from 'vitest';
import { assume } from '../../../bin/cost/assume.ts';
import { costOf } from '../../../bin/cost/price.ts';
import type { Load } from '../../../bin/cost/size.ts';

const defaults = assume();

function loadOf(traces: number, more: Partial<Load> = {}): Load {
  const items = { traces, logs: 0, metrics: 0 };
  const kept = { archiveDays: 30, speedDays: 7, kafkaDays: 7 };
  return { items, ...kept, kafka: true, group: false, ...more };
}

function usdOf(load: Load): number {
  return costOf(load, defaults).usdMonth;
}

function lineOf(load: Load, what: string, given: Record<string, number> = {}) {
  const found = costOf(load, assume(given)).lines.find((line) => line.what === what);
  return found ?? { amount: Number.NaN, usdMonth: Number.NaN };
}

describe('costOf() of 100,000 spans a second', () => {
  // One deployment: what it costs is asked here, not where the design ends.
  const one = { compactUsPerRow: 0.001, mergeMbPerSecond: 1e9, shardsMax: 1e9 };
  const load = loadOf(8.64e9);

  it('has the bill of Workers', () => {
    // 16,875,000 requests a day, 730 / 24 days, 10 million free, 0.30 USD a million.
    const requests = lineOf(load, 'Workers: requests', one);
    expect(requests.amount).toBeCloseTo(513_281_250, 3);
    expect(requests.usdMonth).toBeCloseTo(150.984375, 6);
    // 5 us each: 1,314 million ms a month = 365 hours, 30 million free, 0.02 USD a million.
    const cpu = lineOf(load, 'Workers: processor time', { ...one, edgeUsPerItem: 5 });
    expect(cpu.amount).toBeCloseTo(365, 6);
    expect(cpu.usdMonth).toBeCloseTo(25.68, 6);
    expect(lineOf(load, 'Analytics Engine: points', one).usdMonth).toBeCloseTo(125.8203125, 6);
  });

  it('has the bill of Kafka', () => {
    const given = { ...one, spanOtlpBytes: 400, kafkaCompression: 4 };
    // 10 MB/s in, 60 MB/s of three copies at the peak: fewer brokers than the least, three of four cores.
    const brokers = lineOf(load, 'brokers', given);
    expect(brokers.amount).toBe(3);
    expect(brokers.usdMonth).toBeCloseTo(3 * 4 * 0.0408 * 730, 6);
    expect(lineOf(loadOf(8.64e10), 'brokers', given).amount).toBe(8);
    // 864 GB a day, a week, three copies, 0.08 USD.
    const disk = lineOf(load, 'disk', given);
    expect(disk.amount).toBeCloseTo(18_144, 6);
    expect(disk.usdMonth).toBeCloseTo(1451.52, 6);
    const { lines } = costOf(loadOf(8.64e9, { kafka: false }), assume(one));
    expect(lines.filter(({ part }) => part === 'kafka')).toEqual([]);
  });

  it('has the bill of R2, and of what leaves the cloud', () => {
    // Nothing is compacted: one file a flush.
    const hourly = { flushFiles: 1, flushRows: 8.64e9 / 24, archiverSpansPerCpuSecond: 1e9 };
    // One partition.
    const given = { ...one, ...hourly, kafkaPartitionMbPerSecond: 1000, spanParquetBytes: 50 };
    // 432 GB a day for 30 days, 10 GB free.
    const storage = lineOf(load, 'R2: storage', given);
    expect(storage.amount).toBeCloseTo(12_960, 6);
    expect(storage.usdMonth).toBeCloseTo(12_950 * 0.015, 6);
    // 13,140 GB a month: the first 10 TB at 0.09, the rest at 0.085.
    const egress = lineOf(load, 'egress to R2', given);
    expect(egress.amount).toBeCloseTo(13_140, 6);
    expect(egress.usdMonth).toBeCloseTo(900 + 3140 * 0.085, 6);
    // Without Kafka each request is an object: 16,875,000 a day, 4.50 USD a million.
    const spooled = costOf(loadOf(8.64e9, { kafka: false }), assume(one));
    const classA = spooled.lines.find(({ what }) => what === 'R2: class A requests');
    expect(classA?.usdMonth).toBeGreaterThan((513e6 / 1e6) * 4.5);
  });

  it('has the bill of ClickHouse, archivers and batch', () => {
    const given = { ...one, clickHouseUsPerItem: 10 };
    const bytes = { clickHouseSpanBytes: 40, clickHouseGraphBytes: 10 };
    // 100,000 a second, twice that at the peak, 10 us, two replicas, half of the cores for queries.
    expect(lineOf(load, 'servers', given)).toMatchObject({ amount: 8 });
    // 432 GB a day, 7 days, two replicas, disks 70 % full: 8,640 GB.
    const { lines } = costOf(load, assume({ ...given, ...bytes }));
    const disk = lines.find(({ part, what }) => part === 'clickhouse' && what === 'disk');
    expect(disk?.amount).toBeCloseTo(8640, 6);
    expect(disk?.usdMonth).toBeCloseTo(691.2, 6);
    // 200,000 a second at the peak, 173,000 for each core.
    expect(lineOf(load, 'archivers', one)).toMatchObject({ amount: 2 });
    const runs = lineOf(load, 'runs', { ...one, batchThreadBytes: 1e15 });
    // One shard: 8.64e9 x (344 + 390 + 344) ns a day.
    expect(runs.amount).toBeCloseTo((8.64e9 * 1078e-9 * (730 / 24)) / 3600, 6);
    expect(runs.usdMonth).toBeCloseTo(runs.amount * 0.0408, 9);
  });

  it('has the bill of Durable Objects with group commit alone', () => {
    expect(lineOf(load, 'Durable Objects', one).amount).toBeNaN();
    const grouped = lineOf({ ...load, group: true }, 'Durable Objects', one);
    // 50 places; 513.28 million requests at 0.15, and 50 x 0.128 GB all month at 12.50 a million GB s.
    expect(grouped.amount).toBe(50);
    expect(grouped.usdMonth).toBeCloseTo(513.28125 * 0.15 + (6.4 * 2_628_000 * 12.5) / 1e6, 6);
  });
});

describe('costOf() of any load', () => {
  it('adds up', () => {
    const { lines, usdMonth, usdPerMillion } = costOf(loadOf(1e9), defaults);
    expect(lines.reduce((sum, line) => sum + line.usdMonth, 0)).toBeCloseTo(usdMonth, 6);
    expect(usdPerMillion).toBeCloseTo(usdMonth / ((1e9 * 730) / 24 / 1e6), 9);
    expect(lines.every(({ amount, usdMonth: usd }) => amount >= 0 && usd >= 0)).toBe(true);
  });

  it.each([true, false])('costs more the more is sent, with Kafka %s', (kafka) => {
    let before = costOf(loadOf(1e5, { kafka }), defaults);
    for (let items = 2e5; items < 2e13; items *= 2) {
      const now = costOf(loadOf(items, { kafka }), defaults);
      expect(now.usdMonth, String(items)).toBeGreaterThanOrEqual(before.usdMonth);
      expect(now.cells, String(items)).toBeGreaterThanOrEqual(before.cells);
      before = now;
    }
  });

  it('costs more the longer it is kept, and the more signals there are', () => {
    const load = loadOf(1e9);
    expect(usdOf({ ...load, archiveDays: 90 })).toBeGreaterThan(usdOf(load));
    expect(usdOf({ ...load, speedDays: 14 })).toBeGreaterThan(usdOf(load));
    expect(usdOf({ ...load, kafkaDays: 14 })).toBeGreaterThan(usdOf(load));
    expect(usdOf({ ...load, items: { traces: 1e9, logs: 1e9, metrics: 0 } })).toBeGreaterThan(
      usdOf(load),
    );
  });
});
