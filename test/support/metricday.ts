/**
 * Days of metric requests for tests of the batch, with every kind of trouble, and their exact figures by a
 * plain program over what was sent, by the rules of docs/METRICS.md: it knows neither files nor hashes.
 */
import type { Delivery } from './delivered.ts';
import { isLowerPlainly, mergePlainly, type Merged, type Side } from './exponents.ts';
import { encodeRequest } from './otlp.ts';
import {
  countOf,
  grown,
  isExponential,
  isHistogram,
  isSummary,
  randomParted,
  type Parted,
  type Summary,
} from './parted.ts';

export const types = [
  'gauge',
  'delta',
  'total',
  'upDown',
  'histogramDelta',
  'histogramTotal',
  'exponentialDelta',
  'exponentialTotal',
  'summary',
] as const;

export interface Series {
  readonly tenantId: string;
  readonly service: string;
  readonly metric: string;
  readonly type: (typeof types)[number];
  readonly label: string;
}

export interface Point {
  readonly series: Series;
  readonly startNs: bigint;
  readonly timeNs: bigint;
  /** A double, an int, what has more parts, or nothing recorded. */
  readonly value: number | bigint | Parted | undefined;
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
    exponentialDelta: { exponentialHistogram: { dataPoints, aggregationTemporality: 1 } },
    exponentialTotal: { exponentialHistogram: { dataPoints, aggregationTemporality: 2 } },
    summary: { summary: { dataPoints } },
  };
  return { name, ...data[series.type] };
}

function sideOf({ offset, counts }: Side): Record<string, unknown> {
  return { offset, bucketCounts: counts };
}

function valueOf(value: Point['value']): Record<string, unknown> {
  if (value === undefined) return { flags: 1 };
  if (typeof value === 'bigint') return { asInt: String(value) };
  if (typeof value === 'number') return { asDouble: value };
  const count = countOf(value);
  if (isSummary(value)) {
    const quantileValues = value.quantiles.map((quantile, i) => ({
      quantile,
      value: value.values[i] ?? 0,
    }));
    return { count, sum: value.sum, quantileValues };
  }
  if (isExponential(value)) {
    const { positive, negative, ...rest } = value;
    return { ...rest, count, positive: sideOf(positive), negative: sideOf(negative) };
  }
  const { bounds, counts, ...rest } = value;
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
  exponential: Merged | undefined;
  /** Of the last summary. */
  quantiles: readonly number[];
  quantileValues: readonly number[];
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
  readonly #added: { now: Parted; before: Parted | undefined }[] = [];
  readonly #summaries: { value: Summary; at: bigint }[] = [];
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
    if (typeof value === 'object' && isSummary(value)) this.#summaries.push({ value, at: timeNs });
    if (series.type === 'delta' || series.type.endsWith('Delta')) {
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
    else if (value !== undefined) this.#added.push({ now: value, before: undefined });
  }

  #addMore(value: Point['value'], before: Point['value']): void {
    if (typeof value === 'object' && typeof before === 'object') {
      this.#added.push({ now: value, before });
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
    const last = this.#summaries.reduce<{ value: Summary; at: bigint } | undefined>(
      (found, each) => (found === undefined || each.at >= found.at ? each : found),
      undefined,
    );
    const isSummed = added.length > 0 || this.#type === 'summary';
    return {
      observations: added.reduce(
        (sum, { now, before }) => sum + countOf(now) - (before ? countOf(before) : 0),
        0,
      ),
      sum: added.reduce(
        (sum, { now, before }) => sum + (before ? now.sum - before.sum : now.sum),
        isSummed ? 0 : Number.NaN,
      ),
      min: this.#extreme('min', Math.min),
      max: this.#extreme('max', Math.max),
      ...this.#buckets(),
      exponential: mergePlainly(
        added.flatMap(({ now, before }) =>
          isExponential(now)
            ? [{ now, before: before && isExponential(before) ? before : undefined }]
            : [],
        ),
      ),
      quantiles: last?.value.quantiles ?? [],
      quantileValues: last?.value.values ?? [],
    };
  }

  /** Only deltas have extremes of their own. */
  #extreme(name: 'min' | 'max', pick: (...all: number[]) => number): number {
    if (!this.#type.endsWith('Delta')) return Number.NaN;
    return fold(
      this.#added.map(({ now }) => (isSummary(now) ? undefined : now[name])),
      pick,
    );
  }

  #buckets() {
    const added = this.#added.flatMap(({ now, before }) =>
      isHistogram(now)
        ? [{ histogram: now, before: before && isHistogram(before) ? before : undefined }]
        : [],
    );
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

function hasFallen({ series, value }: Point, before: Point): boolean {
  if (typeof value === 'object' && typeof before.value === 'object') {
    const then = before.value;
    if (countOf(value) < countOf(then)) return true;
    if (isExponential(value) && isExponential(then)) return isLowerPlainly(value, then);
    if (!isHistogram(value) || !isHistogram(then)) return false;
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
  let histogram: Parted = randomParted(random, series.type, whole(2));
  for (let i = 0; i < 40; i += 1) {
    timeNs += random() < 0.1 ? hourNs : BigInt(whole(300) + 1) * 1_000_000_000n;
    if (timeNs >= dayNs + 24n * hourNs) return;
    const shape = random();
    if (shape < 0.04) {
      startNs = timeNs - BigInt(whole(2) * 1_000_000_000);
      total = 0n;
      histogram = randomParted(random, series.type, whole(2));
    } else if (shape < 0.07) {
      total = BigInt(whole(5));
      histogram = randomParted(random, series.type, 0);
    }
    total += huge ? 2n ** 53n + BigInt(whole(3)) : BigInt(whole(100));
    histogram = grown(random, histogram);
    const otherWriter = random() < 0.05 ? startNs + 7n : startNs;
    const point = { series, startNs: otherWriter, timeNs };
    if (random() < 0.04) yield { ...point, value: undefined };
    else if (/^histogram|^exponential|^summary/.test(series.type)) {
      const isDelta = series.type.endsWith('Delta');
      const own = isDelta ? randomParted(random, series.type, Number(shape > 0.9)) : histogram;
      yield { ...point, value: own };
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
