/**
 * Seeded random ExportMetricsServiceRequests with every field of the official protos: all five kinds,
 * numbers packed and not, exemplars, unknown fields; most points valid, some wrong in each way.
 */
import { Generator } from './generate.ts';
import { bytesField, fixed64Field, message, varint, varintField } from './wire.ts';

/** Bits of doubles that are worth trying. */
const doubles = [0, -0, 1, -1.5, 0.1, 1e300, 5e-324, NaN, Infinity, -Infinity].map(bitsOf);
const integers = [0n, 1n, -1n, 2n ** 53n + 1n, 2n ** 53n + 3n, 2n ** 63n - 1n, -(2n ** 63n)];

export function bitsOf(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}

export function doubleField(field: number, value: number): Uint8Array {
  return fixed64Field(field, bitsOf(value));
}

export function zigzagField(field: number, value: number): Uint8Array {
  return varintField(field, ((value << 1) ^ (value >> 31)) >>> 0);
}

/** Values of 8 bytes: packed. */
export function packed64(field: number, values: readonly bigint[]): Uint8Array {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => bytes.writeBigUInt64LE(BigInt.asUintN(64, value), index * 8));
  return bytesField(field, bytes);
}

export class PointGenerator extends Generator {
  override request(): Uint8Array {
    const resources = this.many(3, () => bytesField(1, this.resourceMetrics(), this.extra()));
    return this.message(resources);
  }

  private resourceMetrics(): Uint8Array {
    const scopes = this.many(3, () => bytesField(2, this.scopeMetrics()));
    const head = this.some(
      () => bytesField(1, this.resource()),
      () => bytesField(3, this.text()),
    );
    return this.message([...head, ...scopes]);
  }

  private scopeMetrics(): Uint8Array {
    const metrics = this.many(5, () => bytesField(2, this.metric(), this.extra()));
    const head = this.some(
      () => bytesField(1, this.scope()),
      () => bytesField(3, this.text()),
    );
    return this.message([...head, ...metrics]);
  }

  private metric(): Uint8Array {
    const data = this.chance(0.95) ? [this.data()] : [];
    return this.message([
      ...this.some(
        () => bytesField(1, this.text()),
        () => bytesField(2, this.text()),
        () => bytesField(3, this.text()),
      ),
      // Of two members the last counts.
      ...(this.chance(0.03) ? [this.data()] : []),
      ...data,
      ...(this.chance(0.3) ? this.attributes(12, 3) : []),
    ]);
  }

  private data(): Uint8Array {
    const kind = this.below(5);
    const points = this.many(5, () => bytesField(1, this.point(kind), this.extra()));
    const temporality = () => varintField(2, this.chance(0.03) ? this.below(9) : 2);
    const shared = kind === 0 || kind === 4 || this.chance(0.05) ? [] : [temporality()];
    const isMonotonic = kind === 1 ? this.some(() => varintField(3, this.below(2))) : [];
    const field = [5, 7, 9, 10, 11][kind] ?? 5;
    return bytesField(field, this.message([...points, ...shared, ...isMonotonic]));
  }

  private point(kind: number): Uint8Array {
    if (kind < 2) return this.numberPoint();
    if (kind === 2) return this.histogramPoint();
    return kind === 3 ? this.expHistogramPoint() : this.summaryPoint();
  }

  private times(): Uint8Array[] {
    return [
      ...(this.chance(0.98) ? [fixed64Field(3, this.time())] : []),
      ...this.some(() => fixed64Field(2, this.time())),
    ];
  }

  private flags(field: number): Uint8Array[] {
    return this.chance(0.1) ? [varintField(field, this.chance(0.5) ? 1 : this.word())] : [];
  }

  private double64(): bigint {
    if (this.chance(0.5)) return this.pick(doubles);
    return this.chance(0.5) ? bitsOf(this.random() * 100) : this.bytes(8).readBigUInt64LE();
  }

  private number(doubleTag: number, intTag: number): Uint8Array[] {
    if (this.chance(0.05)) return [];
    const both = [fixed64Field(doubleTag, this.double64()), fixed64Field(intTag, this.integer())];
    return this.chance(0.03) ? both : [both[this.below(2)] ?? new Uint8Array()];
  }

  private integer(): bigint {
    return this.chance(0.5) ? this.pick(integers) : BigInt(this.below(1000));
  }

  private numberPoint(): Uint8Array {
    return this.message([
      ...this.times(),
      ...this.number(4, 6),
      ...this.exemplars(5),
      ...this.attributes(7, 6),
      ...this.flags(8),
    ]);
  }

  private exemplars(field: number): Uint8Array[] {
    if (this.chance(0.6)) return [];
    return this.many(3, () => bytesField(field, this.exemplar(), this.extra()));
  }

  private exemplar(): Uint8Array {
    return this.message([
      ...this.some(
        () => fixed64Field(2, this.time()),
        () => bytesField(4, this.id(8)),
        () => bytesField(5, this.id(16)),
      ),
      ...this.number(3, 6),
      ...this.attributes(7, 3),
    ]);
  }

  /** Values of 8 bytes: packed, not packed, or in several pieces of both. */
  private numbers(field: number, values: readonly bigint[]): Uint8Array[] {
    if (values.length === 0) return this.chance(0.1) ? [packed64(field, [])] : [];
    if (this.chance(0.6)) return [packed64(field, values)];
    const cut = this.below(values.length + 1);
    const single = values.slice(cut).map((value) => fixed64Field(field, value));
    return [packed64(field, values.slice(0, cut)), ...single];
  }

  /** Sum, min and max, each there or not; a sum that is not 0 for a count of 0 now and then. */
  private summarized(count: bigint, fields: readonly number[]): Uint8Array[] {
    return fields
      .filter(() => this.chance(0.6))
      .map((field) => {
        const isSum = field === 5;
        const isNone = isSum && count === 0n && this.chance(0.8);
        return isNone ? doubleField(field, 0) : fixed64Field(field, this.double64());
      });
  }

  private histogramPoint(): Uint8Array {
    const buckets = this.below(this.chance(0.1) ? 200 : 8);
    const counts = Array.from({ length: buckets }, () => this.count());
    const bounds = Array.from({ length: Math.max(0, buckets - 1) }, (_, index) =>
      bitsOf(index * 2.5 - 3),
    );
    if (this.chance(0.03)) bounds.push(this.double64());
    if (this.chance(0.03) && bounds.length > 1) bounds[this.below(bounds.length)] = this.double64();
    const count = this.total(buckets === 0 ? [this.count()] : counts);
    return this.message([
      ...this.times(),
      fixed64Field(4, count),
      ...this.summarized(count, [5, 11, 12]),
      ...this.numbers(6, counts),
      ...this.numbers(7, bounds),
      ...this.exemplars(8),
      ...this.attributes(9, 5),
      ...this.flags(10),
    ]);
  }

  private count(): bigint {
    return this.chance(0.3) ? 0n : BigInt(this.below(this.chance(0.1) ? 2 ** 48 : 200));
  }

  /** The sum of the counts, wrong now and then. */
  private total(counts: readonly bigint[]): bigint {
    const sum = counts.reduce((left, right) => left + right, 0n);
    return this.chance(0.03) ? sum + 1n : sum;
  }

  private buckets(counts: readonly bigint[]): Uint8Array {
    const packed = Uint8Array.from(counts.flatMap((count) => varint(count, this.extra())));
    const single = counts.map((count) => varintField(2, count));
    const cut = this.below(counts.length + 1);
    const pieces = [
      [bytesField(2, packed)],
      single,
      [packedVarints(2, ...counts.slice(0, cut)), ...single.slice(cut)],
    ];
    return this.message([
      ...this.some(() => zigzagField(1, this.below(2 ** 32) | 0)),
      ...(pieces[this.chance(0.6) ? 0 : this.below(3)] ?? []),
    ]);
  }

  private expHistogramPoint(): Uint8Array {
    const half = () =>
      Array.from({ length: this.below(this.chance(0.1) ? 160 : 8) }, () => this.count());
    const positive = half();
    const negative = this.chance(0.5) ? half() : undefined;
    const zero = this.count();
    const count = this.total([zero, ...positive, ...(negative ?? [])]);
    return this.message([
      ...this.times(),
      fixed64Field(4, count),
      ...this.summarized(count, [5, 12, 13]),
      ...this.some(
        () => zigzagField(6, this.below(40) - 20),
        () => fixed64Field(14, this.double64()),
      ),
      fixed64Field(7, zero),
      bytesField(8, this.buckets(positive)),
      ...(negative ? [bytesField(9, this.buckets(negative))] : []),
      ...this.flags(10),
      ...this.exemplars(11),
      ...this.attributes(1, 5),
    ]);
  }

  private summaryPoint(): Uint8Array {
    const quantiles = Array.from({ length: this.below(6) }, (_, index) => {
      const quantile = this.chance(0.03) ? this.double64() : bitsOf(index / 5);
      const value = this.chance(0.1) ? this.double64() : bitsOf(this.random() * 9);
      return bytesField(6, this.message([fixed64Field(1, quantile), fixed64Field(2, value)]));
    });
    return this.message([
      ...this.times(),
      fixed64Field(4, this.count()),
      ...this.some(() => fixed64Field(5, this.double64())),
      ...quantiles,
      ...this.attributes(7, 5),
      ...this.flags(8),
    ]);
  }
}

/** A request of one resource and scope, which hold these metrics. */
export function metricsRequest(...metrics: Uint8Array[]): Uint8Array {
  return bytesField(1, bytesField(2, message(...metrics.map((each) => bytesField(2, each)))));
}

/** Fields of the Metric's oneof, by kind. */
export const dataFields = {
  gauge: 5,
  sum: 7,
  histogram: 9,
  expHistogram: 10,
  summary: 11,
} as const;

/** A metric with these points, cumulative where that can be said. */
export function metricOf(kind: keyof typeof dataFields, ...points: Uint8Array[]): Uint8Array {
  const shared = kind === 'gauge' || kind === 'summary' ? [] : [varintField(2, 2)];
  const data = message(...points.map((point) => bytesField(1, point)), ...shared);
  return message(bytesField(1, `a.${kind}`), bytesField(dataFields[kind], data));
}

/** A packed field of doubles. */
export function packedDoubles(field: number, ...values: number[]): Uint8Array {
  return packed64(field, values.map(bitsOf));
}

export const pointTime = fixed64Field(3, 1_700_000_000_000_000_000n);

/** A packed field of varints. */
export function packedVarints(field: number, ...values: (bigint | number)[]): Uint8Array {
  return bytesField(field, Uint8Array.from(values.flatMap((value) => varint(value))));
}
