/** The drain on real R2, with a ClickHouse that fails on demand. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { drain } from '../../edge/drain.ts';
import { Meter } from '../../edge/meter.ts';
import {
  drainBackoffMs,
  drainBackoffMsMax,
  drainObjectsAtOnce,
  drainObjectsPerTickMax,
  drainTickMsMax,
  drainTriesMax,
} from '../../schemas/limits.ts';
import { readSettings } from '../../schemas/settings.ts';
import { clear, keys, nowMs, requestBytes, span, stack, stored } from './stack.ts';
import type { Insert, Options } from './stack.ts';

const journalKey = '_drain/state.json';

beforeEach(clear);

function keyOf(index: number, table = 'otel_traces'): string {
  return `spool/speed/${table}/${String(1_795_000_000_000 + index)}+token-${index}+default`;
}

async function fill(count: number, table = 'otel_traces', from = 0): Promise<void> {
  // Newest first: only the key decides the order.
  for (let index = from + count - 1; index >= from; index -= 1) {
    await env.ARCHIVE.put(keyOf(index, table), Uint8Array.of(index));
  }
}

const firstBytes = (inserts: readonly Insert[]) => inserts.map(({ rows }) => rows[0]);
const spooled = async () => (await keys()).filter((key) => key.startsWith('spool/'));
const tableOf = ({ url }: Insert) =>
  /INTO (\w+)/.exec(url.searchParams.get('query') ?? '')?.[1] ?? '';

/** INCORRECT_DATA: these rows will never be taken. */
const refusal = () =>
  new Response('', { status: 400, headers: { 'x-clickhouse-exception-code': '117' } });

/** A stack whose clock ticks by the minute. */
function ticking(options: Options) {
  const clock = { nowMs };
  const made = stack({ ...options, now: () => clock.nowMs });
  const tick = async (ms = 60_000) => {
    clock.nowMs += ms;
    await made.edge.drain();
  };
  return { ...made, clock, tick };
}

describe('drain()', () => {
  it('drain() moves every object, oldest first over all tables, and deletes it', async () => {
    await fill(4, 'otel_traces', 0);
    await fill(4, 'otel_metrics_sum', 4);
    await fill(4, 'otel_logs', 8);
    const { edge, inserts } = stack();
    await edge.drain();
    expect(firstBytes(inserts)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(inserts.map(tableOf)).toEqual([
      ...Array.from({ length: 4 }, () => 'otel_traces'),
      ...Array.from({ length: 4 }, () => 'otel_metrics_sum'),
      ...Array.from({ length: 4 }, () => 'otel_logs'),
    ]);
    expect(await spooled()).toEqual([]);
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
    expect(await spooled()).toEqual([`spool/archive/otlp_spans/${nowMs}+request-1+default`]);
  });

  it('drain() stops a table at its first failure, keeps what failed, and goes on with others', async () => {
    await fill(10);
    await fill(6, 'otel_logs', 100);
    const { edge, inserts, warnings } = stack({
      clickhouse: ({ rows }) => new Response(null, { status: rows[0] === 5 ? 500 : 200 }),
    });
    await edge.drain();
    expect(inserts.length).toBe(2 * drainObjectsAtOnce + 6);
    expect(await spooled()).toEqual([5, 8, 9].map((index) => keyOf(index)));
    expect(warnings).toHaveLength(1);
  });

  it('drain() leaves a table that takes nothing alone, twice as long each time', async () => {
    await fill(3);
    let fails = true;
    const { inserts, tick, clock } = ticking({
      clickhouse: () => new Response(null, { status: fails ? 503 : 200 }),
    });
    const triedAtMs: number[] = [];
    for (let second = 0; second < 3600; second += 10) {
      const before = inserts.length;
      await tick(10_000);
      if (inserts.length > before) triedAtMs.push(clock.nowMs);
    }
    const pauses = triedAtMs.slice(1).map((ms, index) => ms - (triedAtMs[index] ?? 0));
    const doubled = pauses.map((_, index) =>
      Math.min(drainBackoffMsMax, drainBackoffMs * 2 ** index),
    );
    expect(pauses).toEqual(doubled);
    expect(pauses.at(-1)).toBe(drainBackoffMsMax);
    fails = false;
    await tick(drainBackoffMsMax);
    expect(await spooled()).toEqual([]);
    await fill(1);
    await tick(1);
    expect(await spooled(), 'its pauses are forgotten').toEqual([]);
  });

  it('drain() remembers pauses for isolates that come after it', async () => {
    await fill(1);
    await stack({ clickhouse: () => new Response(null, { status: 503 }) }).edge.drain();
    const other = stack();
    await other.edge.drain();
    expect(other.inserts).toEqual([]);
    const later = stack({ now: () => nowMs + drainBackoffMs });
    await later.edge.drain();
    expect(later.inserts).toHaveLength(1);
  });

  it('drain() sets rows aside that ClickHouse refuses for good, and moves the others', async () => {
    await fill(3);
    const { tick, inserts } = ticking({
      clickhouse: ({ rows }) => (rows[0] === 0 ? refusal() : new Response(null)),
    });
    await tick();
    expect(firstBytes(inserts)).toEqual([0, 1, 2]);
    expect(await spooled()).toEqual([keyOf(0)]);
    for (let more = 1; more < drainTriesMax; more += 1) {
      await fill(2, 'otel_traces', 10 * more);
      await tick();
      // What was refused before comes last, so that it holds up no other.
      expect(firstBytes(inserts).slice(-3)).toEqual([10 * more, 10 * more + 1, 0]);
    }
    const dead = `_dead/speed/otel_traces/${keyOf(0).split('/').at(-1) ?? ''}`;
    expect((await keys()).filter((key) => key !== journalKey)).toEqual([dead, `${dead}.json`]);
    expect(await stored(dead)).toEqual(Uint8Array.of(0));
    const reason: unknown = JSON.parse(new TextDecoder().decode(await stored(`${dead}.json`)));
    expect(reason).toMatchObject({ table: 'otel_traces', clickhouseCode: 117, tries: 10 });
  });

  it('drain() does not set a whole table aside in a hurry when all of it is refused', async () => {
    await fill(30);
    const { tick, inserts } = ticking({ clickhouse: refusal });
    for (let minute = 0; minute < 30; minute += 1) await tick();
    expect(inserts.length).toBeLessThan(8 * drainObjectsAtOnce);
    expect(await spooled()).toHaveLength(30);
  });

  it('drain() moves no more than its bound in one tick', async () => {
    const many = drainObjectsPerTickMax + 3;
    const objects = Array.from({ length: many }, (_value, index) => ({
      key: keyOf(index),
      size: 1,
    }));
    const deleted: string[] = [];
    const moved = await drain(readSettings({}), {
      meter: new Meter(),
      now: () => nowMs,
      warn: () => {},
      timeout: (ms) => AbortSignal.timeout(ms),
      fetch: () => Promise.resolve(new Response(null)),
      bucket: {
        list: ({ prefix }) =>
          Promise.resolve({
            objects: objects.filter(({ key }) => key.startsWith(prefix)),
            truncated: false,
          }),
        get: () => Promise.resolve({ arrayBuffer: () => Promise.resolve(new ArrayBuffer(1)) }),
        put: () => Promise.resolve(),
        delete: (all) => {
          deleted.push(...all);
          return Promise.resolve();
        },
      },
    });
    expect(moved).toBe(drainObjectsPerTickMax);
    expect(deleted).toEqual(objects.slice(0, drainObjectsPerTickMax).map(({ key }) => key));
  });

  it('drain() begins nothing new when its time is up', async () => {
    await fill(3 * drainObjectsAtOnce);
    const clock = { nowMs };
    const { edge, inserts } = stack({
      now: () => clock.nowMs,
      clickhouse: () => {
        clock.nowMs += drainTickMsMax / drainObjectsAtOnce;
        return new Response(null);
      },
    });
    await edge.drain();
    expect(inserts).toHaveLength(drainObjectsAtOnce);
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
    expect(await spooled()).toEqual([]);
  });

  it('drains of two isolates at once insert under the same tokens', async () => {
    await fill(12);
    const [one, other] = [stack(), stack()];
    await Promise.all([one.edge.drain(), other.edge.drain()]);
    const tokens = [...one.inserts, ...other.inserts].map(({ url, rows }) => [
      url.searchParams.get('insert_deduplication_token'),
      rows[0],
    ]);
    for (const [token, row] of tokens) expect(token).toBe(`token-${row}`);
    expect(new Set(tokens.map(([token]) => token)).size).toBe(12);
    expect(await spooled()).toEqual([]);
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
    expect(await spooled()).toEqual([]);
  });

  it('drain() leaves keys that are none of ours', async () => {
    await env.ARCHIVE.put('spool/speed/otel_traces/readme.txt', 'x');
    await env.ARCHIVE.put(keyOf(0, 'other_table'), 'x');
    const { edge, inserts } = stack();
    await edge.drain();
    expect(inserts).toEqual([]);
    expect(await spooled()).toHaveLength(2);
  });

  it('drain() reads a journal that is broken as an empty one', async () => {
    await env.ARCHIVE.put(journalKey, '{"tables":');
    await fill(1);
    const { edge } = stack();
    await edge.drain();
    expect(await spooled()).toEqual([]);
  });
});

/** The gauges of the spools, as an isolate shows them that has drained nothing. */
async function gauges(): Promise<string[]> {
  const { edge } = stack({ now: () => nowMs + 30_000 });
  const text = await (await edge.fetch(new Request('http://localhost/metrics'))).text();
  return text.split('\n').filter((line) => line.startsWith('tidemark_edge_spool'));
}

describe('showSpools()', () => {
  it('/metrics shows what the last tick of any isolate left in the spools', async () => {
    const archiveKey = `spool/archive/otlp_logs/${nowMs - 90_000}+request-1+acme`;
    await env.ARCHIVE.put(archiveKey, new Uint8Array(1000));
    await env.ARCHIVE.put(
      `spool/speed/otel_logs/${nowMs - 120_000}+token+acme`,
      new Uint8Array(300),
    );
    await env.ARCHIVE.put(
      `spool/speed/otel_traces/${nowMs - 60_000}+token+acme`,
      new Uint8Array(20),
    );
    await stack({ clickhouse: () => new Response(null, { status: 503 }) }).edge.drain();
    expect(await gauges()).toEqual([
      'tidemark_edge_spool_objects{leg="archive"} 1',
      'tidemark_edge_spool_objects{leg="speed"} 2',
      'tidemark_edge_spool_bytes{leg="archive"} 1000',
      'tidemark_edge_spool_bytes{leg="speed"} 320',
      'tidemark_edge_spool_oldest_age_seconds{leg="archive"} 120',
      'tidemark_edge_spool_oldest_age_seconds{leg="speed"} 150',
    ]);
    await env.ARCHIVE.delete(archiveKey);
    await stack({ now: () => nowMs + 600_000 }).edge.drain();
    expect((await gauges()).map((line) => line.split(' ')[1])).toEqual([
      '0',
      '0',
      '0',
      '0',
      '0',
      '0',
    ]);
  });
});
