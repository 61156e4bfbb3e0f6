/**
 * Measures ended spans with the real metrics SDK: one meter provider a service, with instruments
 * of every kind that the SDK has. Collects when asked to; never sends.
 */
import type { Counter, Histogram, UpDownCounter } from '@opentelemetry/api';
import { AggregationTemporality, AggregationType } from '@opentelemetry/sdk-metrics';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import type { ResourceMetrics } from '@opentelemetry/sdk-metrics';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { TidemarkError } from '../../schemas/errors.ts';

/** The counter whose value is the number of spans that a service has ended. */
export const endedCounter = 'shop.spans.ended';

/** A reader that is asked, and asks nobody. */
class Puller extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

interface Instruments {
  readonly reader: Puller;
  readonly ended: Counter;
  readonly inFlight: UpDownCounter;
  readonly duration: Histogram;
  readonly attributes: Histogram;
}

/** The meters of all services; a service's come with its first span. */
export class Meters {
  readonly #instruments = new Map<string, Instruments>();

  /** Measures a span that a service has ended. */
  measure(service: string, span: ReadableSpan): void {
    const instruments = this.#of(service, span);
    const attributes = { operation: span.name, kind: span.kind };
    const [seconds, nanoseconds] = span.duration;
    instruments.ended.add(1, attributes);
    instruments.inFlight.add(span.kind % 2 === 0 ? 1 : -1, { kind: span.kind });
    instruments.duration.record(seconds + nanoseconds / 1e9, attributes);
    instruments.attributes.record(Object.keys(span.attributes).length, { kind: span.kind });
  }

  /** What each service's SDK would export now. Throws SINK_FAILED when the SDK fails. */
  async collect(): Promise<{ service: string; metrics: ResourceMetrics }[]> {
    const collected = [...this.#instruments].map(async ([service, { reader }]) => {
      const { resourceMetrics: metrics, errors } = await reader.collect();
      if (errors.length === 0) return { service, metrics };
      const message = `Cannot collect the metrics of ${service}`;
      throw new TidemarkError('SINK_FAILED', message, { cause: errors[0] });
    });
    return Promise.all(collected);
  }

  #of(service: string, span: ReadableSpan): Instruments {
    const known = this.#instruments.get(service);
    if (known) return known;
    const made = instrumentsOf(service, span, this.#instruments.size % 2 === 1);
    this.#instruments.set(service, made);
    return made;
  }
}

/** Every second service sends deltas, as some vendors want them. */
function instrumentsOf(service: string, span: ReadableSpan, isDelta: boolean): Instruments {
  const { DELTA, CUMULATIVE } = AggregationTemporality;
  const reader = new Puller({
    aggregationTemporalitySelector: () => (isDelta ? DELTA : CUMULATIVE),
  });
  const provider = new MeterProvider({
    resource: span.resource,
    readers: [reader],
    views: [
      {
        instrumentName: 'shop.span.attributes',
        aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM },
      },
    ],
  });
  const meter = provider.getMeter(`shop/${service}`, span.instrumentationScope.version ?? '');
  meter
    .createObservableGauge('shop.pool.free', { unit: '{connection}' })
    .addCallback((result) => result.observe(service.length * 1.5, { pool: 'primary' }));
  return {
    reader,
    ended: meter.createCounter(endedCounter, { unit: '{span}', description: 'Spans ended' }),
    inFlight: meter.createUpDownCounter('shop.requests.open', { unit: '{request}' }),
    duration: meter.createHistogram('shop.span.duration', { unit: 's', description: 'Duration' }),
    attributes: meter.createHistogram('shop.span.attributes', { unit: '{attribute}' }),
  };
}

/** Data points of what a service exports. */
export function pointCount(metrics: ResourceMetrics): number {
  return metrics.scopeMetrics
    .flatMap((scope) => scope.metrics)
    .reduce((sum, { dataPoints }) => sum + dataPoints.length, 0);
}
