/** Telling signals apart by what random requests of each hold. */
import { describe, expect, it } from 'vitest';
import {
  isRequest,
  latestMs,
  signalOfJson,
  signalsOfProtobuf,
} from '../../../bin/import/signal.ts';
import type { Signal } from '../../../schemas/archive.ts';
import { Generator } from '../../aggregator-as/generate.ts';
import { LogGenerator, logsRequest } from '../../aggregator-as/logmaker.ts';
import { PointGenerator, metricOf, metricsRequest } from '../../aggregator-as/pointmaker.ts';
import { bytesField, fixed64Field, message, requestOf } from '../../aggregator-as/wire.ts';
import { linesOf } from '../../support/items.ts';
import { seededRandom } from '../../support/random.ts';

/** A time field of just before so many ms. */
function at(field: number, ms: number): Uint8Array {
  return fixed64Field(field, BigInt(ms) * 1_000_000n - 1n);
}

const makers: Record<Signal, (random: () => number) => { request(): Uint8Array }> = {
  traces: (random) => new Generator(random),
  logs: (random) => new LogGenerator(random),
  metrics: (random) => new PointGenerator(random),
};

describe('signalsOfProtobuf()', () => {
  it.each(['traces', 'logs', 'metrics'] as const)('never takes %s for another signal', (signal) => {
    const maker = makers[signal](seededRandom(11));
    let told = 0;
    for (let index = 0; index < 100; index += 1) {
      const request = maker.request();
      const possible = signalsOfProtobuf(request);
      const items = linesOf(signal, request).length;
      if (possible.length === 1 && possible[0] === signal) told += 1;
      // What is wrong in some way (an id of 5 bytes, a reserved field) may be nobody's.
      else if (items > 3) expect(possible.length === 0 || possible.includes(signal)).toBe(true);
    }
    expect(told).toBeGreaterThan(30);
  });

  it('tells a metric from a span whose ids would be its name and description', () => {
    const gauge = bytesField(5, bytesField(1, message(fixed64Field(3, 1n << 63n))));
    const metric = (name: string, more = '') =>
      metricsRequest(message(bytesField(1, name), bytesField(2, more), gauge));
    expect(signalsOfProtobuf(metric('metric.1'))).toEqual(['metrics']);
    expect(signalsOfProtobuf(metric('sixteen.letters.', '8letters'))).toEqual(['metrics']);
    expect(
      signalsOfProtobuf(metricsRequest(message(bytesField(1, 'x'.repeat(16)), gauge))),
    ).toEqual(['metrics']);
  });

  it('says all three for a request without items', () => {
    expect(signalsOfProtobuf(bytesField(1, bytesField(1, '')))).toHaveLength(3);
    expect(isRequest(bytesField(1, bytesField(1, '')))).toBe(true);
    expect(isRequest(Buffer.from('\n\u0020abc'))).toBe(false);
    expect(isRequest(Buffer.from('hello'))).toBe(false);
  });
});

describe('signalOfJson()', () => {
  it('goes by the name of the resources, wherever it stands', () => {
    expect(signalOfJson(Buffer.from(' { "resourceLogs": []}'))).toBe('logs');
    expect(signalOfJson(Buffer.from('{"resource_metrics":[]}'))).toBe('metrics');
    expect(signalOfJson(Buffer.from('{"other":1,"resourceSpans":[]}'))).toBe('traces');
    expect(signalOfJson(Buffer.from('{}'))).toBeUndefined();
    expect(signalOfJson(Buffer.from('{"resourceSpans'))).toBeUndefined();
  });
});

describe('latestMs()', () => {
  it('is the latest time of any item, rounded up, and not past the present', () => {
    const spans = requestOf(message(at(7, 1000), at(8, 2000)), message(at(7, 1500)));
    expect(latestMs('traces', spans, 5000)).toBe(2000);
    expect(latestMs('traces', spans, 1999)).toBe(1500);
    expect(latestMs('logs', logsRequest(message(at(1, 10), at(11, 12))), 5000)).toBe(12);
    const metrics = metricsRequest(metricOf('sum', message(at(2, 99), at(3, 7))));
    expect(latestMs('metrics', metrics, 5000)).toBe(7);
    expect(latestMs('logs', logsRequest(message(bytesField(3, 'INFO'))), 5000)).toBe(0);
  });
});
