/**
 * Metric requests shaped as SDKs send them: 6 resource attributes, 64 metrics of 8 points each with
 * 3 attributes: sums, gauges, histograms of 15 buckets, some exponential ones and a summary. The
 * same bytes on every run.
 */
import type protobuf from 'protobufjs';
import { makeNext, pick, resourceAttributes, startMs, text, whole } from '../payload.ts';
import type { Next } from '../payload.ts';

const metricsPerRequest = 64;
const pointsPerMetric = 8;
export const pointsPerRequest = metricsPerRequest * pointsPerMetric;

const bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const routes = ['/api/products/{id}', '/api/cart', '/api/checkout', '/health'];

/** `count` different requests, as the encoder's bytes. */
export function makeMetricRequests(type: protobuf.Type, count: number): Uint8Array[] {
  const next = makeNext(20_261_124);
  return Array.from({ length: count }, () => {
    const metrics = Array.from({ length: metricsPerRequest }, (_, index) => metric(next, index));
    const scope = { name: '@opentelemetry/instrumentation-http', version: '0.223.0' };
    const resource = { attributes: resourceAttributes(next) };
    const request = { resourceMetrics: [{ resource, scopeMetrics: [{ scope, metrics }] }] };
    return type.encode(type.fromObject(request)).finish().slice();
  });
}

function metric(next: Next, index: number): object {
  const head = {
    name: `http.server.metric.${index}`,
    description: 'Duration of HTTP server requests',
    unit: index % 2 === 0 ? 's' : '{request}',
  };
  const dataPoints = Array.from({ length: pointsPerMetric }, () => point(next, index % 10));
  if (index % 10 < 4) {
    return { ...head, sum: { dataPoints, aggregationTemporality: 2, isMonotonic: true } };
  }
  if (index % 10 < 6) return { ...head, gauge: { dataPoints } };
  if (index % 10 < 8) return { ...head, histogram: { dataPoints, aggregationTemporality: 2 } };
  if (index % 10 < 9) {
    return { ...head, exponentialHistogram: { dataPoints, aggregationTemporality: 1 } };
  }
  return { ...head, summary: { dataPoints } };
}

function point(next: Next, kind: number): object {
  const common = {
    attributes: [
      text('http.request.method', 'GET'),
      text('http.route', pick(next, routes)),
      whole('http.response.status_code', 200 + next(4) * 100),
    ],
    startTimeUnixNano: String(BigInt(startMs - 60_000) * 1_000_000n),
    timeUnixNano: String(BigInt(startMs + next(60_000)) * 1_000_000n),
  };
  if (kind < 6) {
    return { ...common, ...(kind % 2 === 0 ? { asInt: next(1e6) } : { asDouble: next(1e6) / 7 }) };
  }
  if (kind < 8) return { ...common, ...histogram(next) };
  if (kind < 9) return { ...common, ...exponential(next) };
  const quantileValues = [0.5, 0.9, 0.99].map((quantile) => ({ quantile, value: next(1000) / 3 }));
  return { ...common, count: 10, sum: 12.5, quantileValues };
}

function histogram(next: Next): object {
  const bucketCounts = Array.from({ length: bounds.length + 1 }, () => next(200));
  const count = bucketCounts.reduce((sum, each) => sum + each, 0);
  return { count, sum: count / 3, bucketCounts, explicitBounds: bounds, min: 0.001, max: 12.5 };
}

function exponential(next: Next): object {
  const bucketCounts = Array.from({ length: 20 }, () => next(50));
  const count = bucketCounts.reduce((sum, each) => sum + each, 0) + 2;
  const positive = { offset: -12, bucketCounts };
  return { count, sum: count / 3, scale: 5, zeroCount: 2, positive, min: 0, max: 4.5 };
}
