/**
 * What the generator itself knows about the items that it made: the independent witness for every
 * figure that Tidemark later reports. Knows nothing of how they were sent or stored.
 */
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';

/** Spans of one service, operation and kind that started on one UTC day. */
export interface OperationTruth {
  readonly day: string;
  readonly service: string;
  readonly operation: string;
  /** As the archive calls it: `Server`, … */
  readonly kind: string;
  /** Distinct spans. */
  spans: number;
  /** Spans that were delivered once more. */
  repeated: number;
  errors: number;
  readonly traces: Set<string>;
  /** Nanoseconds, in the order of making. */
  readonly durationsNs: number[];
}

const dayMs = 86_400_000;

const kindNames: Readonly<Record<SpanKind, string>> = {
  [SpanKind.INTERNAL]: 'Internal',
  [SpanKind.SERVER]: 'Server',
  [SpanKind.CLIENT]: 'Client',
  [SpanKind.PRODUCER]: 'Producer',
  [SpanKind.CONSUMER]: 'Consumer',
};

/** Collects figures by day, service, operation and kind. */
export class Truth {
  readonly #operations = new Map<string, OperationTruth>();
  readonly #records = new Map<string, number>();
  readonly #ended = new Map<string, number>();

  /** Log records by service and severity, as `service|severity`. */
  get records(): ReadonlyMap<string, number> {
    return this.#records;
  }

  /** Spans that each service has ended, sent or not. */
  get ended(): ReadonlyMap<string, number> {
    return this.#ended;
  }

  /** Counts a log record. */
  addRecord({ resource, severityText }: ReadableLogRecord): void {
    const key = `${String(resource.attributes['service.name'])}|${severityText ?? ''}`;
    this.#records.set(key, (this.#records.get(key) ?? 0) + 1);
  }

  /** Counts a span that a service has ended. */
  addEnded(service: string): void {
    this.#ended.set(service, (this.#ended.get(service) ?? 0) + 1);
  }

  /** Counts spans that were delivered for the first time. */
  addFirst(spans: readonly ReadableSpan[]): void {
    for (const span of spans) {
      const operation = this.#of(span);
      operation.spans += 1;
      operation.errors += span.status.code === SpanStatusCode.ERROR ? 1 : 0;
      operation.traces.add(span.spanContext().traceId);
      operation.durationsNs.push(span.duration[0] * 1e9 + span.duration[1]);
    }
  }

  /** Counts spans that were delivered again. */
  addRepeated(spans: readonly ReadableSpan[]): void {
    for (const span of spans) this.#of(span).repeated += 1;
  }

  /** Every operation of one UTC day (`YYYY-MM-DD`), or of all days. */
  operations(day?: string): OperationTruth[] {
    const all = [...this.#operations.values()];
    return day === undefined ? all : all.filter((operation) => operation.day === day);
  }

  #of(span: ReadableSpan): OperationTruth {
    const day = utcDay(span.startTime[0] * 1000);
    const service = String(span.resource.attributes['service.name']);
    const kind = kindNames[span.kind];
    const key = `${day}|${service}|${span.name}|${kind}`;
    let operation = this.#operations.get(key);
    if (!operation) {
      const counts = { spans: 0, repeated: 0, errors: 0 };
      const lists = { traces: new Set<string>(), durationsNs: [] };
      operation = { day, service, operation: span.name, kind, ...counts, ...lists };
      this.#operations.set(key, operation);
    }
    return operation;
  }
}

/** The UTC day of a time (ms since 1970), as `YYYY-MM-DD`. */
export function utcDay(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

/** Start of the UTC day that a time lies in, ms since 1970. */
export function utcDayStart(timeMs: number): number {
  return Math.floor(timeMs / dayMs) * dayMs;
}
