/** Tests of the generator's own tally. */
import { SpanStatusCode } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { TracerProvider } from '@opentelemetry/sdk-trace';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { describe, expect, it } from 'vitest';
import { Truth, utcDay, utcDayStart } from '../../../dev/traffic/truth.ts';

function spanAt(startMs: number, isError: boolean): ReadableSpan {
  const spans: ReadableSpan[] = [];
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'cart' }),
    spanProcessors: [
      {
        onStart: () => undefined,
        onEnd: (span: ReadableSpan) => void spans.push(span),
        forceFlush: () => Promise.resolve(),
        shutdown: () => Promise.resolve(),
      },
    ],
  });
  const span = provider.getTracer('test').startSpan('GET /', { startTime: startMs });
  if (isError) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(startMs + 1500);
  const [ended] = spans;
  if (!ended) throw new Error('Bug: the span did not end');
  return ended;
}

describe('Truth', () => {
  it('puts a span on the UTC day of its start and counts what was delivered again', () => {
    const lastMs = Date.UTC(2026, 10, 22) - 1;
    const truth = new Truth();
    const [before, after] = [spanAt(lastMs, true), spanAt(lastMs + 1, false)];
    truth.addFirst([before, after]);
    truth.addRepeated([before]);
    expect(truth.operations('2026-11-21')).toEqual([
      {
        day: '2026-11-21',
        service: 'cart',
        operation: 'GET /',
        kind: 'Internal',
        spans: 1,
        repeated: 1,
        errors: 1,
        traces: new Set([before.spanContext().traceId]),
        durationsNs: [1_500_000_000],
      },
    ]);
    expect(truth.operations('2026-11-22').map(({ spans }) => spans)).toEqual([1]);
    expect(truth.operations()).toHaveLength(2);
  });
});

describe('utcDay() and utcDayStart()', () => {
  it('name the day and its first millisecond', () => {
    const timeMs = Date.UTC(2028, 1, 29, 23, 59, 59, 999);
    expect(utcDay(timeMs)).toBe('2028-02-29');
    expect(utcDayStart(timeMs)).toBe(Date.UTC(2028, 1, 29));
  });
});
