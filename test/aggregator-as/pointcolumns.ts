/** The columns that the reference's points make, as plain values by the names of `metricColumns`. */
import type { Provenance } from '../../aggregator-as/host.ts';
import { seriesHash } from './murmur.ts';
import { doubleOf } from './points.ts';
import type { ExpectedPoint, Value } from './points.ts';
import { hex } from './reference.ts';
import type { Attribute } from './reference.ts';

export interface PlacedPoint {
  readonly point: ExpectedPoint;
  readonly provenance: Provenance;
}

export interface ExpectedPointHour {
  readonly hourMs: number;
  readonly quarantined: boolean;
  readonly rows: Record<string, unknown>[];
}

const hourMs = 3_600_000;

/** Points in order of arrival, by hour, each hour sorted by series hash, time, arrival. */
export function expectPointHours(points: readonly PlacedPoint[]): ExpectedPointHour[] {
  const hours = Map.groupBy(points, ({ point, provenance }) => {
    const ms = point.quarantined ? provenance.receivedMs : Number(point.timeNs / 1_000_000n);
    return Math.floor(ms / hourMs) * hourMs * 2 + Number(point.quarantined);
  });
  return [...hours]
    .toSorted(([a], [b]) => a - b)
    .map(([key, placed]) => ({
      hourMs: (key - (key % 2)) / 2,
      quarantined: key % 2 === 1,
      rows: placed.map((each) => columnsOf(each)).toSorted(bySeries),
    }));
}

function bySeries(a: Record<string, unknown>, b: Record<string, unknown>): number {
  const left = String(a['SeriesHash']);
  const right = String(b['SeriesHash']);
  if (left !== right) return left < right ? -1 : 1;
  const times = [a, b].map((row) => BigInt.asUintN(64, row['TimeUnix'] as bigint));
  const [first = 0n, second = 0n] = times;
  return first < second ? -1 : Number(first > second);
}

function columnsOf({ point, provenance }: PlacedPoint): Record<string, unknown> {
  const { metric, resource, scope } = point;
  return {
    SeriesHash: seriesHash(point),
    MetricName: metric.name,
    MetricDescription: metric.description,
    MetricUnit: metric.unit,
    MetricType: metric.kind,
    AggregationTemporality: metric.temporality,
    IsMonotonic: metric.isMonotonic,
    ServiceName: resource.attributes.find(({ key }) => key === 'service.name')?.value ?? '',
    StartTimeUnix: BigInt.asIntN(64, point.startNs),
    TimeUnix: BigInt.asIntN(64, point.timeNs),
    Flags: point.flags,
    Attributes: pairs(point.attributes),
    AttributeKinds: kindsOf(point.attributes),
    ...numberColumns(point),
    ...bucketColumns(point),
    ...exemplarColumns(point),
    MetricMetadata: pairs(metric.metadata),
    MetricMetadataKinds: kindsOf(metric.metadata),
    PointOtlp: point.raw && hex(point.raw),
    MetricOtlp: metric.raw && hex(metric.raw),
    ResourceAttributes: pairs(resource.attributes),
    ResourceAttributeKinds: kindsOf(resource.attributes),
    ResourceDroppedAttributesCount: resource.dropped,
    ResourceSchemaUrl: resource.schemaUrl,
    ResourceOtlp: resource.raw && hex(resource.raw),
    ScopeName: scope.name,
    ScopeVersion: scope.version,
    ScopeAttributes: pairs(scope.attributes),
    ScopeAttributeKinds: kindsOf(scope.attributes),
    ScopeDroppedAttributesCount: scope.dropped,
    ScopeSchemaUrl: scope.schemaUrl,
    ScopeOtlp: scope.raw && hex(scope.raw),
    TenantId: provenance.tenantId,
    IngestedAt: BigInt(provenance.receivedMs),
    Topic: provenance.topic,
    Partition: provenance.partition,
    Offset: provenance.offset,
    ItemIndex: point.itemIndex,
    Quarantined: point.quarantined,
  };
}

function numberColumns(point: ExpectedPoint): Record<string, unknown> {
  const { kind } = point.metric;
  const isNumber = kind === 'Gauge' || kind === 'Sum';
  // proto3 does not tell a summary's sum of 0 from none.
  const sum = point.sum ?? (kind === 'Summary' ? 0n : undefined);
  return {
    Value: point.value ? numberOf(point.value) : null,
    ValueInt: point.value?.isInt ? BigInt.asIntN(64, point.value.bits) : null,
    Count: isNumber ? null : point.count,
    Sum: doubleOrNull(sum),
    Min: doubleOrNull(point.min),
    Max: doubleOrNull(point.max),
  };
}

function doubleOrNull(bits: bigint | undefined): number | null {
  return bits === undefined ? null : doubleOf(bits);
}

function numberOf({ bits, isInt }: Value): number {
  return isInt ? Number(BigInt.asIntN(64, bits)) : doubleOf(bits);
}

function bucketColumns(point: ExpectedPoint): Record<string, unknown> {
  const isExponential = point.metric.kind === 'ExponentialHistogram';
  return {
    BucketCounts: point.bucketCounts,
    ExplicitBounds: point.explicitBounds.map(doubleOf),
    Scale: isExponential ? point.scale : null,
    ZeroCount: isExponential ? point.zeroCount : null,
    ZeroThreshold: isExponential ? doubleOf(point.zeroThreshold) : null,
    PositiveOffset: point.positive?.offset ?? null,
    PositiveBucketCounts: point.positive?.counts ?? [],
    NegativeOffset: point.negative?.offset ?? null,
    NegativeBucketCounts: point.negative?.counts ?? [],
    'ValueAtQuantiles.Quantile': point.quantiles.map(({ quantile }) => doubleOf(quantile)),
    'ValueAtQuantiles.Value': point.quantiles.map(({ value }) => doubleOf(value)),
  };
}

function exemplarColumns({ exemplars }: ExpectedPoint): Record<string, unknown> {
  return {
    'Exemplars.FilteredAttributes': exemplars.map(({ attributes }) => pairs(attributes)),
    'Exemplars.FilteredAttributeKinds': exemplars.map(({ attributes }) => kindsOf(attributes)),
    'Exemplars.TimeUnix': exemplars.map(({ timeNs }) => BigInt.asIntN(64, timeNs)),
    'Exemplars.Value': exemplars.map(({ value }) => (value ? numberOf(value) : 0)),
    'Exemplars.ValueInt': exemplars.map(({ value }) =>
      value?.isInt ? BigInt.asIntN(64, value.bits) : 0n,
    ),
    'Exemplars.ValueKinds': exemplars.map(({ value }) => (value ? (value.isInt ? 6 : 3) : 0)),
    'Exemplars.SpanId': exemplars.map(({ spanId }) => spanId || '0'.repeat(16)),
    'Exemplars.TraceId': exemplars.map(({ traceId }) => traceId || '0'.repeat(32)),
  };
}

function pairs(attributes: readonly Attribute[]): [string, string][] {
  return attributes.map(({ key, value }) => [key, value]);
}

function kindsOf(attributes: readonly Attribute[]): number[] {
  return attributes.map(({ kind }) => kind);
}
