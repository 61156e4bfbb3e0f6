/**
 * The OpenTelemetry JS SDK against the embedded stack: logs and metrics of every kind that the SDK
 * has, looked up attribute by attribute in ClickHouse and in the archive leg.
 */
import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { OTLPLogExporter as JsonLogs } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtoLogs } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter as JsonMetrics } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtoMetrics } from '@opentelemetry/exporter-metrics-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import {
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attributesOf, startReceived } from '../support/received.ts';
import type { Received } from '../support/received.ts';

let received: Received;
beforeAll(async () => {
  received = await startReceived();
});
afterAll(() => received.close());

/** The enum that has this value belongs to a package that the exporters do not export. */
const gzip = 'gzip' as never;
const url = (signal: string) => `${received.endpoint}/v1/${signal}`;
const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const nowMs = Date.now();

async function sendLogs(exporter: LogRecordExporter, service: string): Promise<void> {
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'process.pid': 7 }),
    processors: [new BatchLogRecordProcessor({ exporter })],
  });
  const logger = provider.getLogger('sdk-test', '1.2');
  const context = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: 1 });
  logger.emit({
    timestamp: nowMs,
    observedTimestamp: nowMs + 5,
    severityNumber: SeverityNumber.WARN,
    severityText: 'WARN',
    body: 'disk is 91 % full – räume auf 🎉',
    attributes: { text: 'é', whole: 42, ratio: 0.25, flag: true, list: ['a', 'b'] },
    context,
  });
  logger.emit({
    timestamp: nowMs + 1,
    severityNumber: SeverityNumber.INFO,
    eventName: 'order.placed',
    body: { order: { id: 12, lines: ['x', 2] } },
  });
  await provider.forceFlush();
  await provider.shutdown();
}

async function sendMetrics(exporter: PushMetricExporter, service: string): Promise<void> {
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const provider = new MeterProvider({
    resource: resourceFromAttributes({ 'service.name': service }),
    readers: [reader],
    views: [
      {
        instrumentName: 'sizes',
        aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM },
      },
    ],
  });
  const meter = provider.getMeter('sdk-test', '1.2');
  const requests = meter.createCounter('requests', { unit: '{request}', description: 'Served' });
  requests.add(3, { route: '/a' });
  requests.add(4, { route: '/b', ok: true });
  meter.createUpDownCounter('open').add(-2.5);
  meter.createObservableGauge('temperature').addCallback((result) => result.observe(21.5));
  const durations = meter.createHistogram('durations', {
    unit: 's',
    advice: { explicitBucketBoundaries: [0.1, 1, 10] },
  });
  for (const value of [0.05, 0.5, 0.75, 20]) durations.record(value);
  const sizes = meter.createHistogram('sizes');
  for (const value of [1, 2, 4, 0]) sizes.record(value);
  await provider.forceFlush();
  await provider.shutdown();
}

describe('log records of the JS SDK', () => {
  it.each([
    ['logs-proto', () => new ProtoLogs({ url: url('logs') })],
    ['logs-proto-gzip', () => new ProtoLogs({ url: url('logs'), compression: gzip })],
    ['logs-json', () => new JsonLogs({ url: url('logs') })],
  ])('%s: every attribute is in otel_logs and in the archive leg', async (service, exporter) => {
    await sendLogs(exporter(), service);
    const rows = await received.rows('otel_logs', service);
    const seconds = new Date(nowMs).toISOString().replace('T', ' ').replace('Z', '');
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatchObject({
      Timestamp: `${seconds}000000`,
      TraceId: traceId,
      SpanId: spanId,
      TraceFlags: 1,
      SeverityText: 'WARN',
      SeverityNumber: 13,
      ServiceName: service,
      Body: 'disk is 91 % full – räume auf 🎉',
      ScopeName: 'sdk-test',
      ScopeVersion: '1.2',
      LogAttributes: { text: 'é', whole: '42', ratio: '0.25', flag: 'true', list: '["a","b"]' },
      EventName: '',
      TenantId: 'default',
    });
    expect(rows[0]?.['ResourceAttributes']).toMatchObject({ 'process.pid': '7' });
    expect(JSON.parse(String(rows[1]?.['Body']))).toEqual({ order: { id: 12, lines: ['x', 2] } });
    expect(rows[1]).toMatchObject({ EventName: 'order.placed', TraceId: '', SeverityNumber: 9 });
    const archived = await received.archived('logs', service);
    expect(archived).toHaveLength(2);
    expect(archived[0]).toMatchObject({
      traceId: Buffer.from(traceId, 'hex').toString('base64'),
      spanId: Buffer.from(spanId, 'hex').toString('base64'),
      timeUnixNano: `${nowMs}000000`,
    });
    expect(attributesOf(archived[0])).toMatchObject({ text: 'é', ratio: 0.25, flag: true });
  });
});

describe('metrics of the JS SDK', () => {
  it.each([
    ['metrics-proto', () => new ProtoMetrics({ url: url('metrics') })],
    ['metrics-proto-gzip', () => new ProtoMetrics({ url: url('metrics'), compression: gzip })],
    ['metrics-json', () => new JsonMetrics({ url: url('metrics') })],
  ])('%s: every point is in its table and in the archive leg', async (service, exporter) => {
    await sendMetrics(exporter(), service);
    const sums = await received.rows('otel_metrics_sum', service);
    const of = (name: string) => sums.filter(({ MetricName }) => MetricName === name);
    expect(of('requests').map(({ Attributes, Value }) => [Attributes, Value])).toEqual(
      expect.arrayContaining([
        [{ route: '/a' }, 3],
        [{ route: '/b', ok: 'true' }, 4],
      ]),
    );
    expect(of('requests')[0]).toMatchObject({
      MetricUnit: '{request}',
      MetricDescription: 'Served',
      AggregationTemporality: 2,
      IsMonotonic: true,
      ScopeName: 'sdk-test',
      ScopeVersion: '1.2',
    });
    expect(of('open')[0]).toMatchObject({ Value: -2.5, IsMonotonic: false });
    const [gauge] = await received.rows('otel_metrics_gauge', service);
    expect(gauge).toMatchObject({ MetricName: 'temperature', Value: 21.5 });
    const [histogram] = await received.rows('otel_metrics_histogram', service);
    expect(histogram).toMatchObject({
      MetricName: 'durations',
      MetricUnit: 's',
      Count: '4',
      Sum: 21.3,
      BucketCounts: ['1', '2', '0', '1'],
      ExplicitBounds: [0.1, 1, 10],
      Min: 0.05,
      Max: 20,
    });
    const [sizes] = await received.rows('otel_metrics_exp_histogram', service);
    expect(sizes).toMatchObject({ MetricName: 'sizes', Count: '4', Sum: 7, ZeroCount: '1' });
    const positive = (sizes?.['PositiveBucketCounts'] ?? []) as string[];
    expect(positive.reduce((sum, count) => sum + Number(count), 0)).toBe(3);
    const archived = await received.archived('metrics', service);
    expect(archived.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['requests', 'open', 'temperature', 'durations', 'sizes']),
    );
  });
});
