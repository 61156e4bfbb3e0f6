/** What the page of `browser.test.ts` runs: sends each signal, in both encodings, and says so. */
import { OTLPLogExporter as JsonLogs } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtoLogs } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter as JsonMetrics } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtoMetrics } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter as JsonSpans } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtoSpans } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics';
import { SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { SpanExporter } from '@opentelemetry/sdk-trace';

/** Filled in when the page is built. */
declare const ENDPOINT: string;

interface Exporters {
  readonly spans: SpanExporter;
  readonly logs: LogRecordExporter;
  readonly metrics: PushMetricExporter;
}

async function send(service: string, { spans, logs, metrics }: Exporters): Promise<void> {
  const resource = resourceFromAttributes({ 'service.name': service });
  const tracers = new TracerProvider({
    resource,
    spanProcessors: [new SimpleSpanProcessor({ exporter: spans })],
  });
  tracers
    .getTracer('page')
    .startSpan('click', { attributes: { 'page.name': 'cart – 🛒' } })
    .end();
  const loggers = new LoggerProvider({
    resource,
    processors: [new SimpleLogRecordProcessor({ exporter: logs })],
  });
  loggers.getLogger('page').emit({ severityText: 'INFO', body: 'added', attributes: { n: 1 } });
  const reader = new PeriodicExportingMetricReader({
    exporter: metrics,
    exportIntervalMillis: 3_600_000,
  });
  const meters = new MeterProvider({ resource, readers: [reader] });
  meters.getMeter('page').createCounter('clicks').add(2, { button: 'buy' });
  for (const provider of [tracers, loggers, meters]) {
    await provider.forceFlush();
    await provider.shutdown();
  }
}

const url = (signal: string) => ({ url: `${ENDPOINT}/v1/${signal}` });

async function sendAll(): Promise<void> {
  await send('browser-json', {
    spans: new JsonSpans(url('traces')),
    logs: new JsonLogs(url('logs')),
    metrics: new JsonMetrics(url('metrics')),
  });
  await send('browser-protobuf', {
    spans: new ProtoSpans(url('traces')),
    logs: new ProtoLogs(url('logs')),
    metrics: new ProtoMetrics(url('metrics')),
  });
}

const outcome = globalThis as { sent?: string };
sendAll().then(
  () => (outcome.sent = 'ok'),
  (error: unknown) => (outcome.sent = String(error)),
);
