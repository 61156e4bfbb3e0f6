/**
 * Makes real SDK spans of a planned request: one tracer provider per service, explicit start and
 * end times, parents, links and exception events. Ended spans go to the given sink; never sends.
 */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Context, HrTime, Link, Span, Tracer } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { TracerProvider } from '@opentelemetry/sdk-trace';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { resourceOf } from './attributes.ts';
import type { Random } from './random.ts';
import { services } from './shop.ts';
import type { Flavour } from './shop.ts';
import type { Fault, PlannedSpan } from './trace.ts';

/** Takes each span when it has ended. */
export type SpanSink = (service: string, span: ReadableSpan) => void;

const kinds: Record<Flavour, SpanKind> = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  external: SpanKind.CLIENT,
  database: SpanKind.CLIENT,
  cache: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
};

/** The tracers of all services. Ids come from `random`. */
export class Emitter {
  readonly #tracers = new Map<string, Tracer>();

  constructor(random: Random, sink: SpanSink) {
    const idGenerator = {
      generateTraceId: () => random.hex(16),
      generateSpanId: () => random.hex(8),
    };
    for (const service of services) {
      const provider = new TracerProvider({
        resource: resourceFromAttributes(resourceOf(service, random)),
        idGenerator,
        spanProcessors: [
          {
            onStart: () => undefined,
            onEnd: (span: ReadableSpan) => sink(service.name, span),
            forceFlush: () => Promise.resolve(),
            shutdown: () => Promise.resolve(),
          },
        ],
      });
      this.#tracers.set(service.name, provider.getTracer(`shop/${service.name}`, service.version));
    }
  }

  /** Makes the spans of one request that started at `startMs` (ms since 1970). */
  emit(request: PlannedSpan, startMs: number): void {
    this.#emitTrace(request, startMs, []);
  }

  #emitTrace(root: PlannedSpan, startMs: number, links: Link[]): void {
    this.#emitSpan(root, startMs, ROOT_CONTEXT, links);
  }

  #emitSpan(planned: PlannedSpan, startMs: number, parent: Context, links: Link[]): void {
    const { step, attributes } = planned;
    const kind = kinds[step.flavour];
    const startTime = hrTime(startMs, planned.startNs);
    const options = { kind, startTime, attributes, links };
    const span = this.#tracer(step.service).startSpan(step.name, options, parent);
    const context = trace.setSpan(parent, span);
    for (const child of planned.children) this.#emitSpan(child, startMs, context, []);
    const endTime = hrTime(startMs, planned.endNs);
    if (planned.fault) fail(span, planned.fault, endTime);
    span.end(endTime);
    const link = { context: span.spanContext(), attributes: { 'messaging.message.lag': 'queue' } };
    for (const consumed of planned.consumed) this.#emitTrace(consumed, startMs, [link]);
  }

  #tracer(service: string): Tracer {
    const tracer = this.#tracers.get(service);
    if (tracer) return tracer;
    throw new Error(`Bug: no service is named ${service}`);
  }
}

function fail(span: Span, fault: Fault, time: HrTime): void {
  const { type: name, message } = fault;
  const stack = `${name}: ${message}\n    at handle (src/handler:42)\n    at run (src/main:7)`;
  span.recordException({ name, message, stack }, time);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}

/** Seconds and nanoseconds of `startMs` plus `offsetNs`, exact. */
function hrTime(startMs: number, offsetNs: number): HrTime {
  const seconds = Math.floor(startMs / 1000);
  const nanoseconds = (startMs % 1000) * 1e6 + offsetNs;
  return [seconds + Math.floor(nanoseconds / 1e9), nanoseconds % 1e9];
}
