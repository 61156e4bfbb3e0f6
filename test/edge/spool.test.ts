/** What a write to R2 may do wrong; the promise that rests on it is in matrix.test.ts. */
import { describe, expect, it } from 'vitest';
import { gateOf } from '../../edge/gate.ts';
import { Meter } from '../../edge/meter.ts';
import { spool } from '../../edge/spool.ts';

const settings = { TIDEMARK_SINK_TIMEOUT_MS: 20 };

function write(put: () => Promise<unknown>) {
  const warnings: string[] = [];
  const meter = new Meter();
  const done = spool('archive', 'key', () => Uint8Array.of(1), gateOf(1), settings, {
    bucket: { put },
    meter,
    timeout: (ms) => AbortSignal.timeout(ms),
    warn: (message) => warnings.push(message),
  });
  return { done, warnings, meter };
}

describe('spool()', () => {
  it.each([
    ['fails', () => Promise.reject(new Error('R2 is gone'))],
    ['is silent', () => new Promise(() => undefined)],
  ])('spool() to an R2 that %s is SINK_FAILED, retryable', async (_what, put) => {
    const { done, warnings, meter } = write(put);
    await expect(done).rejects.toMatchObject({ code: 'SINK_FAILED', retryable: true });
    expect(warnings).toHaveLength(1);
    expect(meter.take()).toEqual([['sink_total', 'sink="archive",result="failed"', 1]]);
  });

  it('spool() makes the bytes when its turn has come', async () => {
    const gate = gateOf(1);
    const order: string[] = [];
    const tools = {
      bucket: { put: (key: string) => Promise.resolve(order.push(`put ${key}`)) },
      meter: new Meter(),
      timeout: (ms: number) => AbortSignal.timeout(ms),
      warn: () => undefined,
    };
    const bytesOf = (key: string) => () => {
      order.push(`make ${key}`);
      return Uint8Array.of(1);
    };
    await Promise.all(
      ['a', 'b'].map((key) => spool('speed_spool', key, bytesOf(key), gate, settings, tools)),
    );
    expect(order).toEqual(['make a', 'put a', 'make b', 'put b']);
  });
});
