/** Checks that calls of services are timed, and otherwise left as they are. */
import { describe, expect, it } from 'vitest';
import type { FanoutTools } from '../../../edge/fanout.ts';
import { Meter } from '../../../edge/meter.ts';
import { openSinks } from '../../../edge/sink.ts';
import { timed } from '../../../edge/meter/time.ts';
import { readSettings } from '../../../schemas/settings.ts';

const settings = readSettings({ KAFKA_REST_URL: 'http://127.0.0.1:8082' });

/** Tools whose calls take so many ms of a clock of their own. */
function toolsOf(ms: { fetch: number; kafka: number; put: number }, isDown = false) {
  const clock = { nowMs: 0 };
  const take = <T>(amount: number, value: T): Promise<T> => {
    clock.nowMs += amount;
    return isDown ? Promise.reject(new Error('down')) : Promise.resolve(value);
  };
  const now = () => clock.nowMs;
  const certificate = { fetch: () => take(ms.kafka, new Response('kafka')) };
  const fetch = () => take(ms.fetch, new Response('clickhouse'));
  const tools: FanoutTools = {
    fetch,
    timeout: () => new AbortController().signal,
    warn: () => undefined,
    bucket: { put: (key) => take(ms.put, key) },
    meter: new Meter(),
    sinks: openSinks(settings, { KAFKA_REST_MTLS: certificate }, { fetch, now }),
  };
  const meter = new Meter();
  return { meter, tools: timed(tools, meter, now), own: tools };
}

describe('timed()', () => {
  it('timed() observes each service apart, and gives what it gave', async () => {
    const { meter, tools, own } = toolsOf({ fetch: 30, kafka: 700, put: 4 });
    expect(await (await tools.fetch('http://any', {})).text()).toBe('clickhouse');
    expect(await (await tools.sinks.kafka?.fetch('http://any', {}))?.text()).toBe('kafka');
    expect(await tools.bucket.put('key', new Uint8Array())).toBe('key');
    const text = meter.text();
    for (const [service, seconds] of [
      ['clickhouse', 0.03],
      ['kafka_rest', 0.7],
      ['r2', 0.004],
    ] as const) {
      expect(text).toContain(`tidemark_edge_sink_seconds_sum{service="${service}"} ${seconds}\n`);
      expect(text).toContain(`tidemark_edge_sink_seconds_count{service="${service}"} 1\n`);
    }
    // What the isolate keeps is the same: the breakers above all.
    expect(tools.sinks.tables).toBe(own.sinks.tables);
    expect(tools.sinks.kafka?.breaker).toBe(own.sinks.kafka?.breaker);
    expect(tools.meter).toBe(meter);
  });

  it('timed() observes a call that fails, and lets it fail', async () => {
    const { meter, tools } = toolsOf({ fetch: 5000, kafka: 0, put: 0 }, true);
    await expect(tools.fetch('http://any', {})).rejects.toThrow('down');
    expect(meter.text()).toContain('tidemark_edge_sink_seconds_sum{service="clickhouse"} 5\n');
  });
});
