/**
 * Days of metric requests for tests of the batch, with every kind of trouble, and their exact figures by a
 * plain program over what was sent, by the rules of docs/METRICS.md: it knows neither files nor hashes.
 */
import { encodeRequest } from './otlp.ts';
import type { Delivery } from './delivered.ts';

export const types = [
  'gauge',
  'delta',
  'total',
  'upDown',
  'histogramDelta',
  'histogramTotal',
] as const;

export interface Series {
  readonly tenantId: string;
  readonly service: string;
  readonly metric: string;
  readonly type: (typeof types)[number];
  readonly label: string;
}

export interface Histogram {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
  readonly min?: number;
  readonly max?: number;
}

export interface Point {
  readonly series: Series;
  readonly startNs: bigint;
  readonly timeNs: bigint;
  /** A double, an int, a histogram, or nothing recorded. */
  readonly value: number | bigint | Histogram | undefined;
}

/** One request as it was sent and received. */
export interface Sent {
  readonly points: readonly Point[];
  readonly receivedMs: number;
  readonly partition: number;
  readonly offset: bigint;
}

/** The request of a tenant's points. */
export function metricDelivery({ points, ...from }: Sent): Delivery {
  const tenantId = points[0]?.series.tenantId ?? '';
  const resourceMetrics = points.map(({ series, ...point }) => ({
    resource: { attributes: [{ key: 'service.name', value: { stringValue: series.service } }] },
    scopeMetrics: [{ metrics: [metricOf(series, point)] }],
  }));
  return { request: encodeRequest('metrics', { resourceMetrics }), tenantId, ...from };
}

function metricOf(series: Series, point: Omit<Point, 'series'>): Record<string, unknown> {
  const dataPoint = {
    startTimeUnixNano: String(point.startNs),
    timeUnixNano: String(point.timeNs),
    attributes: [{ key: 'label', value: { stringValue: series.label } }],
    ...valueOf(point.value),
  };
  const dataPoints = [dataPoint];
  const name = series.metric;
  const data: Record<Series['type'], Record<string, unknown>> = {
    gauge: { gauge: { dataPoints } },
    delta: { sum: { dataPoints, aggregationTemporality: 1, isMonotonic: true } },
    total: { sum: { dataPoints, aggregationTemporality: 2, isMonotonic: true } },
    upDown: { sum: { dataPoints, aggregationTemporality: 2, isMonotonic: false } },
    histogramDelta: { histogram: { dataPoints, aggregationTemporality: 1 } },
    histogramTotal: { histogram: { dataPoints, aggregationTemporality: 2 } },
  };
  return { name, ...data[series.type] };
}

function valueOf(value: Point['value']): Record<string, unknown> {
  if (value === undefined) return { flags: 1 };
  if (typeof value === 'bigint') return { asInt: String(value) };
  if (typeof value === 'number') return { asDouble: value };
  const { bounds, counts, ...rest } = value;
  const count = counts.reduce((sum, each) => sum + each, 0);
  return { ...rest, count, explicitBounds: bounds, bucketCounts: counts };
}

export interface Figures {
  points: number;
  duplicates: number;
  conflicts: number;
  unrecorded: number;
  nans: number;
  bases: number;
  resets: number;
  increase: number;
  values: number[];
  observations: number;
  sum: number;
  min: number;
  max: number;
  bounds: readonly number[];
  buckets: number[];
  mixed: boolean;
}

const hourNs = 3_600_000_000_000n;

/** Figures by series and hour, `[tenant, service, metric, label, hour number]`. */
export function plainMetrics(sent: readonly Sent[], dayMs: number): Map<string, Figures> {
  const dayNs = BigInt(dayMs) * 1_000_000n;
  const arrived = sent
    .toSorted(
      (a, b) =>
        a.receivedMs - b.receivedMs || a.partition - b.partition || Number(a.offset - b.offset),
    )
    .flatMap(({ points }) => points);
  const bySeries = Map.groupBy(arrived, ({ series }) => JSON.stringify(series));
  const figures = new Map<string, Figures>();
  for (const points of bySeries.values()) {
    for (const [hour, each] of seriesFigures(points, dayNs)) {
      const [first] = points;
      if (first === undefined) continue;
      const { tenantId, service, metric, label } = first.series;
      figures.set(JSON.stringify([tenantId, service, metric, label, hour]), each);
    }
  }
  return figures;
}

function seriesFigures(points: readonly Point[], dayNs: bigint): Map<number, Figures> {
  const hours = new Map<number, HourTally>();
  const tallyOf = ({ timeNs }: Point): HourTally | undefined => {
    if (timeNs < dayNs || timeNs >= dayNs + 24n * hourNs) return undefined;
    const hour = Number((timeNs - dayNs) / hourNs);
    const tally = hours.get(hour) ?? new HourTally();
    hours.set(hour, tally);
    return tally;
  };
  const inWindow = points.filter(({ timeNs }) => timeNs >= dayNs - hourNs);
  const copies = Map.groupBy(inWindow, ({ startNs, timeNs }) => `${startNs} ${timeNs}`);
  const kept: Point[] = [];
  for (const same of copies.values()) {
    const last = same.at(-1);
    if (last === undefined) continue;
    kept.push(last);
    for (const copy of same.slice(0, -1)) tallyOf(copy)?.addCopy(copy, last);
  }
  kept.sort((a, b) => Number(a.startNs - b.startNs) || Number(a.timeNs - b.timeNs));
  const valued = kept.filter(isValued);
  for (const point of kept) tallyOf(point)?.addPoint(point);
  for (const [i, point] of valued.entries()) {
    const before = valued[i - 1]?.startNs === point.startNs ? valued[i - 1] : undefined;
    const isLater = valued.some(({ timeNs }) => timeNs < point.timeNs);
    const { startNs, timeNs } = point;
    const begins = startNs !== 0n && startNs < timeNs && startNs >= dayNs - hourNs;
    tallyOf(point)?.addStep(point, before, begins, isLater);
  }
  return new Map(Array.from(hours, ([hour, tally]) => [hour, tally.finish()]));
}

function isValued({ value }: Point): boolean {
  return value !== undefined && !Number.isNaN(value);
}

class HourTally {
  readonly #counts = { points: 0, duplicates: 0, conflicts: 0, unrecorded: 0, nans: 0 };
  #bases = 0;
  #resets = 0;
  #ints = 0n;
  #floats = 0;
  readonly #numbers: { value: number; at: bigint }[] = [];
  readonly #added: { histogram: Histogram; before: Histogram | undefined }[] = [];
  #type: Series['type'] = 'gauge';

  addCopy(copy: Point, kept: Point): void {
    const text = ({ value }: Point) =>
      Object.is(value, -0)
        ? '-0'
        : JSON.stringify(value, (_, part: unknown) =>
            typeof part === 'bigint'
              ? `int ${part}`
              : Number.isNaN(part)
                ? 'NaN'
                : part === Infinity
                  ? 'inf'
                  : part,
          );
    this.#counts.duplicates += 1;
    this.#counts.conflicts += Number(text(copy) !== text(kept));
  }

  addPoint({ value, series }: Point): void {
    this.#type = series.type;
    this.#counts.points += 1;
    this.#counts.unrecorded += Number(value === undefined);
    this.#counts.nans += Number(Number.isNaN(value));
  }

  addStep(point: Point, before: Point | undefined, begins: boolean, isLater: boolean): void {
    const { value, timeNs, series } = point;
    if (typeof value !== 'object') this.#numbers.push({ value: Number(value), at: timeNs });
    if (series.type === 'gauge') return;
    if (series.type === 'delta' || series.type === 'histogramDelta') {
      this.#addAll(value);
    } else if (before !== undefined) {
      const fell = hasFallen(point, before);
      this.#resets += Number(fell);
      if (fell) this.#addAll(value);
      else this.#addMore(value, before.value);
    } else if (begins) {
      this.#resets += Number(isLater);
      this.#addAll(value);
    } else {
      this.#bases += 1;
    }
  }

  #addAll(value: Point['value']): void {
    if (typeof value === 'bigint') this.#ints += value;
    else if (typeof value === 'number') this.#floats += value;
    else if (value !== undefined) this.#added.push({ histogram: value, before: undefined });
  }

  #addMore(value: Point['value'], before: Point['value']): void {
    if (typeof value === 'object' && typeof before === 'object') {
      this.#added.push({ histogram: value, before });
    } else if (typeof value === 'bigint' && typeof before === 'bigint') {
      this.#ints += value - before;
    } else {
      this.#floats += Number(value) - Number(before);
    }
  }

  finish(): Figures {
    const numbers = this.#numbers.map(({ value }) => value + 0);
    const sorted = numbers.toSorted((a, b) => a - b);
    const last = this.#numbers.reduce<{ value: number; at: bigint } | undefined>(
      (found, each) => (found === undefined || each.at >= found.at ? each : found),
      undefined,
    );
    const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
    const isSum = ['delta', 'total', 'upDown'].includes(this.#type);
    return {
      ...this.#counts,
      bases: this.#bases,
      resets: this.#resets,
      increase: isSum ? Number(this.#ints) + this.#floats : Number.NaN,
      values: [
        sorted[0] ?? Number.NaN,
        sorted.at(-1) ?? Number.NaN,
        mean,
        last === undefined ? Number.NaN : last.value + 0,
        ...[0.5, 0.95, 0.99].map((q) => typeSeven(sorted, q)),
      ],
      ...this.#histograms(),
    };
  }

  #histograms() {
    const added = this.#added;
    const extremes = added.map(({ histogram, before }) => (before ? undefined : histogram));
    const isTotal = this.#type === 'histogramTotal';
    const known = (of: (h: Histogram) => number | undefined) =>
      isTotal ? [] : extremes.map((h) => (h === undefined ? undefined : of(h)));
    const shapes = new Set(
      added.flatMap(({ histogram, before }) =>
        [histogram, before].flatMap((h) => (h === undefined ? [] : [JSON.stringify(h.bounds)])),
      ),
    );
    const [first] = added;
    const isEven = shapes.size === 1;
    const buckets = (first?.histogram.counts ?? []).map((_, i) =>
      added.reduce(
        (sum, { histogram, before }) => sum + (histogram.counts[i] ?? 0) - (before?.counts[i] ?? 0),
        0,
      ),
    );
    return {
      observations: added.reduce(
        (sum, { histogram, before }) => sum + countOf(histogram) - (before ? countOf(before) : 0),
        0,
      ),
      sum:
        added.length === 0
          ? Number.NaN
          : added.reduce(
              (sum, { histogram: h, before }) => sum + (before ? h.sum - before.sum : h.sum),
              0,
            ),
      min: fold(
        known((h) => h.min),
        Math.min,
      ),
      max: fold(
        known((h) => h.max),
        Math.max,
      ),
      bounds: isEven ? (first?.histogram.bounds ?? []) : [],
      buckets: isEven ? buckets : [],
      mixed: shapes.size > 1,
    };
  }
}

/** The extreme of all values; NaN when one is missing, or there are none. */
function fold(values: (number | undefined)[], pick: (...all: number[]) => number): number {
  if (values.length === 0 || values.includes(undefined)) return Number.NaN;
  return pick(...values.map((value) => value ?? 0));
}

function countOf({ counts }: Histogram): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function hasFallen({ series, value }: Point, before: Point): boolean {
  if (typeof value === 'object' && typeof before.value === 'object') {
    const then = before.value;
    if (countOf(value) < countOf(then)) return true;
    if (JSON.stringify(value.bounds) !== JSON.stringify(then.bounds)) return false;
    return value.counts.some((count, i) => count < (then.counts[i] ?? 0));
  }
  if (series.type !== 'total') return false;
  const now = value as number | bigint;
  return now < (before.value as number | bigint);
}

function typeSeven(sorted: readonly number[], quantile: number): number {
  if (sorted.length === 0) return Number.NaN;
  const position = quantile * (sorted.length - 1) + 1;
  const rank = Math.floor(position);
  const at = (i: number) => sorted[i] ?? Number.NaN;
  if (rank >= sorted.length) return at(sorted.length - 1);
  return at(rank - 1) + (position - rank) * (at(rank) - at(rank - 1));
}

/**
 * Points of `seriesCount` series over the hour before the day and some of its hours: restarts with and
 * without a new start time, unknown starts, two writers at once, NaN, infinities, ints past 2^53, missing
 * values, bounds that change. Requests come late, and again, some with other values.
 */
export function randomMetricDay(random: () => number, dayMs: number, seriesCount: number): Sent[] {
  const whole = (below: number): number => Math.floor(random() * below);
  const sent: Sent[] = [];
  for (let index = 0; index < seriesCount; index += 1) {
    const series: Series = {
      tenantId: random() < 0.7 ? 'default' : 'acme',
      service: ['cart', 'zahlung-ü', ''][whole(3)] ?? '',
      metric: `metric.${whole(4)}`,
      type: types[index % types.length] ?? 'gauge',
      label: `label ${index}`,
    };
    for (const point of randomPoints(random, series, dayMs)) {
      const { tenantId } = series;
      const last = sent.at(-1);
      const joins = random() < 0.7 && last?.points[0]?.series.tenantId === tenantId;
      const points = joins ? [...(sent.pop()?.points ?? []), point] : [point];
      sent.push({ points, receivedMs: 0, partition: 0, offset: 0n });
    }
  }
  const placed = sent.map((request, index) => {
    const receivedMs = Number(request.points[0]?.timeNs ?? 0n) / 1e6 + whole(5000);
    const from = { receivedMs: Math.floor(receivedMs), partition: whole(2) - 1 };
    return { ...request, ...from, offset: BigInt(index) };
  });
  const again = placed
    .filter(() => random() < 0.2)
    .map((request, index) => ({
      points: request.points.map((point) => (random() < 0.8 ? point : changed(random, point))),
      receivedMs: request.receivedMs + whole(3) - 1,
      partition: whole(2) - 1,
      offset: BigInt(placed.length + index),
    }));
  return [...placed, ...again];
}

function changed(random: () => number, point: Point): Point {
  const { value } = point;
  if (typeof value === 'number') return { ...point, value: value + Math.floor(random() * 3) };
  return typeof value === 'bigint' ? { ...point, value: Number(value) } : point;
}

function* randomPoints(random: () => number, series: Series, dayMs: number): Generator<Point> {
  const whole = (below: number): number => Math.floor(random() * below);
  const dayNs = BigInt(dayMs) * 1_000_000n;
  const isInt = random() < 0.4;
  const huge = isInt && random() < 0.3;
  let startNs = [0n, dayNs - 30n * hourNs, dayNs - hourNs / 2n, dayNs + hourNs][whole(4)] ?? 0n;
  let timeNs = dayNs - hourNs / 4n + BigInt(whole(1000));
  let total = huge ? 2n ** 62n : BigInt(whole(1000));
  let histogram: Histogram = randomHistogram(random, whole(2));
  for (let i = 0; i < 40; i += 1) {
    timeNs += random() < 0.1 ? hourNs : BigInt(whole(300) + 1) * 1_000_000_000n;
    if (timeNs >= dayNs + 24n * hourNs) return;
    const shape = random();
    if (shape < 0.04) {
      startNs = timeNs - BigInt(whole(2) * 1_000_000_000);
      total = 0n;
      histogram = randomHistogram(random, whole(2));
    } else if (shape < 0.07) {
      total = BigInt(whole(5));
      histogram = randomHistogram(random, 0);
    }
    total += huge ? 2n ** 53n + BigInt(whole(3)) : BigInt(whole(100));
    histogram = grown(random, histogram);
    const otherWriter = random() < 0.05 ? startNs + 7n : startNs;
    const point = { series, startNs: otherWriter, timeNs };
    if (random() < 0.04) yield { ...point, value: undefined };
    else if (series.type.startsWith('histogram')) {
      const isDelta = series.type === 'histogramDelta';
      yield { ...point, value: isDelta ? randomHistogram(random, Number(shape > 0.9)) : histogram };
    } else
      yield { ...point, value: randomValue(random, series, isInt ? total : Number(total) / 8) };
  }
}

function randomValue(
  random: () => number,
  series: Series,
  total: number | bigint,
): number | bigint {
  const shape = random();
  if (shape < 0.03) return Number.NaN;
  if (series.type === 'gauge' && shape < 0.06)
    return [Infinity, -Infinity, -0, 1e308][Math.floor(shape * 100) % 4] ?? 0;
  if (series.type === 'total') return total;
  const sign = random() < 0.3 && series.type !== 'delta' ? -1 : 1;
  return typeof total === 'bigint' ? total * BigInt(sign) : total * sign * random();
}

function randomHistogram(random: () => number, shape: number): Histogram {
  const bounds = shape === 0 ? [0.5, 1, 10] : [1, 2];
  const counts = [...bounds, 0].map(() => Math.floor(random() * 5));
  const isEmpty = counts.every((count) => count === 0);
  const extremes = random() < 0.9 ? { min: random(), max: 10 + random() } : {};
  return { bounds, counts, sum: isEmpty ? 0 : random() * 100, ...extremes };
}

function grown(random: () => number, { bounds, counts, sum }: Histogram): Histogram {
  const more = counts.map((count) => count + Math.floor(random() * 3));
  const isEmpty = more.every((count) => count === 0);
  return { bounds, counts: more, sum: isEmpty ? 0 : sum + random() * 10 };
}
