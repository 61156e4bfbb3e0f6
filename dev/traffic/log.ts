/**
 * Makes real SDK log records of ended spans: an error for each span that failed, an access line
 * for some requests that came from outside. Records go to the given sink; never sends.
 */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import type { Logger, LogRecord } from '@opentelemetry/api-logs';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';

/** Takes each record when it has been made. */
export type LogSink = (service: string, record: ReadableLogRecord) => void;

/** Of so many requests one leaves an access line. */
const accessEvery = 4;

/** The loggers of all services; a service's comes with its first span. */
export class Logbook {
  readonly #loggers = new Map<string, Logger>();
  readonly #sink: LogSink;
  #requests = 0;

  constructor(sink: LogSink) {
    this.#sink = sink;
  }

  /** Writes what a service would say when `span` ends. */
  write(service: string, span: ReadableSpan): void {
    const records = [...errorOf(span), ...this.#accessOf(span)];
    for (const record of records) this.#logger(service, span).emit(record);
  }

  #accessOf(span: ReadableSpan): LogRecord[] {
    if (span.kind !== SpanKind.SERVER || span.parentSpanContext !== undefined) return [];
    this.#requests += 1;
    if (this.#requests % accessEvery !== 0) return [];
    const [seconds, nanoseconds] = span.duration;
    // A structured body, as many loggers send: it is stored as JSON.
    const body = { route: span.name, duration_ms: seconds * 1e3 + nanoseconds / 1e6, ok: true };
    return [{ ...placeOf(span), ...severity('INFO'), body, eventName: 'http.access' }];
  }

  #logger(service: string, span: ReadableSpan): Logger {
    const known = this.#loggers.get(service);
    if (known) return known;
    const processor = {
      onEmit: (record: ReadableLogRecord) => this.#sink(service, record),
      forceFlush: () => Promise.resolve(),
      shutdown: () => Promise.resolve(),
    };
    const provider = new LoggerProvider({ resource: span.resource, processors: [processor] });
    const logger = provider.getLogger(`shop/${service}`, span.instrumentationScope.version);
    this.#loggers.set(service, logger);
    return logger;
  }
}

function errorOf(span: ReadableSpan): LogRecord[] {
  if (span.status.code !== SpanStatusCode.ERROR) return [];
  const message = span.status.message ?? 'failed';
  const attributes = { 'exception.message': message, 'code.function.name': 'handle', retry: false };
  const body = `${span.name} failed: ${message}`;
  return [{ ...placeOf(span), ...severity('ERROR'), body, attributes }];
}

/** The span's trace, and its end as the time. */
function placeOf(span: ReadableSpan): LogRecord {
  const context = trace.setSpanContext(ROOT_CONTEXT, span.spanContext());
  return { timestamp: span.endTime, observedTimestamp: span.endTime, context };
}

function severity(severityText: 'INFO' | 'ERROR'): LogRecord {
  return { severityText, severityNumber: SeverityNumber[severityText] };
}
