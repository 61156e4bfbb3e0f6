/**
 * The hash that names the series of a data point: of the resource's attributes, the scope's name,
 * version and attributes, the metric's name, unit, kind, temporality and monotonicity, and the
 * point's attributes. The order of attributes does not matter: their hashes are added up.
 */
import { Metric, Point } from './measure';
import { first, mix, second, startHash } from '../memory/murmur';
import { attrBytes, Attr, Resource, Scope } from './record';

/** What is hashed last: four hashes of 16 bytes. */
const parts = memory.data(80, 8);
const numbers = memory.data(32, 8);

let high: u64 = 0;
let low: u64 = 0;

/** Sets `high` and `low` to the sum of the attributes' hashes: of key, then kind and value. */
function addAttributes(attrs: usize, count: u32): void {
  high = 0;
  low = 0;
  const end = attrs + <usize>count * attrBytes;
  for (; attrs < end; attrs += attrBytes) {
    const attr = changetype<Attr>(attrs);
    startHash();
    mix(attr.key, attr.keyBytes);
    startHash(first, second ^ attr.kind);
    mix(attr.value, attr.valueBytes);
    high += first;
    low += second;
  }
}

/** Notes the hash of a resource that was read. */
export function hashResource(resource: Resource): void {
  addAttributes(resource.attrs, resource.attrCount);
  resource.hashHigh = high;
  resource.hashLow = low;
}

/** Notes the hash of a scope that was read. */
export function hashScope(scope: Scope): void {
  addAttributes(scope.attrs, scope.attrCount);
  startHash(high, low);
  mix(scope.name, scope.nameBytes);
  mix(scope.version, scope.versionBytes);
  scope.hashHigh = first;
  scope.hashLow = second;
}

/** Notes the hash of a metric that was read. */
export function hashMetric(metric: Metric): void {
  store<u32>(numbers, metric.kind);
  store<i32>(numbers, metric.temporality, 4);
  store<u32>(numbers, metric.isMonotonic, 8);
  startHash();
  mix(metric.name, metric.nameBytes);
  mix(metric.unit, metric.unitBytes);
  mix(numbers, 12);
  metric.hashHigh = first;
  metric.hashLow = second;
}

/** Notes the hash of the point's series; its owners have theirs. */
export function hashSeries(point: Point): void {
  const resource = changetype<Resource>(point.resource);
  const scope = changetype<Scope>(point.scope);
  const metric = changetype<Metric>(point.metric);
  addAttributes(point.attrs, point.attrCount);
  putPart(0, resource.hashHigh, resource.hashLow);
  putPart(16, scope.hashHigh, scope.hashLow);
  putPart(32, metric.hashHigh, metric.hashLow);
  putPart(48, high, low);
  startHash();
  mix(parts, 64);
  point.seriesHigh = first;
  point.seriesLow = second;
}

// @ts-ignore: decorator
@inline
function putPart(at: usize, a: u64, b: u64): void {
  store<u64>(parts + at, a);
  store<u64>(parts + at, b, 8);
}
