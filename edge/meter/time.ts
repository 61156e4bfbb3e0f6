/**
 * Times what the legs ask of their services, one observation a call, up to the head of its answer.
 * It changes no call, and looks at no answer.
 */
import type { FanoutTools } from '../fanout.ts';
import type { Meter } from '../meter.ts';

/**
 * The tools of the legs with every call of a service observed in `meter` as `sink_seconds`, whether
 * it succeeds or not; `now` gives milliseconds. The runtime's clock stands still while a Worker
 * computes, so that what is seen is the wait.
 */
export function timed(tools: FanoutTools, meter: Meter, now: () => number): FanoutTools {
  const time = async <T>(service: string, call: () => Promise<T>): Promise<T> => {
    const startMs = now();
    try {
      return await call();
    } finally {
      meter.observe('sink_seconds', (now() - startMs) / 1000, `service="${service}"`);
    }
  };
  const { bucket, sinks } = tools;
  const { kafka } = sinks;
  let latest:
    { readonly ms: number; readonly atMs: number; readonly signal: AbortSignal } | undefined;
  return {
    ...tools,
    meter,
    // Calls of one moment end at one moment: each signal is a timer of the runtime.
    timeout: (ms) => {
      const atMs = now();
      if (latest?.ms !== ms || latest.atMs !== atMs || latest.signal.aborted) {
        latest = { ms, atMs, signal: tools.timeout(ms) };
      }
      return latest.signal;
    },
    fetch: (url, init) => time('clickhouse', () => tools.fetch(url, init)),
    bucket: { put: (key, value) => time('r2', () => bucket.put(key, value)) },
    sinks: {
      ...sinks,
      kafka: kafka && {
        ...kafka,
        fetch: (url, init) => time('kafka_rest', () => kafka.fetch(url, init)),
      },
    },
  };
}
