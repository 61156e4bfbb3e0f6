/**
 * What the transcoder must make of a metrics request, in plain TypeScript over what protobufjs
 * decoded: the oracle of the rows and of the columns. Shares no code with the kernel.
 */
import protobuf from 'protobufjs';
import type { Receipt, RejectReason } from '../../aggregator-as/host.ts';
import { bytesOf, decode, hasUnknown, listOf, longOf, numberOf, own } from './oracle.ts';
import type { Decoded } from './oracle.ts';
import { hex, Marks, readAttributes, readResource, readScope } from './reference.ts';
import type { Attribute, Owner, Scope } from './reference.ts';
import { bytesField } from './wire.ts';

/** In the order of the tables. */
export const kinds = ['Gauge', 'Sum', 'Histogram', 'ExponentialHistogram', 'Summary'] as const;
export type Kind = (typeof kinds)[number];

const members: Record<string, Kind> = {
  gauge: 'Gauge',
  sum: 'Sum',
  histogram: 'Histogram',
  exponentialHistogram: 'ExponentialHistogram',
  summary: 'Summary',
};

const pointTypes: Record<Kind, string> = {
  Gauge: 'NumberDataPoint',
  Sum: 'NumberDataPoint',
  Histogram: 'HistogramDataPoint',
  ExponentialHistogram: 'ExponentialHistogramDataPoint',
  Summary: 'SummaryDataPoint',
};

export interface Metric {
  readonly kind: Kind | undefined;
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly temporality: number;
  readonly isMonotonic: boolean;
  readonly metadata: Attribute[];
  /** The message without its points where the columns cannot give it back. */
  readonly raw: Uint8Array | null;
}

/** A number of a point or exemplar: the 64 bits of its double or int. */
export interface Value {
  readonly bits: bigint;
  readonly isInt: boolean;
}

export interface Exemplar {
  readonly attributes: Attribute[];
  readonly timeNs: bigint;
  readonly value: Value | undefined;
  readonly spanId: string;
  readonly traceId: string;
}

export interface Buckets {
  readonly offset: number;
  readonly counts: bigint[];
}

/** A data point of any kind. Doubles are their bits. */
export interface ExpectedPoint {
  readonly itemIndex: number;
  readonly quarantined: boolean;
  readonly resource: Owner;
  readonly scope: Scope;
  readonly metric: Metric & { readonly kind: Kind };
  readonly attributes: Attribute[];
  readonly startNs: bigint;
  readonly timeNs: bigint;
  readonly flags: number;
  readonly value: Value | undefined;
  readonly count: bigint;
  readonly sum: bigint | undefined;
  readonly min: bigint | undefined;
  readonly max: bigint | undefined;
  readonly bucketCounts: bigint[];
  readonly explicitBounds: bigint[];
  readonly scale: number;
  readonly zeroCount: bigint;
  readonly zeroThreshold: bigint;
  readonly positive: Buckets | undefined;
  readonly negative: Buckets | undefined;
  readonly quantiles: { readonly quantile: bigint; readonly value: bigint }[];
  readonly exemplars: Exemplar[];
  readonly raw: Uint8Array | null;
}

export interface ExpectedPoints {
  readonly points: ExpectedPoint[];
  readonly rejectedBy: Partial<Record<RejectReason, number>>;
  readonly invalidUtf8: number;
}

/** Reads a request that protobufjs accepts. */
export function expectPoints(request: Uint8Array, receipt: Receipt): ExpectedPoints {
  const points: ExpectedPoint[] = [];
  const rejectedBy: Partial<Record<RejectReason, number>> = {};
  const marks = new Marks();
  let itemIndex = 0;
  for (const owned of metricsOf(request, marks)) {
    const data = dataOf(owned.decoded);
    const metric = readMetric(owned, data, marks);
    if (metric.kind === undefined || !data) continue;
    for (const bytes of listOf(data, 'dataPoints') as unknown as Uint8Array[]) {
      const decoded = decode(pointTypes[metric.kind], bytes);
      const owner = { ...owned, metric: { ...metric, kind: metric.kind }, itemIndex };
      const point = readPoint(decoded, bytes, { ...owner, receipt, marks });
      itemIndex++;
      const reason = rejectReason(decoded, point);
      if (reason) rejectedBy[reason] = (rejectedBy[reason] ?? 0) + 1;
      else points.push(point);
    }
  }
  return { points, rejectedBy, invalidUtf8: marks.invalidUtf8 };
}

interface Owned {
  readonly resource: Owner;
  readonly scope: Scope;
  readonly decoded: Decoded;
  readonly bytes: Uint8Array;
}

function* metricsOf(request: Uint8Array, marks: Marks): Generator<Owned> {
  const decoded = decode('ExportMetricsServiceRequest', request);
  for (const resourceMetrics of listOf(decoded, 'resourceMetrics')) {
    const resource = readResource(resourceMetrics, marks);
    for (const scopeMetrics of listOf(resourceMetrics, 'scopeMetrics')) {
      const scope = readScope(scopeMetrics, marks);
      for (const bytes of listOf(scopeMetrics, 'metrics') as unknown as Uint8Array[]) {
        yield { resource, scope, decoded: decode('Metric', bytes), bytes };
      }
    }
  }
}

/** The Gauge, Sum, … that was set last. */
function dataOf(metric: Decoded): Decoded | undefined {
  const kind = members[metric['data'] as string];
  return kind && decode(kind, bytesOf(metric, metric['data'] as string));
}

function readMetric(owned: Owned, data: Decoded | undefined, marks: Marks): Metric {
  const { decoded: metric, bytes } = owned;
  const fields = {
    kind: members[metric['data'] as string],
    name: marks.text(bytesOf(metric, 'name')),
    description: marks.text(bytesOf(metric, 'description')),
    unit: marks.text(bytesOf(metric, 'unit')),
    temporality: data ? numberOf(data, 'aggregationTemporality') : 0,
    isMonotonic: data ? own(data, 'isMonotonic') === true : false,
    metadata: readAttributes(listOf(metric, 'metadata'), marks),
  };
  const isInexact = marks.inexact || hasUnknown(metric) || hasUnknown(data);
  marks.inexact = false;
  return { ...fields, raw: isInexact ? withoutPoints(bytes) : null };
}

/** The message's fields: number, and bytes from tag to end; and the content of those with a length. */
function* fieldsOf(
  bytes: Uint8Array,
): Generator<{ field: number; all: Uint8Array; content: Uint8Array }> {
  const reader = protobuf.Reader.create(bytes);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const tag = reader.uint32();
    let content = new Uint8Array();
    if ((tag & 7) === 2) content = reader.bytes().slice();
    else reader.skipType(tag & 7, 0, tag >>> 3);
    yield { field: tag >>> 3, all: bytes.subarray(start, reader.pos), content };
  }
}

function isData({ field }: { field: number }): boolean {
  return [5, 7, 9, 10, 11].includes(field);
}

/** Of the data members the last one, its field 1 left out; everything else as it came. */
function withoutPoints(bytes: Uint8Array): Uint8Array {
  const last = [...fieldsOf(bytes)].findLastIndex(isData);
  const kept = [...fieldsOf(bytes)].map((each, index) => {
    if (!isData(each)) return each.all;
    if (index !== last) return new Uint8Array();
    const rest = [...fieldsOf(each.content)].filter(({ field }) => field !== 1);
    return bytesField(each.field, Buffer.concat(rest.map(({ all }) => all)));
  });
  return Buffer.concat(kept);
}

interface Context {
  readonly resource: Owner;
  readonly scope: Scope;
  readonly metric: Metric & { readonly kind: Kind };
  readonly itemIndex: number;
  readonly receipt: Receipt;
  readonly marks: Marks;
}

function readPoint(point: Decoded, bytes: Uint8Array, context: Context): ExpectedPoint {
  const { marks, receipt, resource, scope, metric, itemIndex } = context;
  const timeNs = longOf(point, 'timeUnixNano');
  const earliestNs = BigInt(receipt.receivedMs - receipt.pastMaxMs) * 1_000_000n;
  const latestNs = BigInt(receipt.receivedMs + receipt.futureMaxMs) * 1_000_000n;
  const fields = {
    itemIndex,
    quarantined: timeNs < earliestNs || timeNs > latestNs,
    resource,
    scope,
    metric,
    attributes: readAttributes(listOf(point, 'attributes'), marks),
    startNs: longOf(point, 'startTimeUnixNano'),
    timeNs,
    flags: numberOf(point, 'flags'),
    value: valueOf(point),
    exemplars: listOf(point, 'exemplars').map((exemplar) => readExemplar(exemplar, marks)),
    ...distributionOf(point),
  };
  return { ...fields, raw: marks.raw(point, bytes) };
}

function valueOf(point: Decoded): Value | undefined {
  // A virtual property, of the prototype: protobufjs's name of the oneof.
  const member = point['value'] as string | undefined;
  if (member !== 'asDouble' && member !== 'asInt') return undefined;
  return { bits: longOf(point, member), isInt: member === 'asInt' };
}

function distributionOf(point: Decoded) {
  const optional = (name: string) =>
    own(point, name) === undefined ? undefined : longOf(point, name);
  return {
    count: longOf(point, 'count'),
    sum: optional('sum'),
    min: optional('min'),
    max: optional('max'),
    bucketCounts: longsOf(point, 'bucketCounts'),
    explicitBounds: longsOf(point, 'explicitBounds'),
    scale: numberOf(point, 'scale'),
    zeroCount: longOf(point, 'zeroCount'),
    zeroThreshold: longOf(point, 'zeroThreshold'),
    positive: bucketsOf(own(point, 'positive')),
    negative: bucketsOf(own(point, 'negative')),
    quantiles: listOf(point, 'quantileValues').map((each) => ({
      quantile: longOf(each, 'quantile'),
      value: longOf(each, 'value'),
    })),
  };
}

function longsOf(value: Decoded, name: string): bigint[] {
  return listOf(value, name).map((long) => longOf({ long }, 'long'));
}

function bucketsOf(value: unknown): Buckets | undefined {
  if (!value) return undefined;
  const buckets = value as Decoded;
  return { offset: numberOf(buckets, 'offset'), counts: longsOf(buckets, 'bucketCounts') };
}

function readExemplar(exemplar: Decoded, marks: Marks): Exemplar {
  const [traceId = '', spanId = ''] = ['traceId', 'spanId'].map((name) => {
    const id = hex(bytesOf(exemplar, name));
    if (id === '' || !/^0+$/.test(id)) return id;
    marks.inexact = true;
    return '';
  });
  return {
    attributes: readAttributes(listOf(exemplar, 'filteredAttributes'), marks),
    timeNs: longOf(exemplar, 'timeUnixNano'),
    value: valueOf(exemplar),
    spanId,
    traceId,
  };
}

/** The double that these bits are. */
export function doubleOf(bits: bigint): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}

/** The rules of metrics.proto's comments, in the order in which the kernel names them. */
function rejectReason(decoded: Decoded, point: ExpectedPoint): RejectReason | undefined {
  const { kind, temporality } = point.metric;
  if (point.timeNs === 0n) return 'time_zero';
  if (temporality === 0 && kind !== 'Gauge' && kind !== 'Summary') return 'temporality_unspecified';
  const isIdentified = listOf(decoded, 'exemplars').every(
    (exemplar) =>
      [0, 16].includes(bytesOf(exemplar, 'traceId').length) &&
      [0, 8].includes(bytesOf(exemplar, 'spanId').length),
  );
  if (!isIdentified) return 'exemplar_id';
  if (point.flags % 2 === 1) return undefined;
  if (kind === 'Gauge' || kind === 'Sum') return point.value ? undefined : 'value_missing';
  if (kind === 'Histogram') return histogramReason(point);
  return kind === 'Summary' ? summaryReason(point) : expHistogramReason(point);
}

function histogramReason(point: ExpectedPoint): RejectReason | undefined {
  const { bucketCounts, explicitBounds, count } = point;
  const isNone = bucketCounts.length === 0 && explicitBounds.length === 0;
  if (!isNone && bucketCounts.length !== explicitBounds.length + 1) return 'bucket_count';
  if (!isRising(explicitBounds.map(doubleOf))) return 'bounds_order';
  if (!isNone && total(bucketCounts) !== count) return 'bucket_sum';
  return sumReason(point);
}

function expHistogramReason(point: ExpectedPoint): RejectReason | undefined {
  const buckets = [...(point.positive?.counts ?? []), ...(point.negative?.counts ?? [])];
  if (point.zeroCount + total(buckets) !== point.count) return 'bucket_sum';
  return sumReason(point);
}

function sumReason({ count, sum }: ExpectedPoint): RejectReason | undefined {
  const isWrong = count === 0n && sum !== undefined && doubleOf(sum) !== 0;
  return isWrong ? 'sum_without_count' : undefined;
}

function summaryReason({ quantiles }: ExpectedPoint): RejectReason | undefined {
  if (!isRising(quantiles.map(({ quantile }) => doubleOf(quantile)))) return 'quantile_range';
  for (const { quantile, value } of quantiles) {
    if (!(doubleOf(quantile) >= 0 && doubleOf(quantile) <= 1)) return 'quantile_range';
    if (doubleOf(value) < 0) return 'quantile_value';
  }
  return undefined;
}

function isRising(values: number[]): boolean {
  return values.every(
    (value, index) =>
      !Number.isNaN(value) && (index === 0 || value > (values[index - 1] ?? Number.NaN)),
  );
}

function total(counts: bigint[]): bigint {
  return counts.reduce((sum, count) => sum + count, 0n);
}
