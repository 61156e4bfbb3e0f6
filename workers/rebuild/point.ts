/**
 * Writes rows of `signal=metrics` files as data points of their metric's kind; docs/FIELDS.md says
 * which column is what.
 */
import type {
  Attributes,
  Lists,
  Names,
  Numbers,
  RowColumns,
  Texts,
} from '../clients/parquet/rows.ts';
import { writeAttributes } from './attributes.ts';
import { ExemplarRows } from './exemplar.ts';
import type { ReverseWriter } from './writer.ts';

type Longs = Numbers<BigInt64Array>;

/** Field numbers of flags, attributes and exemplars, which differ from kind to kind. */
interface Shared {
  readonly flags: number;
  readonly attributes: number;
  readonly exemplars: number;
}

const shared: Readonly<Record<string, Shared>> = {
  Gauge: { flags: 8, attributes: 7, exemplars: 5 },
  Sum: { flags: 8, attributes: 7, exemplars: 5 },
  Histogram: { flags: 10, attributes: 9, exemplars: 8 },
  ExponentialHistogram: { flags: 10, attributes: 1, exemplars: 11 },
  Summary: { flags: 8, attributes: 7, exemplars: 0 },
};

export class PointRows {
  readonly #raw: Texts;
  readonly #type: Names;
  readonly #start: Longs;
  readonly #time: Longs;
  readonly #flags: Numbers<Uint32Array>;
  readonly #attributes: Attributes;
  readonly #value: Longs;
  readonly #valueInt: Longs;
  readonly #count: Longs;
  readonly #sum: Longs;
  readonly #min: Longs;
  readonly #max: Longs;
  readonly #histogram: HistogramRows;
  readonly #exponential: ExponentialRows;
  readonly #quantiles: QuantileRows;
  readonly #exemplars: ExemplarRows;

  constructor(columns: RowColumns) {
    this.#raw = columns.texts('PointOtlp');
    this.#type = columns.names('MetricType');
    this.#start = columns.longs('StartTimeUnix');
    this.#time = columns.longs('TimeUnix');
    this.#flags = columns.uint32('Flags');
    this.#attributes = columns.attributes('Attributes', 'AttributeKinds');
    this.#value = columns.doubleBits('Value');
    this.#valueInt = columns.longs('ValueInt');
    this.#count = columns.longs('Count');
    this.#sum = columns.doubleBits('Sum');
    this.#min = columns.doubleBits('Min');
    this.#max = columns.doubleBits('Max');
    this.#histogram = new HistogramRows(columns);
    this.#exponential = new ExponentialRows(columns);
    this.#quantiles = new QuantileRows(columns);
    this.#exemplars = new ExemplarRows(columns);
  }

  /** Writes the fields of the row's data point (metrics.proto). */
  write(out: ReverseWriter, row: number): void {
    if (!this.#raw.isNull(row)) {
      out.raw(this.#raw.bytes, this.#raw.start(row), this.#raw.end(row));
      return;
    }
    const kind = this.#type.text(row);
    const fields = shared[kind];
    if (!fields) throw new Error(`Bug: no data point is of kind "${kind}"`);
    const attributes = this.#attributes;
    writeAttributes(out, fields.attributes, attributes, attributes.start(row), attributes.end(row));
    out.varintUnless0(fields.flags, this.#flags.values[row]);
    if (fields.exemplars > 0) this.#exemplars.write(out, fields.exemplars, row);
    this.#values(out, kind, row);
    out.fixed64Unless0(3, this.#time.values[row]);
    out.fixed64Unless0(2, this.#start.values[row]);
  }

  #values(out: ReverseWriter, kind: string, row: number): void {
    if (kind === 'Gauge' || kind === 'Sum') {
      if (!this.#valueInt.isNull(row)) out.fixed64(6, this.#valueInt.values[row] ?? 0n);
      else optional(out, 4, this.#value, row);
      return;
    }
    if (kind === 'Summary') {
      this.#quantiles.write(out, row);
      out.fixed64Unless0(5, this.#sum.values[row]);
    } else {
      const isExponential = kind === 'ExponentialHistogram';
      optional(out, isExponential ? 13 : 12, this.#max, row);
      optional(out, isExponential ? 12 : 11, this.#min, row);
      if (isExponential) this.#exponential.write(out, row);
      else this.#histogram.write(out, row);
      optional(out, 5, this.#sum, row);
    }
    out.fixed64Unless0(4, this.#count.values[row]);
  }
}

class HistogramRows {
  readonly #countLists: Lists;
  readonly #counts: Longs;
  readonly #boundLists: Lists;
  readonly #bounds: BigInt64Array;

  constructor(columns: RowColumns) {
    this.#countLists = columns.lists('BucketCounts');
    this.#counts = columns.longItems('BucketCounts');
    this.#boundLists = columns.lists('ExplicitBounds');
    this.#bounds = columns.doubleBitItems('ExplicitBounds');
  }

  write(out: ReverseWriter, row: number): void {
    packed(out, 7, this.#boundLists, this.#bounds, row);
    packed(out, 6, this.#countLists, this.#counts.values, row);
  }
}

class ExponentialRows {
  readonly #scale: Numbers<Int32Array>;
  readonly #zeroCount: Longs;
  readonly #zeroThreshold: Longs;
  readonly #positive: BucketRows;
  readonly #negative: BucketRows;

  constructor(columns: RowColumns) {
    this.#scale = columns.int32('Scale');
    this.#zeroCount = columns.longs('ZeroCount');
    this.#zeroThreshold = columns.doubleBits('ZeroThreshold');
    this.#positive = new BucketRows(columns, 'Positive');
    this.#negative = new BucketRows(columns, 'Negative');
  }

  write(out: ReverseWriter, row: number): void {
    out.fixed64Unless0(14, this.#zeroThreshold.values[row]);
    this.#negative.write(out, 9, row);
    this.#positive.write(out, 8, row);
    out.fixed64Unless0(7, this.#zeroCount.values[row]);
    out.varintUnless0(6, zigzag(this.#scale.values[row] ?? 0));
  }
}

class BucketRows {
  readonly #offset: Numbers<Int32Array>;
  readonly #lists: Lists;
  readonly #counts: Longs;

  constructor(columns: RowColumns, sign: 'Positive' | 'Negative') {
    this.#offset = columns.int32(`${sign}Offset`);
    this.#lists = columns.lists(`${sign}BucketCounts`);
    this.#counts = columns.longItems(`${sign}BucketCounts`);
  }

  /** An offset of null says that there was no such message. */
  write(out: ReverseWriter, field: number, row: number): void {
    if (this.#offset.isNull(row)) return;
    const mark = out.written;
    const from = this.#lists.start(row);
    for (let index = this.#lists.end(row) - 1; index >= from; index -= 1) {
      out.packedLong(this.#counts.values[index] ?? 0n);
    }
    if (out.written > mark) out.close(2, mark);
    out.varintUnless0(1, zigzag(this.#offset.values[row] ?? 0));
    out.close(field, mark);
  }
}

class QuantileRows {
  readonly #lists: Lists;
  readonly #quantiles: BigInt64Array;
  readonly #values: BigInt64Array;

  constructor(columns: RowColumns) {
    this.#lists = columns.lists('ValueAtQuantiles.Quantile');
    this.#quantiles = columns.doubleBitItems('ValueAtQuantiles.Quantile');
    this.#values = columns.doubleBitItems('ValueAtQuantiles.Value');
  }

  write(out: ReverseWriter, row: number): void {
    for (let index = this.#lists.end(row) - 1; index >= this.#lists.start(row); index -= 1) {
      const mark = out.written;
      out.fixed64Unless0(2, this.#values[index]);
      out.fixed64Unless0(1, this.#quantiles[index]);
      out.close(6, mark);
    }
  }
}

/** A field of a oneof or an `optional` one: written whenever it was sent, 0 too. */
function optional(out: ReverseWriter, field: number, numbers: Longs, row: number): void {
  if (!numbers.isNull(row)) out.fixed64(field, numbers.values[row] ?? 0n);
}

/** A packed field of 8 bytes each; none at all for an empty list. */
function packed(
  out: ReverseWriter,
  field: number,
  lists: Lists,
  values: BigInt64Array,
  row: number,
): void {
  const mark = out.written;
  for (let index = lists.end(row) - 1; index >= lists.start(row); index -= 1) {
    out.packedFixed64(values[index] ?? 0n);
  }
  if (out.written > mark) out.close(field, mark);
}

/** A sint32 as protobuf's zigzag has it. */
function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}
