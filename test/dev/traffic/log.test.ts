/** Tests of the log records that spans leave; how they are sent is tested through the traffic. */
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { describe, expect, it } from 'vitest';
import { Emitter } from '../../../dev/traffic/emit.ts';
import { Logbook } from '../../../dev/traffic/log.ts';
import { Random } from '../../../dev/traffic/random.ts';
import { journeys } from '../../../dev/traffic/shop.ts';
import { planRequest } from '../../../dev/traffic/trace.ts';

describe('Logbook', () => {
  it('write() makes an error of every failed span and a line of every fourth request', () => {
    const records: { service: string; record: ReadableLogRecord }[] = [];
    const spans: ReadableSpan[] = [];
    const logbook = new Logbook((service, record) => records.push({ service, record }));
    const random = new Random(3);
    const emitter = new Emitter(random, (service, span) => {
      spans.push(span);
      logbook.write(service, span);
    });
    for (let turn = 0; turn < 800; turn += 1) {
      emitter.emit(planRequest(random.pick(journeys).root, random), Date.UTC(2026, 10, 21));
    }
    const failed = spans.filter(({ status }) => status.code === SpanStatusCode.ERROR);
    const errors = records.filter(({ record }) => record.severityText === 'ERROR');
    expect(errors.map(({ record }) => record.spanContext?.spanId)).toEqual(
      failed.map((span) => span.spanContext().spanId),
    );
    expect(errors.every(({ record }) => record.severityNumber === SeverityNumber.ERROR)).toBe(true);
    const roots = spans.filter((span) => span.kind === SpanKind.SERVER && !span.parentSpanContext);
    const lines = records.filter(({ record }) => record.eventName === 'http.access');
    expect(lines).toHaveLength(Math.floor(roots.length / 4));
    expect(lines[0]?.record.body).toMatchObject({ route: expect.any(String) as string, ok: true });
    for (const { service, record } of records) {
      expect(record.resource.attributes['service.name']).toBe(service);
    }
  });
});
