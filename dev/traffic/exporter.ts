/** The real OTLP exporters of a service, one for each signal, in the service's encoding. */
import { OTLPLogExporter as JsonLogs } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtobufLogs } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter as JsonMetrics } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtobufMetrics } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter as JsonSpans } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufSpans } from '@opentelemetry/exporter-trace-otlp-proto';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { ResourceMetrics } from '@opentelemetry/sdk-metrics';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { trafficInFlightMax, trafficTimeoutMs } from '../../schemas/limits/dev.ts';
import type { Service } from './shop.ts';

/** What the SDK's exporters have in common. */
export interface Exporter<Item> {
  export(items: Item, done: (result: { readonly error?: Error }) => void): void;
  shutdown(): Promise<void>;
}

/** Sends spans of `service` to the traces endpoint `url`. */
export function spanExporter(service: Service, url: string): Exporter<ReadableSpan[]> {
  const options = optionsOf(service, url);
  return service.encoding === 'json' ? new JsonSpans(options) : new ProtobufSpans(options);
}

/** Sends log records of `service` to the logs endpoint `url`. */
export function logExporter(service: Service, url: string): Exporter<ReadableLogRecord[]> {
  const options = optionsOf(service, url);
  return service.encoding === 'json' ? new JsonLogs(options) : new ProtobufLogs(options);
}

/** Sends collected metrics of `service` to the metrics endpoint `url`. */
export function metricExporter(service: Service, url: string): Exporter<ResourceMetrics> {
  const options = optionsOf(service, url);
  return service.encoding === 'json' ? new JsonMetrics(options) : new ProtobufMetrics(options);
}

/** Exports once. Rejects with the exporter's error, after its own retries. */
export function exportOnce<Item>(exporter: Exporter<Item>, items: Item): Promise<void> {
  return new Promise((resolve, reject) => {
    exporter.export(items, ({ error }) => {
      // The exporters give an error with every outcome but success.
      if (error) reject(error);
      else resolve();
    });
  });
}

function optionsOf(service: Service, url: string) {
  const options = { url, timeoutMillis: trafficTimeoutMs, concurrencyLimit: trafficInFlightMax };
  // The enum with this value belongs to a package that the exporters do not export.
  const gzip: object = service.encoding === 'protobuf+gzip' ? { compression: 'gzip' } : {};
  return { ...options, ...gzip };
}
