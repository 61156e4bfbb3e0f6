/** The drain on real R2, with a ClickHouse that fails on demand. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { drain } from '../../edge/drain.ts';
import { Meter } from '../../edge/meter.ts';
import { drainObjectsAtOnce, drainObjectsPerTickMax } from '../../schemas/limits.ts';
import { readSettings } from '../../schemas/settings.ts';
import { clear, keys, requestBytes, span, stack } from './stack.ts';
import type { Insert } from './stack.ts';

const prefix = 'spool/speed/otel_traces/';

beforeEach(clear);

function keyOf(index: number): string {
  return `${prefix}${String(1_795_000_000_000 + index)}+request-${index}+default`;
}

async function fill(count: number): Promise<void> {
  // Newest first: only the key decides the order.
  for (let index = count - 1; index >= 0; index -= 1) {
    await env.ARCHIVE.put(keyOf(index), Uint8Array.of(index));
  }
}

const firstBytes = (inserts: readonly Insert[]) => inserts.map(({ rows }) => rows[0]);

describe('drain()', () => {
  it('drain() moves every object, oldest first, and deletes it', async () => {
    await fill(10);
    const { edge, inserts } = stack();
    await edge.drain();
    expect(firstBytes(inserts)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(await keys()).toEqual([]);
  });

  it('drain() inserts under the token of the first try', async () => {
    let fails = true;
    const { edge, inserts, post } = stack({
      clickhouse: () => new Response(null, { status: fails ? 500 : 200 }),
    });
    await post(requestBytes([span(0)]));
    fails = false;
    await edge.drain();
    const [first, second] = inserts;
    expect(second?.rows).toEqual(first?.rows);
    expect(second?.url.href).toBe(first?.url.href);
    const token = first?.url.searchParams.get('insert_deduplication_token');
    expect(token).toMatch(/^\d{13}\+request-1\+default$/);
    expect(await keys()).toEqual([`spool/archive/otlp_spans/${token}`]);
  });

  it('drain() stops at the first failure and keeps what failed', async () => {
    await fill(10);
    const { edge, inserts, warnings } = stack({
      clickhouse: ({ rows }) => new Response(null, { status: rows[0] === 5 ? 500 : 200 }),
    });
    await edge.drain();
    expect(inserts.length).toBe(2 * drainObjectsAtOnce);
    expect(await keys()).toEqual([5, 8, 9].map(keyOf));
    expect(warnings).toHaveLength(1);
  });

  it('drain() moves no more than its bound in one tick', async () => {
    const many = drainObjectsPerTickMax + 3;
    const objects = Array.from({ length: many }, (_value, index) => ({ key: keyOf(index) }));
    const limits: number[] = [];
    const deleted: string[] = [];
    const moved = await drain(readSettings({}), {
      meter: new Meter(),
      warn: () => {},
      timeout: (ms) => AbortSignal.timeout(ms),
      fetch: () => Promise.resolve(new Response(null)),
      bucket: {
        list: ({ limit }) => {
          limits.push(limit);
          return Promise.resolve({ objects: objects.slice(0, limit) });
        },
        get: () => Promise.resolve({ arrayBuffer: () => Promise.resolve(new ArrayBuffer(1)) }),
        delete: (all) => {
          deleted.push(...all);
          return Promise.resolve();
        },
      },
    });
    expect(moved).toBe(drainObjectsPerTickMax);
    expect(limits).toEqual([drainObjectsPerTickMax]);
    expect(deleted).toHaveLength(drainObjectsPerTickMax);
  });

  it('drain() takes an object that another drain took for done', async () => {
    await fill(2);
    const listed = await env.ARCHIVE.list();
    const { edge, inserts } = stack({
      bucket: {
        put: (key, value) => env.ARCHIVE.put(key, value),
        get: (key) => env.ARCHIVE.get(key),
        delete: (all) => env.ARCHIVE.delete(all),
        list: () => Promise.resolve(listed),
      },
    });
    await env.ARCHIVE.delete(keyOf(0));
    await edge.drain();
    expect(firstBytes(inserts)).toEqual([1]);
    expect(await keys()).toEqual([]);
  });

  it('two ticks of one isolate do not overlap', async () => {
    await fill(3);
    const { edge, inserts } = stack();
    await Promise.all([edge.drain(), edge.drain()]);
    expect(inserts).toHaveLength(3);
    await edge.drain();
  });

  it('a tick whose R2 is gone is a warning, and the next one works', async () => {
    await fill(1);
    let gone = true;
    const { edge, warnings } = stack({
      bucket: {
        put: (key, value) => env.ARCHIVE.put(key, value),
        get: (key) => env.ARCHIVE.get(key),
        delete: (all) => env.ARCHIVE.delete(all),
        list: (options) => (gone ? Promise.reject(new Error('gone')) : env.ARCHIVE.list(options)),
      },
    });
    await edge.drain();
    expect(warnings).toHaveLength(1);
    gone = false;
    await edge.drain();
    expect(await keys()).toEqual([]);
  });

  it('drain() leaves keys that are none of ours', async () => {
    await env.ARCHIVE.put(`${prefix}readme.txt`, 'x');
    const { edge, inserts } = stack();
    await edge.drain();
    expect(inserts).toEqual([]);
    expect(await keys()).toHaveLength(1);
  });
});
