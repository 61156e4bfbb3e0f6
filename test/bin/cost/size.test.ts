/** What a load takes, against figures that were worked out by hand from round assumptions. */
import { describe, expect, it } from 'vitest';
import { assume } from '../../../bin/cost/assume.ts';
import { sizeOf } from '../../../bin/cost/size.ts';
import type { Load } from '../../../bin/cost/size.ts';

const nothing: Load = {
  items: { traces: 0, logs: 0, metrics: 0 },
  archiveDays: 30,
  speedDays: 7,
  kafkaDays: 7,
  kafka: true,
  group: false,
};
/** 1,000 spans a second. */
const load: Load = { ...nothing, items: { traces: 86_400_000, logs: 0, metrics: 0 } };
const round = assume({
  peakFactor: 2,
  requestItems: 512,
  spanOtlpBytes: 400,
  kafkaCompression: 4,
  kafkaPartitionMbPerSecond: 10,
  archiverSpansPerCpuSecond: 1000,
  spanParquetBytes: 50,
  clickHouseSpanBytes: 30,
  clickHouseGraphBytes: 10,
  flushRows: 250_000,
  flushFiles: 25,
  compactUsPerRow: 10,
  compactInputs: 10,
  batchThreadBytes: 1e9,
  shardRowBytes: 100,
  batchNsPerSpan: 200,
  graphNsPerSpan: 800,
  rowGroupRows: 50_000,
  rowGroupGets: 3,
  operations: 5000,
  groupBuckets: 350,
  headerBucketBytes: 11,
});

describe('sizeOf()', () => {
  it('has rates, bytes, cores and partitions', () => {
    expect(sizeOf('traces', load, round)).toMatchObject({
      perSecond: 1000,
      // 86.4 M / 512
      requestsDay: 168_750,
      otlpBytesDay: 34.56e9,
      parquetBytesDay: 4.32e9,
      clickHouseBytesDay: 3.456e9,
      // 1,000 a second at twice that rate, 1,000 for each core.
      archiverCores: 2,
      // 0.2 MB/s fit one partition, two cores do not.
      partitions: 2,
    });
    // 1,000 spans of 400 bytes, a quarter of that, at the peak 20 MB/s: two partitions of 10 MB/s.
    const heavy = assume({ ...round, spanOtlpBytes: 40_000, archiverSpansPerCpuSecond: 1e6 });
    expect(sizeOf('traces', load, heavy).partitions).toBe(2);
  });

  it('has flushes by rows or by age, and the work of compaction', () => {
    const size = sizeOf('traces', load, round);
    // 86.4 M / 250,000; 25 files each; 14.4 flushes an hour are 2 rounds of ten.
    expect(size).toMatchObject({ flushesDay: 345.6, filesDay: 8640, compactPasses: 2 });
    // 3.6 M rows an hour, twice, 10 us each.
    expect(size.compactHourSeconds).toBeCloseTo(72, 9);
    const little: Load = { ...nothing, items: { traces: 1000, logs: 0, metrics: 0 } };
    // One partition, once an hour; of the spool once a minute.
    expect(sizeOf('traces', little, round).flushesDay).toBe(24);
    expect(sizeOf('traces', { ...little, kafka: false }, round).flushesDay).toBe(1440);
  });

  it('has the shards of a day, and what they read', () => {
    const size = sizeOf('traces', load, round);
    // 10^9 bytes hold 5 M rows of 100 bytes, half of it free: 86.4 / 5 = 17.28.
    expect(size.shards).toBe(18);
    // Of 24 sorted hours each shard reads a row group more than it needs: 18 x 24 beside 86.4 M / 50,000.
    expect(size.amplification).toBeCloseTo(1 + 432 / 1728, 12);
    // 86.4 M x 1.25 x 1,000 ns for the day, and 200 ns for each span once more for its hour.
    expect(size.batchCpuSecondsDay).toBeCloseTo(108 + 17.28, 9);
    expect(size.batchGetsDay).toBeCloseTo(1728 * 1.25 * 3 + 1728 * 3, 6);
    // 960 spans of each operation and shard fill 350 buckets.
    expect(size.mergeBytes).toBeCloseTo(18 * 5000 * 350 * 11, 0);
    // With few spans of each there are no more buckets than spans.
    const rare = sizeOf('traces', load, assume({ ...round, operations: 480_000 }));
    expect(rare.mergeBytes).toBeCloseTo(86_400_000 * 11, 0);
  });

  it('counts every flush as a run where compaction does not keep up', () => {
    const slow = assume({ ...round, compactUsPerRow: 1000 });
    const size = sizeOf('traces', load, slow);
    expect(size.compactHourSeconds).toBeCloseTo(7200, 6);
    expect(size.amplification).toBeCloseTo(1 + (18 * 345.6) / 1728, 9);
  });

  it('is nothing for a signal that is not sent', () => {
    const { amplification, ...rest } = sizeOf('logs', load, round);
    expect(amplification).toBe(1);
    expect(Object.values(rest).every((value) => value === 0)).toBe(true);
  });
});
