/** Checks the conductor of a group on the real R2, with a ClickHouse and a clock of the test. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Batch } from '../../../edge/fanout.ts';
import { createGroup } from '../../../edge/commit/gather.ts';
import { clear, keys, nowMs, requestBytes, span } from '../stack.ts';

beforeEach(clear);

function batch(index: number): Batch {
  const parts = { receivedMs: nowMs, requestId: `request-${index}`, tenantId: 'acme' };
  return {
    signal: 'traces',
    parts: [{ parts, otlp: requestBytes([span(index)]), digest: `${index}` }],
    tables: [{ table: 'otel_traces', rows: Uint8Array.of(index), rowCount: 1 }],
  };
}

function tools(answer: () => Response) {
  const bodies: number[][] = [];
  return {
    bodies,
    warn: () => undefined,
    now: () => nowMs,
    random: () => 0.5,
    timeout: (ms: number) => AbortSignal.timeout(ms),
    later: (ms: number, then: () => void) => setTimeout(then, ms),
    fetch: async (_url: string, init: RequestInit) => {
      bodies.push([...new Uint8Array(await new Response(init.body).arrayBuffer())]);
      return answer();
    },
  };
}

const settings = { TIDEMARK_GROUP_MS: '50' };

describe('createGroup()', () => {
  it('createGroup() gives merged rows to ClickHouse, and its counts to the first request', async () => {
    const legs = tools(() => new Response(null));
    const group = createGroup({ ARCHIVE: env.ARCHIVE, ...settings }, legs);
    const answers = await Promise.all([0, 1, 2].map((index) => group.add(batch(index))));
    expect(legs.bodies.map((body) => body.toSorted((a, b) => a - b))).toEqual([[0], [1, 2]]);
    expect(await keys()).toEqual([
      `spool/archive/otlp_spans/${nowMs}+request-0+acme`,
      `spool/archive/otlp_spans/${nowMs}+request-1+acme`,
    ]);
    expect(answers.map((answer) => 'requests' in answer && answer.requests)).toEqual([1, 2, 0]);
    expect(answers.map((answer) => 'reading' in answer && answer.reading.length > 0)).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('createGroup() answers a fault that can cross to another object', async () => {
    const broken = {
      get: () => Promise.resolve(null),
      list: () => Promise.resolve({ objects: [] }),
      delete: () => Promise.resolve(),
      put: () => Promise.reject(new Error('R2 is gone')),
    };
    const group = createGroup(
      { ARCHIVE: broken, ...settings },
      tools(() => new Response(null)),
    );
    const answer = await group.add(batch(0));
    expect(answer).toMatchObject({ fault: { code: 'SINK_FAILED' } });
    expect(structuredClone(answer)).toEqual(answer);
  });
});
