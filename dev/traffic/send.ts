/**
 * Sends ended spans with the real OTLP exporters, one a service, in batches; now and then a batch
 * twice, as a client does that lost the answer. Never drops a span: a failed export is an error.
 */
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { TidemarkError } from '../../schemas/errors.ts';
import { trafficBatchSpans, trafficInFlightMax, trafficTimeoutMs } from '../../schemas/limits.ts';
import { services } from './shop.ts';
import type { Service } from './shop.ts';

type ExporterOptions = NonNullable<ConstructorParameters<typeof ProtobufExporter>[0]>;

export interface Delivery {
  readonly spans: readonly ReadableSpan[];
  /** False for the second delivery of a batch. */
  readonly first: boolean;
}

export interface SendOptions {
  /** The traces endpoint, such as `http://127.0.0.1:8787/v1/traces`. */
  readonly endpoint: string;
  /** Share of batches that are delivered twice, spread evenly. */
  readonly repeatShare: number;
  /** Called after each delivery that was answered with success. */
  readonly onDelivery: (delivery: Delivery) => void;
}

/** A bounded sender. After `add` the caller waits for `ready` before it makes more spans. */
export class Sender {
  readonly #options: SendOptions;
  readonly #exporters = new Map<string, SpanExporter>();
  readonly #waiting = new Map<string, ReadableSpan[]>();
  readonly #inFlight = new Set<Promise<void>>();
  #batches = 0;
  #fault: TidemarkError | undefined;

  constructor(options: SendOptions) {
    this.#options = options;
    for (const service of services) {
      this.#exporters.set(service.name, exporterOf(service, options.endpoint));
    }
  }

  /** Takes one ended span; a full batch is sent at once. */
  add(service: string, span: ReadableSpan): void {
    const waiting = this.#waiting.get(service) ?? [];
    waiting.push(span);
    this.#waiting.set(service, waiting);
    if (waiting.length >= trafficBatchSpans) this.#sendBatch(service);
  }

  /** Resolves when few enough requests are under way. Throws SINK_FAILED if one has failed. */
  async ready(): Promise<void> {
    while (this.#inFlight.size >= trafficInFlightMax) await Promise.race(this.#inFlight);
    if (this.#fault) throw this.#fault;
  }

  /** Sends what is left and waits for every answer. Throws SINK_FAILED if one has failed. */
  async flush(): Promise<void> {
    for (const service of this.#waiting.keys()) {
      await this.ready();
      this.#sendBatch(service);
    }
    await Promise.all(this.#inFlight);
    await this.ready();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#exporters.values()].map((exporter) => exporter.shutdown()));
  }

  #sendBatch(service: string): void {
    const spans = this.#waiting.get(service) ?? [];
    if (spans.length === 0) return;
    this.#waiting.set(service, []);
    this.#batches += 1;
    const { repeatShare } = this.#options;
    const share = (batches: number): number => Math.round(batches * repeatShare);
    const repeats = share(this.#batches) > share(this.#batches - 1);
    const sent = this.#deliver(service, spans, repeats)
      .catch((error: unknown) => {
        this.#fault ??= sinkFailed(spans.length, error);
      })
      .finally(() => this.#inFlight.delete(sent));
    this.#inFlight.add(sent);
  }

  async #deliver(service: string, spans: ReadableSpan[], repeats: boolean): Promise<void> {
    const exporter = this.#exporters.get(service);
    if (!exporter) throw new Error(`Bug: no service is named ${service}`);
    await exportSpans(exporter, spans);
    this.#options.onDelivery({ spans, first: true });
    if (!repeats) return;
    await exportSpans(exporter, spans);
    this.#options.onDelivery({ spans, first: false });
  }
}

function exporterOf(service: Service, url: string): SpanExporter {
  const options: ExporterOptions = {
    url,
    timeoutMillis: trafficTimeoutMs,
    concurrencyLimit: trafficInFlightMax,
  };
  if (service.encoding === 'json') return new JsonExporter(options);
  if (service.encoding === 'protobuf') return new ProtobufExporter(options);
  // The enum with this value belongs to a package that the exporters do not export.
  const gzip: object = { compression: 'gzip' };
  return new ProtobufExporter({ ...options, ...gzip });
}

function exportSpans(exporter: SpanExporter, spans: ReadableSpan[]): Promise<void> {
  return new Promise((resolve, reject) => {
    exporter.export(spans, ({ error }) => {
      // The exporters give an error with every outcome but success.
      if (error) reject(error);
      else resolve();
    });
  });
}

function sinkFailed(spans: number, cause: unknown): TidemarkError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TidemarkError('SINK_FAILED', `Cannot send ${spans} spans: ${reason}`, { cause });
}
