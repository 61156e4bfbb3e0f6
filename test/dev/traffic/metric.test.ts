/** Tests of what the metrics SDK measures; how it is sent is tested through the traffic. */
import { DataPointType } from '@opentelemetry/sdk-metrics';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { describe, expect, it } from 'vitest';
import { Emitter } from '../../../dev/traffic/emit.ts';
import { endedCounter, Meters, pointCount } from '../../../dev/traffic/metric.ts';
import { Random } from '../../../dev/traffic/random.ts';
import { journeys } from '../../../dev/traffic/shop.ts';
import { planRequest } from '../../../dev/traffic/trace.ts';

describe('Meters', () => {
  it('collect() counts every span of a service once, in deltas for every second service', async () => {
    const meters = new Meters();
    const ended = new Map<string, number>();
    const random = new Random(5);
    const emitter = new Emitter(random, (service: string, span: ReadableSpan) => {
      meters.measure(service, span);
      ended.set(service, (ended.get(service) ?? 0) + 1);
    });
    const play = () => {
      for (let turn = 0; turn < 100; turn += 1) {
        emitter.emit(planRequest(random.pick(journeys).root, random), Date.UTC(2026, 10, 21));
      }
    };
    play();
    const first = await meters.collect();
    play();
    const second = await meters.collect();
    for (const { service, metrics } of second) {
      const before = first.find((each) => each.service === service);
      const counted = countOf(metrics);
      const isDelta = counted.temporality === 0;
      const sum = counted.value + (isDelta && before ? countOf(before.metrics).value : 0);
      expect([service, sum]).toEqual([service, ended.get(service)]);
      expect(pointCount(metrics)).toBeGreaterThan(3);
    }
    const temporalities = second.map(({ metrics }) => countOf(metrics).temporality);
    expect(new Set(temporalities)).toEqual(new Set([0, 1]));
    const types = second.flatMap(({ metrics }) =>
      metrics.scopeMetrics.flatMap((scope) => scope.metrics.map((metric) => metric.dataPointType)),
    );
    expect(new Set(types)).toEqual(
      new Set([
        DataPointType.SUM,
        DataPointType.GAUGE,
        DataPointType.HISTOGRAM,
        DataPointType.EXPONENTIAL_HISTOGRAM,
      ]),
    );
  });
});

function countOf(metrics: Parameters<typeof pointCount>[0]) {
  const found = metrics.scopeMetrics
    .flatMap((scope) => scope.metrics)
    .find(({ descriptor }) => descriptor.name === endedCounter);
  const value = (found?.dataPoints ?? []).reduce((sum, point) => sum + Number(point.value), 0);
  return { value, temporality: found?.aggregationTemporality ?? -1 };
}
