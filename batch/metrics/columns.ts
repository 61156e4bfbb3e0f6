/** From a record batch of data points to columns for the kernel, and what a series is called by. */
import {
  histogramMarks,
  pointKinds,
  pointModes,
  type PointColumns,
} from '../../aggregator-as/pointkernel.ts';
import { rowGroupRows } from '../../schemas/limits/archive.ts';
import type { SeriesName } from '../../schemas/partials/points.ts';
import { hasBit, type ArrowBatch } from '../shard/arrow.ts';
import { mapCodes } from '../shard/codes.ts';
import type { Names } from '../shard/names.ts';
import type { RowSlice } from '../work.ts';
import { mixedLists, plainLists, type PartsKind } from './lists.ts';

const hashBytes = 16;

/** The columns of an archive file that the batch of metrics needs, beside `SeriesHash`. */
export const pointColumns = [
  'MetricName',
  'MetricUnit',
  'MetricType',
  'AggregationTemporality',
  'IsMonotonic',
  'ServiceName',
  'StartTimeUnix',
  'TimeUnix',
  'Flags',
  'Attributes',
  'Value',
  'ValueInt',
  'Count',
  'Sum',
  'Min',
  'Max',
  'BucketCounts',
  'ExplicitBounds',
  'Scale',
  'ZeroCount',
  'ZeroThreshold',
  'PositiveOffset',
  'PositiveBucketCounts',
  'NegativeOffset',
  'NegativeBucketCounts',
  'ValueAtQuantiles.Quantile',
  'ValueAtQuantiles.Value',
  'ResourceAttributes',
  'ScopeName',
  'ScopeVersion',
  'TenantId',
  'IngestedAt',
  'Partition',
  'Offset',
  'ItemIndex',
];

/** DataPointFlags: no value was recorded. */
const noRecordedValue = 1;
/** AggregationTemporality of the protos. */
const temporalities = { delta: 1, cumulative: 2 } as const;

/** Metric types whose points have more than a number. */
const partsKinds: Readonly<Record<string, PartsKind>> = {
  Histogram: 'histogram',
  ExponentialHistogram: 'exponential',
  Summary: 'summary',
};

export class PointColumnMap {
  readonly #tenants: Names;
  // Reused for every batch: a batch has at most one row group's rows.
  readonly #codes = new Uint32Array(rowGroupRows);
  readonly #values = new BigInt64Array(rowGroupRows);
  readonly #counts = new BigUint64Array(rowGroupRows);
  readonly #sums = new Float64Array(rowGroupRows);
  readonly #mins = new Float64Array(rowGroupRows);
  readonly #maxs = new Float64Array(rowGroupRows);
  readonly #kinds = new Uint8Array(rowGroupRows);
  readonly #modes = new Uint8Array(rowGroupRows);
  readonly #monotonic = new Uint8Array(rowGroupRows);
  readonly #marks = new Uint8Array(rowGroupRows);

  constructor(tenants: Names) {
    this.#tenants = tenants;
  }

  /** The rows as the kernel takes them: views, valid until the next call. */
  columns(slice: RowSlice): PointColumns {
    const { arrow, from, to } = slice;
    const types = new Types(arrow);
    this.#fillKinds(slice, types);
    this.#fillModes(slice, types);
    if (types.havePayloads) this.#fillTotals(slice);
    const lists = types.areMixed
      ? mixedLists(slice, (row) => types.partsKind(row))
      : plainLists(slice);
    const rows = to - from;
    return {
      rows,
      seriesHashes: arrow.fixed('SeriesHash', hashBytes).subarray(from * hashBytes, to * hashBytes),
      startsNs: arrow.int64('StartTimeUnix').subarray(from, to),
      timesNs: arrow.int64('TimeUnix').subarray(from, to),
      values: this.#values.subarray(0, rows),
      ingestedMs: arrow.int64('IngestedAt').subarray(from, to),
      offsets: arrow.int64('Offset').subarray(from, to),
      counts: this.#counts.subarray(0, rows),
      sums: this.#sums.subarray(0, rows),
      mins: this.#mins.subarray(0, rows),
      maxs: this.#maxs.subarray(0, rows),
      tenants: mapCodes(arrow, 'TenantId', slice, this.#codes, (name) => this.#tenants.id(name)),
      partitions: arrow.int32('Partition').subarray(from, to),
      itemIndexes: arrow.uint32('ItemIndex').subarray(from, to),
      kinds: this.#kinds.subarray(0, rows),
      modes: this.#modes.subarray(0, rows),
      monotonic: this.#monotonic.subarray(0, rows),
      marks: this.#marks.subarray(0, rows),
      ...lists,
    };
  }

  /** Kinds and values: an int where one was sent, else the double's bits. */
  #fillKinds({ arrow, from, to }: RowSlice, types: Types): void {
    const flags = arrow.uint32('Flags');
    const ints = arrow.int64('ValueInt', 'nulls');
    const isInt = arrow.validity('ValueInt');
    const doubles = arrow.doubleOrNull('Value');
    const isDouble = arrow.validity('Value');
    const bits = new BigInt64Array(doubles.buffer, doubles.byteOffset, doubles.length);
    for (let row = from; row < to; row += 1) {
      const parts = types.partsKind(row);
      let kind: number = parts === 'none' ? pointKinds.other : pointKinds[parts];
      let value = 0n;
      if (hasBit(isInt, row)) {
        kind = pointKinds.int;
        value = ints[row] ?? 0n;
      } else if (hasBit(isDouble, row)) {
        kind = pointKinds.double;
        value = bits[row] ?? 0n;
      }
      const isNone = ((flags[row] ?? 0) & noRecordedValue) !== 0;
      this.#kinds[row - from] = isNone ? pointKinds.none : kind;
      this.#values[row - from] = isNone ? 0n : value;
    }
  }

  #fillModes({ arrow, from, to }: RowSlice, types: Types): void {
    const sent = arrow.int32('AggregationTemporality');
    const monotonic = arrow.bools('IsMonotonic');
    for (let row = from; row < to; row += 1) {
      const temporality = types.addsUp(row) ? sent[row] : 0;
      let mode: number = pointModes.none;
      if (temporality === temporalities.delta) mode = pointModes.delta;
      if (temporality === temporalities.cumulative) mode = pointModes.cumulative;
      // Count and sum of a summary are totals since its start time.
      if (types.partsKind(row) === 'summary') mode = pointModes.cumulative;
      this.#modes[row - from] = mode;
      this.#monotonic[row - from] = Number(hasBit(monotonic, row));
    }
  }

  #fillTotals({ arrow, from, to }: RowSlice): void {
    this.#counts.fill(0n, 0, to - from);
    this.#marks.fill(0, 0, to - from);
    const isCount = arrow.validity('Count');
    const counts = arrow.uint64OrNull('Count');
    for (let row = from; row < to; row += 1) {
      if (hasBit(isCount, row)) this.#counts[row - from] = counts[row] ?? 0n;
    }
    this.#fillDoubles('Sum', { arrow, from, to }, this.#sums, histogramMarks.noSum);
    this.#fillDoubles('Min', { arrow, from, to }, this.#mins, histogramMarks.noMin);
    this.#fillDoubles('Max', { arrow, from, to }, this.#maxs, histogramMarks.noMax);
  }

  /** Values of a nullable column; 0 and a mark where there is none, or NaN. */
  #fillDoubles(
    name: string,
    { arrow, from, to }: Omit<RowSlice, 'hourMs'>,
    target: Float64Array,
    mark: number,
  ): void {
    const valid = arrow.validity(name);
    const values = arrow.doubleOrNull(name);
    for (let row = from; row < to; row += 1) {
      const value = hasBit(valid, row) ? (values[row] ?? 0) : Number.NaN;
      target[row - from] = Number.isNaN(value) ? 0 : value;
      if (Number.isNaN(value)) this.#marks[row - from] = (this.#marks[row - from] ?? 0) | mark;
    }
  }
}

/** What the metric types of a batch's dictionary are. */
class Types {
  readonly #codes: Int32Array;
  readonly #partsKinds: readonly PartsKind[];
  readonly #addsUp: readonly boolean[];

  constructor(arrow: ArrowBatch) {
    const { codes, values } = arrow.dictionary('MetricType');
    this.#codes = codes;
    this.#partsKinds = values.map((type) => partsKinds[type] ?? 'none');
    this.#addsUp = values.map((type) => type === 'Sum' || partsKinds[type] !== undefined);
  }

  get havePayloads(): boolean {
    return this.#partsKinds.some((kind) => kind !== 'none');
  }

  /** Whether there are other parts than those of histograms. */
  get areMixed(): boolean {
    return this.#partsKinds.some((kind) => kind === 'exponential' || kind === 'summary');
  }

  partsKind(row: number): PartsKind {
    return this.#partsKinds[this.#codes[row] ?? 0] ?? 'none';
  }

  addsUp(row: number): boolean {
    return this.#addsUp[this.#codes[row] ?? 0] ?? false;
  }
}

/** Reads what the series of single rows are called by; each dictionary once, when it is asked for. */
export class SeriesNames {
  readonly #arrow: ArrowBatch;
  readonly #dictionaries = new Map<string, { codes: Int32Array; values: string[] }>();

  constructor(arrow: ArrowBatch) {
    this.#arrow = arrow;
  }

  /** Of the series that the row is a point of. Attributes are sorted by key. */
  name(row: number): Omit<SeriesName, 'tenantId'> {
    return {
      serviceName: this.#text('ServiceName', row),
      metricName: this.#text('MetricName', row),
      metricType: this.#text('MetricType', row),
      unit: this.#text('MetricUnit', row),
      temporality: this.#arrow.int32('AggregationTemporality')[row] ?? 0,
      isMonotonic: hasBit(this.#arrow.bools('IsMonotonic'), row),
      scopeName: this.#text('ScopeName', row),
      scopeVersion: this.#text('ScopeVersion', row),
      attributes: this.#attributes('Attributes', row),
      resourceAttributes: this.#attributes('ResourceAttributes', row),
    };
  }

  #text(column: string, row: number): string {
    const known = this.#dictionaries.get(column) ?? this.#arrow.dictionary(column);
    this.#dictionaries.set(column, known);
    return known.values[known.codes[row] ?? 0] ?? '';
  }

  /** Of a key that was sent twice the first counts, as in a lookup in ClickHouse. */
  #attributes(column: string, row: number): [key: string, value: string][] {
    const entries = this.#arrow.entries(column, row);
    const first = new Map(entries.toReversed());
    return [...first].toSorted(([a], [b]) => (a < b ? -1 : Number(a > b)));
  }
}
