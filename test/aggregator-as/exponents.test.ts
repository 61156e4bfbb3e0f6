import { readFile } from 'node:fs/promises';
import {
  AggregationTemporality,
  AggregationType,
  MeterProvider,
  MetricReader,
  type ExponentialHistogram,
} from '@opentelemetry/sdk-metrics';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  PointKernel,
  pointKinds,
  pointModes,
  type HourFigures,
  type PointColumns,
} from '../../aggregator-as/pointkernel.ts';
import { exponentialBucketsMax } from '../../schemas/limits/batch.ts';
import {
  countOf,
  isLowerPlainly,
  mergePlainly,
  type Added,
  type Exponential,
  type Merged,
} from '../support/exponents.ts';
import { seededRandom } from '../support/random.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
const periodMs = Date.parse('2026-10-01');
const dayNs = BigInt(periodMs) * 1_000_000n;
const options = { memoryBytesMax: 64 * 1024 * 1024, periodMs, windowMs: periodMs - 3_600_000 };
let module: WebAssembly.Module;
let shared: PointKernel;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  const url = new URL('../../aggregator-as/build/aggregatepoints.wasm', import.meta.url);
  module = await WebAssembly.compile(await readFile(url));
  shared = new PointKernel(module, options);
});

describe('PointKernel of exponential histograms', () => {
  it("counts each value that OpenTelemetry's SDK aggregated, once and in its bucket", async () => {
    const random = seededRandom(seed);
    for (let round = 0; round < 60; round += 1) {
      const isDelta = round % 2 === 0;
      const size = [20, 160, 320][round % 3] ?? 160;
      const sdk = new Sdk(isDelta, size);
      const values: number[] = [];
      const points: Exponential[] = [];
      const spread = random() * 12;
      for (let collected = 0; collected < 6; collected += 1) {
        const count = Math.floor(random() * 200);
        for (let i = 0; i < count; i += 1) {
          const magnitude = 10 ** ((random() - 0.5) * spread * random());
          values.push(random() < 0.05 ? 0 : magnitude * (random() < 0.3 ? -1 : 1));
          sdk.record(values.at(-1) ?? 0);
        }
        const point = await sdk.collect();
        if (point !== undefined) points.push(point);
      }
      const mode = isDelta ? pointModes.delta : pointModes.cumulative;
      // Totals since the period began: the first one counts whole, so every value is of this hour.
      const hour = hourOf(points, mode, dayNs);
      const found = mergedOf(hour);
      const scale = found?.scale ?? 0;
      expect(scale).toBe(Math.min(...points.map((point) => point.scale)));
      expect(found).toEqual(countedAt(values, scale));
      expect(hour?.histogramCount).toBe(BigInt(values.length));
    }
  });

  it('equals a plain program on whatever can be sent, within its limit of buckets', () => {
    const random = seededRandom(seed + 1);
    let [falls, widened, narrow] = [0, 0, 0];
    for (let round = 0; round < 3000; round += 1) {
      const points = randomPoints(random);
      const isDelta = random() < 0.4;
      const mode = isDelta ? pointModes.delta : pointModes.cumulative;
      const added = points.map((now, i): Added => {
        const before = isDelta ? undefined : points[i - 1];
        if (before === undefined || !isLowerPlainly(now, before)) return { now, before };
        falls += 1;
        return { now, before: undefined };
      });
      const wanted = mergePlainly(added);
      const found = mergedOf(hourOf(points, mode, dayNs));
      expect(found).toEqual(wanted);
      widened += Number(found?.widened);
      narrow += Number((found?.scale ?? 0) < Math.min(...points.map((point) => point.scale)));
      expect(found?.positives.length).toBeLessThanOrEqual(exponentialBucketsMax);
      expect(found?.negatives.length).toBeLessThanOrEqual(exponentialBucketsMax);
    }
    expect(Math.min(falls, widened, narrow)).toBeGreaterThan(50);
  });

  it('holds two buckets that are 2^32 apart in no more memory than others', () => {
    const kernel = new PointKernel(module, { ...options, memoryBytesMax: 3 * 1024 * 1024 });
    const far = [2 ** 31 - 1, -(2 ** 31)].map((offset) => simple({ scale: 20, offset }));
    kernel.add(columnsOf(far, pointModes.delta, 0n), () => undefined);
    const [series] = kernel.finish();
    const merged = mergedOf(series?.hours[0]);
    expect(merged).toEqual({ ...empty, scale: -4, positiveOffset: -128, positives: onlyEnds(256) });
  });

  it('takes what lies at or below the largest threshold for zero, whole buckets at a time', () => {
    // At scale 0 buckets are (1, 2], (2, 4], (4, 8]: 3 lies in the second, 4 is its end.
    const three = { ...simple({ scale: 0, offset: 0, counts: [5, 6, 7] }) };
    const merged = (zeroThreshold: number) =>
      mergedOf(
        hourOf(
          [three, { ...simple({ counts: [] }), zeroCount: 1, zeroThreshold }],
          pointModes.delta,
          0n,
        ),
      );
    const rest = { ...empty, scale: 0, positiveOffset: 2, positives: [7] };
    expect(merged(3)).toEqual({ ...rest, zeroThreshold: 3, zeroCount: 12, widened: true });
    expect(merged(4)).toEqual({ ...rest, zeroThreshold: 4, zeroCount: 12, widened: true });
    expect(merged(1)).toEqual({
      ...empty,
      scale: 0,
      zeroThreshold: 1,
      zeroCount: 1,
      positives: [5, 6, 7],
    });
    expect(merged(Infinity)).toMatchObject({ zeroCount: 19, positives: [] });
  });
});

const empty: Merged = {
  scale: 0,
  zeroCount: 0,
  zeroThreshold: 0,
  widened: false,
  positiveOffset: 0,
  positives: [],
  negativeOffset: 0,
  negatives: [],
};

function onlyEnds(length: number): number[] {
  return Array.from({ length }, (_, i) => Number(i === 0 || i === length - 1));
}

function simple({ scale = 0, offset = 0, counts = [1] }): Exponential {
  const negative = { offset: 0, counts: [] };
  return { scale, zeroThreshold: 0, zeroCount: 0, positive: { offset, counts }, negative, sum: 0 };
}

/** One exponential histogram of the real SDK. */
class Sdk {
  readonly #reader: Reader;
  readonly record: (value: number) => void;

  constructor(isDelta: boolean, maxSize: number) {
    this.#reader = new Reader({
      aggregationSelector: () => ({
        type: AggregationType.EXPONENTIAL_HISTOGRAM,
        options: { maxSize },
      }),
      aggregationTemporalitySelector: () =>
        isDelta ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
    });
    const provider = new MeterProvider({ readers: [this.#reader] });
    // A histogram takes no negative numbers; an observation of any instrument may be aggregated so.
    const instrument = provider.getMeter('m').createUpDownCounter('h');
    this.record = (value) => instrument.add(value);
  }

  async collect(): Promise<Exponential | undefined> {
    const { resourceMetrics, errors } = await this.#reader.collect();
    expect(errors).toEqual([]);
    const point = resourceMetrics.scopeMetrics[0]?.metrics[0]?.dataPoints[0];
    if (point === undefined) return undefined;
    const { scale, zeroCount, positive, negative } = point.value as ExponentialHistogram;
    const sides = {
      positive: { offset: positive.offset, counts: positive.bucketCounts },
      negative: { offset: negative.offset, counts: negative.bucketCounts },
    };
    return { scale, zeroCount, zeroThreshold: 0, sum: 0, ...sides };
  }
}

class Reader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

/** The raw values in buckets of this scale. */
function countedAt(values: readonly number[], scale: number): Merged {
  const sideOf = (side: readonly number[]) => {
    const found = side.map((value) => indexOf(value, scale)).toSorted((a, b) => a - b);
    const offset = found[0] ?? 0;
    const counts = Array.from({ length: (found.at(-1) ?? -1) - offset + 1 }, () => 0);
    for (const index of found) counts[index - offset] = (counts[index - offset] ?? 0) + 1;
    return { offset, counts: found.length === 0 ? [] : counts };
  };
  const positive = sideOf(values.filter((value) => value > 0));
  const negative = sideOf(values.filter((value) => value < 0).map(Math.abs));
  return {
    ...empty,
    scale,
    zeroCount: values.filter((value) => value === 0).length,
    positiveOffset: positive.offset,
    positives: positive.counts,
    negativeOffset: negative.offset,
    negatives: negative.counts,
  };
}

/** By comparing with the bounds themselves. */
function indexOf(value: number, scale: number): number {
  let index = Math.floor(Math.log2(value) * 2 ** scale);
  while (value <= 2 ** (index * 2 ** -scale)) index -= 1;
  while (value > 2 ** ((index + 1) * 2 ** -scale)) index += 1;
  return index;
}

function randomPoints(random: () => number): Exponential[] {
  const whole = (below: number): number => Math.floor(random() * below);
  const isWild = random() < 0.3;
  const scale = () => (isWild ? whole(40) - 20 : 3 + whole(3));
  const offset = () => {
    if (!isWild) return whole(20) - 10;
    return (
      [whole(20), 2 ** 31 - 1 - whole(3), whole(3) - 2 ** 31, whole(4000) - 2000][whole(4)] ?? 0
    );
  };
  const thresholds = [0, 0, 0.5, 3, 2 ** -30, 2 ** (1 / 8)];
  const threshold = () => (random() < 0.5 ? 0 : (thresholds[whole(6)] ?? 0));
  const counts = () => Array.from({ length: whole(6) }, () => whole(3));
  const points: Exponential[] = [];
  const count = 1 + whole(6);
  let last: Exponential | undefined;
  while (points.length < count) {
    const grows = last !== undefined && random() < 0.7;
    last = grows
      ? grown(last ?? simple({}), whole)
      : {
          scale: scale(),
          zeroThreshold: threshold(),
          zeroCount: whole(4),
          positive: { offset: offset(), counts: counts() },
          negative: { offset: offset(), counts: random() < 0.5 ? [] : counts() },
          sum: 0,
        };
    points.push(last);
  }
  return points;
}

/** A later total: more in each bucket, perhaps at a coarser scale. */
function grown(point: Exponential, whole: (below: number) => number): Exponential {
  const by = whole(3) === 0 ? 1 : 0;
  const side = ({ offset, counts }: Exponential['positive']) => {
    const first = offset >> by;
    const sums = Array.from(
      { length: counts.length === 0 ? 0 : ((offset + counts.length - 1) >> by) - first + 1 },
      () => whole(2),
    );
    for (const [i, each] of counts.entries()) {
      const at = ((offset + i) >> by) - first;
      sums[at] = (sums[at] ?? 0) + each;
    }
    return { offset: first, counts: sums };
  };
  return {
    ...point,
    scale: point.scale - by,
    zeroCount: point.zeroCount + whole(2),
    positive: side(point.positive),
    negative: side(point.negative),
  };
}

/** The first hour of one series that has these points, in this order. */
function hourOf(
  points: readonly Exponential[],
  mode: number,
  startNs: bigint,
): HourFigures | undefined {
  shared.reset();
  shared.add(columnsOf(points, mode, startNs), () => undefined);
  const [series] = shared.finish();
  return series?.hours[0];
}

function mergedOf(hour: HourFigures | undefined): Merged | undefined {
  const found = hour?.exponential;
  if (found === undefined) return undefined;
  const { scale, zeroThreshold, positiveOffset, negativeOffset } = found;
  return {
    scale,
    zeroCount: Number(found.zeroCount),
    zeroThreshold,
    widened: found.zeroIndex !== undefined,
    positiveOffset,
    positives: Array.from(found.positives, Number),
    negativeOffset,
    negatives: Array.from(found.negatives, Number),
  };
}

function columnsOf(points: readonly Exponential[], mode: number, startNs: bigint): PointColumns {
  const rows = points.length;
  const lists = points.map((point) => listOf(point));
  const ends = [0];
  for (const list of lists) ends.push((ends.at(-1) ?? 0) + list.length);
  return {
    rows,
    seriesHashes: new Uint8Array(rows * 16),
    startsNs: new BigInt64Array(rows).fill(startNs),
    timesNs: BigInt64Array.from(points, (_, i) => dayNs + BigInt(i) + 1n),
    values: new BigInt64Array(rows),
    ingestedMs: new BigInt64Array(rows),
    offsets: new BigInt64Array(rows),
    counts: BigUint64Array.from(points, (point) => BigInt(countOf(point))),
    sums: new Float64Array(rows),
    mins: new Float64Array(rows),
    maxs: new Float64Array(rows),
    tenants: new Uint32Array(rows),
    partitions: new Int32Array(rows),
    itemIndexes: new Uint32Array(rows),
    kinds: new Uint8Array(rows).fill(pointKinds.exponential),
    modes: new Uint8Array(rows).fill(mode),
    monotonic: new Uint8Array(rows),
    marks: new Uint8Array(rows),
    boundOffsets: new Int32Array(rows + 1),
    bounds: new Float64Array(),
    bucketOffsets: Int32Array.from(ends),
    buckets: BigUint64Array.from(lists.flat()),
  };
}

/** As `PointColumns.buckets` says. */
function listOf({ scale, zeroThreshold, zeroCount, positive, negative }: Exponential): bigint[] {
  const head = new DataView(new ArrayBuffer(32));
  head.setInt32(0, scale, true);
  head.setUint32(4, positive.counts.length, true);
  head.setInt32(8, positive.offset, true);
  head.setInt32(12, negative.offset, true);
  head.setBigUint64(16, BigInt(zeroCount), true);
  head.setFloat64(24, zeroThreshold, true);
  const words = [0, 8, 16, 24].map((at) => head.getBigUint64(at, true));
  return [...words, ...[...positive.counts, ...negative.counts].map(BigInt)];
}
