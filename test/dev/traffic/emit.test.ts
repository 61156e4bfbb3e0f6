/** Tests of the SDK spans that are made of a plan. */
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { describe, expect, it } from 'vitest';
import { Emitter } from '../../../dev/traffic/emit.ts';
import { Random } from '../../../dev/traffic/random.ts';
import { journeys } from '../../../dev/traffic/shop.ts';
import { planRequest } from '../../../dev/traffic/trace.ts';

function emitted(seed: number): { spans: ReadableSpan[]; startMs: number } {
  const random = new Random(seed);
  const spans: ReadableSpan[] = [];
  const emitter = new Emitter(random, (_service, span) => spans.push(span));
  const startMs = Date.UTC(2026, 10, 21, 12, 30, 15, 789);
  for (const { root } of journeys) {
    for (let turn = 0; turn < 30; turn += 1) emitter.emit(planRequest(root, random), startMs);
  }
  return { spans, startMs };
}

function ns([seconds, nanoseconds]: readonly [number, number]): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}

describe('Emitter', () => {
  it('gives each span its planned times, to the nanosecond', () => {
    const random = new Random(5);
    const spans: ReadableSpan[] = [];
    const emitter = new Emitter(random, (_service, span) => spans.push(span));
    const root = journeys[7]?.root;
    if (!root) throw new Error('Bug: no journey');
    const planned = planRequest(root, random);
    const startMs = Date.UTC(2026, 10, 21, 23, 59, 59, 999);
    emitter.emit(planned, startMs);
    const span = spans.find(({ name }) => name === root.name);
    expect(span && ns(span.startTime)).toBe(BigInt(startMs) * 1_000_000n);
    expect(span && ns(span.endTime)).toBe(BigInt(startMs) * 1_000_000n + BigInt(planned.endNs));
  });

  it('makes trees: every parent is a span of the same trace', () => {
    const { spans } = emitted(1);
    const ids = new Set(
      spans.map((span) => `${span.spanContext().traceId} ${span.spanContext().spanId}`),
    );
    expect(ids.size).toBe(spans.length);
    for (const span of spans) {
      const parent = span.parentSpanContext;
      if (parent) expect(ids).toContain(`${parent.traceId} ${parent.spanId}`);
      if (parent) expect(parent.traceId).toBe(span.spanContext().traceId);
    }
  });

  it('links consumers to their producers', () => {
    const { spans } = emitted(2);
    const consumers = spans.filter(({ kind }) => kind === SpanKind.CONSUMER);
    const producers = spans.filter(({ kind }) => kind === SpanKind.PRODUCER);
    const ids = new Set(producers.map((span) => span.spanContext().spanId));
    expect(consumers.length).toBeGreaterThan(0);
    for (const { links } of consumers) expect(ids).toContain(links[0]?.context.spanId);
  });

  it('says of a failed span why, as status and as exception event', () => {
    const { spans } = emitted(3);
    const failed = spans.filter(({ status }) => status.code === SpanStatusCode.ERROR);
    expect(failed.length).toBeGreaterThan(0);
    for (const span of failed) {
      expect(span.status.message).toMatch(/\w/);
      expect(span.events[0]?.name).toBe('exception');
    }
  });
});
