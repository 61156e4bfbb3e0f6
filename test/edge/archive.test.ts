/** How the archive leg shares its work out; its faults are in matrix.test.ts. */
import { beforeEach, describe, expect, it } from 'vitest';
import { archive } from '../../edge/archive.ts';
import type { ArchivePart } from '../../edge/archive.ts';
import { gateOf } from '../../edge/gate.ts';
import { Meter } from '../../edge/meter.ts';
import { openSinks } from '../../edge/sink.ts';
import { breakerFailuresMax, produceRecordsMax } from '../../schemas/limits.ts';
import { readSettings } from '../../schemas/settings.ts';
import { KafkaProxy } from './kafka.ts';
import { clear, nowMs, requestBytes, span } from './stack.ts';
import { kafkaUrl } from './world.ts';

beforeEach(clear);

function leg(environment: Record<string, string> = {}) {
  const settings = readSettings({ KAFKA_REST_URL: kafkaUrl, ...environment });
  const kafka = new KafkaProxy();
  const spooled = new Map<string, Uint8Array>();
  const fetch = (url: string, init: RequestInit) =>
    kafka.answer(url, init, () => Promise.reject(new Error('aborted')));
  const tools = {
    meter: new Meter(),
    warn: () => undefined,
    timeout: (ms: number) => AbortSignal.timeout(ms),
    bucket: {
      put: (key: string, value: Uint8Array) => Promise.resolve(spooled.set(key, value)),
    },
    sinks: openSinks(settings, {}, { fetch, now: () => nowMs }),
  };
  const send = (parts: readonly ArchivePart[]) =>
    archive('traces', parts, gateOf(6), settings, tools);
  return { kafka, spooled, tools, send };
}

function partOf(index: number, tenantId = 'acme'): ArchivePart {
  return {
    parts: { receivedMs: nowMs, requestId: `request-${index}`, tenantId },
    otlp: requestBytes([span(index)]),
    digest: `${tenantId}:${index}`,
  };
}

describe('archive()', () => {
  it('archive() puts the parts of a group into one call, a record each', async () => {
    const { kafka, spooled, send } = leg();
    const parts = Array.from({ length: 20 }, (_, index) => partOf(index, `tenant-${index % 3}`));
    await send(parts);
    expect(kafka.calls).toHaveLength(1);
    expect(kafka.stored.map(({ key, value }) => ({ key, value }))).toEqual(
      parts.map(({ parts: { tenantId, requestId }, otlp }) => ({
        key: `${tenantId}/${requestId}`,
        value: otlp,
      })),
    );
    expect(spooled.size).toBe(0);
  });

  it('archive() bounds the records and the bytes of a call', async () => {
    const many = leg();
    const parts = Array.from({ length: produceRecordsMax + 1 }, (_, index) => partOf(index));
    await many.send(parts);
    expect(many.kafka.calls).toHaveLength(2);
    expect(many.kafka.stored).toHaveLength(parts.length);
    const few = leg({ KAFKA_REST_REQUEST_BYTES_MAX: '8000' });
    await few.send(parts.slice(0, 40));
    for (const { body } of few.kafka.calls) expect(body.length).toBeLessThanOrEqual(8000);
    expect(few.kafka.stored).toHaveLength(40);
    expect(few.kafka.calls.length).toBeLessThan(10);
  });

  it('archive() spools whole what Kafka has nothing of, and asks no proxy that is resting', async () => {
    const { kafka, spooled, send, tools } = leg();
    kafka.mode = 'failing';
    for (let index = 0; index < breakerFailuresMax + 2; index += 1) await send([partOf(index)]);
    expect(kafka.calls).toHaveLength(breakerFailuresMax);
    expect([...spooled]).toEqual(
      Array.from({ length: breakerFailuresMax + 2 }, (_, index) => [
        `spool/archive/otlp_spans/${nowMs}+request-${index}+acme`,
        partOf(index).otlp,
      ]),
    );
    const counted = Object.fromEntries(
      tools.meter.take().map(([name, labels, value]) => [`${name} ${labels}`, value]),
    );
    expect(counted).toMatchObject({
      'records_total result="unknown"': breakerFailuresMax,
      'records_total result="skipped"': 2,
      'breaker_opened_total sink="kafka"': 1,
    });
  });
});
