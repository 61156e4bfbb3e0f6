/**
 * The partial of a shard of metrics: the figures of every series and hour, ascending by series, since no
 * other shard has points of the same series. All of it is header: the preamble, 'TMKM'; u64 and u64 of
 * the first series' hash, by which partials are put in order; the names; the overflow; the series. Series
 * past the limit of their service are summed up in the overflow, by hour.
 */
import { Preamble, preambleBytes } from './preamble.ts';
import { VarintReader, VarintWriter } from './varint.ts';

type Attributes = readonly (readonly [key: string, value: string])[];

/** What a series is called by. */
export interface SeriesName {
  readonly tenantId: string;
  readonly serviceName: string;
  readonly metricName: string;
  readonly metricType: string;
  readonly unit: string;
  readonly temporality: number;
  readonly isMonotonic: boolean;
  readonly scopeName: string;
  readonly scopeVersion: string;
  /** Sorted by key. */
  readonly attributes: Attributes;
  readonly resourceAttributes: Attributes;
}

/** Figures of one hour of a series; see `docs/METRICS.md`. NaN where there is none. */
export interface SeriesHour {
  readonly hourMs: number;
  readonly points: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly unrecorded: number;
  readonly nans: number;
  readonly bases: number;
  readonly resets: number;
  readonly increase: number;
  /** Least, greatest, mean, last, and the quantiles 0.5, 0.95 and 0.99. */
  readonly values: readonly number[];
  readonly histogram: HourHistogram | undefined;
  readonly summary: HourSummary | undefined;
}

export interface HourHistogram {
  readonly count: bigint;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly hasMixedBounds: boolean;
  readonly bounds: readonly number[];
  /** One more than bounds, or none. */
  readonly buckets: readonly bigint[];
  readonly exponential: ExponentialBuckets | undefined;
}

/** Bucket i of a sign is (base^(offset + i), base^(offset + i + 1)], base = 2^(2^-scale). */
export interface ExponentialBuckets {
  readonly scale: number;
  readonly zeroCount: bigint;
  /** Magnitudes up to which values are counted as zero: the largest threshold that was sent. */
  readonly zeroThreshold: number;
  /** The bucket of the threshold, if its counts are part of zero: then zero reaches to its end. */
  readonly zeroIndex: number | undefined;
  readonly positiveOffset: number;
  readonly positives: readonly bigint[];
  readonly negativeOffset: number;
  readonly negatives: readonly bigint[];
}

/** What summaries say of an hour: how many values and their sum were added, and the last quantiles. */
export interface HourSummary {
  readonly count: bigint;
  readonly sum: number;
  readonly quantiles: readonly number[];
  /** As many. */
  readonly values: readonly number[];
}

export interface Series {
  readonly name: SeriesName;
  /** 32 hex digits. */
  readonly hash: string;
  /** Ascending, at least one. */
  readonly hours: readonly SeriesHour[];
}

/** What a service's series past the limit have in one hour. */
export interface OverflowHour {
  readonly tenantId: string;
  readonly serviceName: string;
  readonly hourMs: number;
  readonly series: number;
  readonly points: number;
  readonly duplicates: number;
  readonly conflicts: number;
}

export interface PointPartial {
  readonly series: readonly Series[];
  readonly overflow: readonly OverflowHour[];
}

/** How a partial of metrics begins. */
export const pointPreamble = new Preamble('TMKM', 2);

/** Bytes at the start that say which series is the first. */
export const pointOrderBytes = preambleBytes + 16;

/** Number of value figures of an hour. */
const valueCount = 7;
const hourLengthMs = 3_600_000;

/** The partial of a shard; series ascend by hash, then by tenant. */
export function encodePointPartial({ series, overflow }: PointPartial): Uint8Array {
  const writer = new PartialWriter();
  writer.count(overflow.length);
  for (const hour of overflow) writer.overflow(hour);
  writer.count(series.length);
  for (const each of series) writer.series(each);
  return writer.finish(series[0]?.hash ?? '0'.repeat(32), series.length + overflow.length);
}

class PartialWriter {
  readonly #body = new VarintWriter(0);
  readonly #names = new Map<string, number>();

  finish(firstHash: string, entries: number): Uint8Array {
    const writer = new VarintWriter(preambleBytes);
    writer.long(BigInt(`0x${firstHash.slice(0, 16)}`));
    writer.long(BigInt(`0x${firstHash.slice(16)}`));
    writer.varint(this.#names.size);
    for (const name of this.#names.keys()) writer.name(name);
    writer.raw(this.#body.bytes());
    const bytes = writer.bytes();
    pointPreamble.write(bytes, bytes.length, entries, 0);
    return bytes;
  }

  count(value: number): void {
    this.#body.varint(value);
  }

  overflow(hour: OverflowHour): void {
    this.#text(hour.tenantId);
    this.#text(hour.serviceName);
    this.count(hour.hourMs / hourLengthMs);
    for (const value of [hour.series, hour.points, hour.duplicates, hour.conflicts]) {
      this.count(value);
    }
  }

  series({ name, hash, hours }: Series): void {
    this.#body.long(BigInt(`0x${hash.slice(0, 16)}`));
    this.#body.long(BigInt(`0x${hash.slice(16)}`));
    for (const text of [name.tenantId, name.serviceName, name.metricName]) this.#text(text);
    for (const text of [name.metricType, name.unit, name.scopeName]) this.#text(text);
    this.#text(name.scopeVersion);
    this.count(name.temporality);
    this.count(Number(name.isMonotonic));
    this.#attributes(name.attributes);
    this.#attributes(name.resourceAttributes);
    this.count(hours.length);
    for (const hour of hours) this.#hour(hour);
  }

  #hour(hour: SeriesHour): void {
    this.count(hour.hourMs / hourLengthMs);
    for (const value of [hour.points, hour.duplicates, hour.conflicts]) this.count(value);
    for (const value of [hour.unrecorded, hour.nans, hour.bases, hour.resets]) this.count(value);
    this.#body.double(hour.increase);
    for (const value of hour.values) this.#body.double(value);
    this.count(Number(hour.histogram !== undefined));
    if (hour.histogram !== undefined) this.#histogram(hour.histogram);
    this.count(Number(hour.summary !== undefined));
    if (hour.summary !== undefined) this.#summary(hour.summary);
  }

  #histogram(histogram: HourHistogram): void {
    this.#body.long(histogram.count);
    for (const value of [histogram.sum, histogram.min, histogram.max]) this.#body.double(value);
    this.count(Number(histogram.hasMixedBounds));
    this.count(histogram.bounds.length);
    for (const bound of histogram.bounds) this.#body.double(bound);
    this.#longs(histogram.buckets);
    this.count(Number(histogram.exponential !== undefined));
    if (histogram.exponential !== undefined) this.#exponential(histogram.exponential);
  }

  #exponential(buckets: ExponentialBuckets): void {
    this.#body.long(buckets.zeroCount);
    this.#body.double(buckets.zeroThreshold);
    for (const value of [buckets.scale, buckets.positiveOffset, buckets.negativeOffset]) {
      this.#body.long(BigInt(value));
    }
    this.count(Number(buckets.zeroIndex !== undefined));
    if (buckets.zeroIndex !== undefined) this.#body.long(BigInt(buckets.zeroIndex));
    this.#longs(buckets.positives);
    this.#longs(buckets.negatives);
  }

  #summary({ count, sum, quantiles, values }: HourSummary): void {
    this.#body.long(count);
    this.#body.double(sum);
    this.count(quantiles.length);
    for (const value of [...quantiles, ...values]) this.#body.double(value);
  }

  #longs(values: readonly bigint[]): void {
    this.count(values.length);
    for (const value of values) this.#body.long(value);
  }

  #attributes(attributes: Attributes): void {
    this.count(attributes.length);
    for (const [key, value] of attributes) {
      this.#text(key);
      this.#text(value);
    }
  }

  #text(text: string): void {
    const known = this.#names.get(text) ?? this.#names.size;
    if (known === this.#names.size) this.#names.set(text, known);
    this.count(known);
  }
}

/** Hash of the first series of a partial, from its first `pointOrderBytes`. Throws CORRUPT_ARCHIVE. */
export function firstSeriesOf(bytes: Uint8Array): bigint {
  pointPreamble.headerBytes(bytes);
  const reader = new VarintReader(bytes, preambleBytes);
  return (reader.long() << 64n) | reader.long();
}

/** All of a partial. Throws CORRUPT_ARCHIVE for whatever `encodePointPartial` has not written. */
export function decodePointPartial(bytes: Uint8Array): PointPartial {
  const { reader } = pointPreamble.open(bytes, 1);
  reader.long();
  reader.long();
  const names = Array.from({ length: reader.count(1) }, () => reader.name());
  const partial = new PartialReading(reader, names);
  const overflow = Array.from({ length: reader.count(7) }, () => partial.overflow());
  const series = Array.from({ length: reader.count(30) }, () => partial.series());
  if (reader.rest !== 0) reader.fail('bytes are left over');
  return { series, overflow };
}

class PartialReading {
  readonly #reader: VarintReader;
  readonly #names: readonly string[];

  constructor(reader: VarintReader, names: readonly string[]) {
    this.#reader = reader;
    this.#names = names;
  }

  overflow(): OverflowHour {
    const reader = this.#reader;
    const [tenantId, serviceName] = [this.#text(), this.#text()];
    const hourMs = reader.varint() * hourLengthMs;
    const [series, points] = [reader.varint(), reader.varint()];
    const [duplicates, conflicts] = [reader.varint(), reader.varint()];
    return { tenantId, serviceName, hourMs, series, points, duplicates, conflicts };
  }

  series(): Series {
    const reader = this.#reader;
    const hash = hexOf(reader.long()) + hexOf(reader.long());
    const [tenantId, serviceName, metricName] = [this.#text(), this.#text(), this.#text()];
    const [metricType, unit, scopeName] = [this.#text(), this.#text(), this.#text()];
    const scopeVersion = this.#text();
    const temporality = reader.varint();
    const isMonotonic = reader.varint() === 1;
    const attributes = this.#attributes();
    const resourceAttributes = this.#attributes();
    const texts = { tenantId, serviceName, metricName, metricType, unit, scopeName, scopeVersion };
    const name = { ...texts, temporality, isMonotonic, attributes, resourceAttributes };
    return { name, hash, hours: Array.from({ length: reader.count(71) }, () => this.#hour()) };
  }

  #hour(): SeriesHour {
    const reader = this.#reader;
    const hourMs = reader.varint() * hourLengthMs;
    const [points, duplicates, conflicts] = [reader.varint(), reader.varint(), reader.varint()];
    const [unrecorded, nans] = [reader.varint(), reader.varint()];
    const [bases, resets] = [reader.varint(), reader.varint()];
    const increase = reader.double();
    const values = Array.from({ length: valueCount }, () => reader.double());
    const histogram = reader.varint() === 0 ? undefined : this.#histogram();
    const summary = reader.varint() === 0 ? undefined : this.#summary();
    const counts = { points, duplicates, conflicts, unrecorded, nans, bases, resets };
    return { hourMs, ...counts, increase, values, histogram, summary };
  }

  #histogram(): HourHistogram {
    const reader = this.#reader;
    const count = reader.long();
    const [sum, min, max] = [reader.double(), reader.double(), reader.double()];
    const hasMixedBounds = reader.varint() === 1;
    const bounds = Array.from({ length: reader.count(8) }, () => reader.double());
    const buckets = this.#longs();
    const exponential = reader.varint() === 0 ? undefined : this.#exponential();
    return { count, sum, min, max, hasMixedBounds, bounds, buckets, exponential };
  }

  #exponential(): ExponentialBuckets {
    const reader = this.#reader;
    const [zeroCount, zeroThreshold] = [reader.long(), reader.double()];
    const [scale, positiveOffset, negativeOffset] = [this.#int(), this.#int(), this.#int()];
    const zeroIndex = reader.varint() === 0 ? undefined : this.#int();
    const [positives, negatives] = [this.#longs(), this.#longs()];
    const offsets = { positiveOffset, negativeOffset };
    return { scale, zeroCount, zeroThreshold, zeroIndex, ...offsets, positives, negatives };
  }

  #summary(): HourSummary {
    const reader = this.#reader;
    const [count, sum] = [reader.long(), reader.double()];
    const length = reader.count(16);
    const quantiles = Array.from({ length }, () => reader.double());
    const values = Array.from({ length }, () => reader.double());
    return { count, sum, quantiles, values };
  }

  #longs(): bigint[] {
    return Array.from({ length: this.#reader.count(8) }, () => this.#reader.long());
  }

  #int(): number {
    return Number(BigInt.asIntN(64, this.#reader.long()));
  }

  #attributes(): [key: string, value: string][] {
    return Array.from({ length: this.#reader.count(2) }, () => [this.#text(), this.#text()]);
  }

  #text(): string {
    return this.#names[this.#reader.varint()] ?? this.#reader.fail('a name is missing');
  }
}

function hexOf(word: bigint): string {
  return word.toString(16).padStart(16, '0');
}
