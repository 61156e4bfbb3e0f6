/** The archiver against a bucket that fails at every single operation, and against another one. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { archiveSpoolPrefix, deadPrefix, topics } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import {
  archiverStopMsMax,
  spoolVisibleMsMax,
  watermarkIntervalMs,
} from '../../schemas/limits/archive.ts';
import { readSettings } from '../../schemas/settings.ts';
import { runArchiver } from '../../workers/archive.ts';
import type { ArchiverOptions } from '../../workers/archive.ts';
import { readPartition } from '../../workers/clients/commits/archive.ts';
import type { Clock } from '../../workers/context.ts';
import { keysUnder, readCommitted, spoolObject } from '../support/committed.ts';
import { faultKinds, FaultyStore } from '../support/faults.ts';
import type { Objects } from '../support/faults.ts';
import { CountingStore, startBucket } from '../support/objects.ts';
import type { Bucket } from '../support/objects.ts';
import { seededRandom } from '../support/random.ts';

const topic = topics.traces;
const startMs = Date.UTC(2026, 10, 22, 13, 30);
const silent = { info: () => undefined, warn: () => undefined, debug: () => undefined };
const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);

let bucket: Bucket;
let transcoder: WebAssembly.Module;
let archivers = 0;

beforeAll(async () => {
  transcoder = await WebAssembly.compile(await readFile(wasm));
  bucket = await startBucket();
});

afterAll(async () => bucket.close());

beforeEach(async () => {
  await bucket.store.delete(await keysUnder(bucket.store, ''));
});

/** A clock that stands still but for sleeps, which take no time. */
function stillClock(nowMs = startMs + 3_600_000): Clock & { nowMs: number } {
  const clock = {
    nowMs,
    now: () => clock.nowMs,
    sleep: async (ms: number) => {
      clock.nowMs += ms;
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    },
  };
  return clock;
}

function optionsOf(
  store: ArchiverOptions['store'],
  more: Partial<ArchiverOptions> = {},
  environment: Record<string, string> = {},
): ArchiverOptions {
  archivers += 1;
  const name = archivers;
  let names = 0;
  return {
    store,
    settings: readSettings(environment),
    transcoder,
    clock: stillClock(),
    random: (byteCount) => {
      names += 1;
      return createHash('sha256').update(`${name}/${names}`).digest().subarray(0, byteCount);
    },
    log: silent,
    signal: new AbortController().signal,
    codeVersion: 'test',
    signals: ['traces'],
    once: true,
    ...more,
  };
}

/** Never ends but by the signal, as a request to a store that hangs. */
function endOf<T>(signal: AbortSignal | undefined): Promise<T> {
  return new Promise((_, reject) => {
    const fail = () => reject(new TidemarkError('OBJECT_STORE', 'ended', { retryable: true }));
    if (signal?.aborted) fail();
    signal?.addEventListener('abort', fail);
  });
}

async function fill(store: ArchiverOptions['store'], requests: number, from = 0) {
  const names: string[] = [];
  for (let index = from; index < from + requests; index += 1) {
    const own = Array.from({ length: 3 }, (_, span) => `marker-${index}-${span}`);
    const { key, body } = spoolObject(topic, startMs + index, `r${index}`, own);
    await store.put(key, body);
    names.push(...own);
  }
  return names.toSorted();
}

/** Seven requests in three flushes: two hours, a bad request, one with no spans. */
async function scene(): Promise<{ objects: Objects; names: string[] }> {
  const objects: Objects = new Map();
  const store = new FaultyStore(objects);
  const names = await fill(store, 5);
  const empty = spoolObject(topic, startMs + 1, 'empty', []);
  await store.put(empty.key, empty.body);
  const bad = spoolObject(topic, startMs + 3, 'bad', []);
  await store.put(bad.key, Uint8Array.of(0xff));
  return { objects, names };
}

describe('runArchiver()', () => {
  it('archives what waits into files by hour, commits it and empties the spool', async () => {
    const names = await fill(bucket.store, 10);
    const report = await runArchiver(optionsOf(bucket.store));
    expect(report).toMatchObject({ commits: 1, requests: 10, rows: 30, files: 2 });
    const committed = await readCommitted(bucket.store, topic);
    expect(committed).toMatchObject({ names, repeated: 0 });
    expect(committed.commits[0]).toMatchObject({
      firstOffset: '0',
      nextOffset: '10',
      rows: 30,
      rejected: {},
      ingestedMaxMs: startMs + 9,
      codeVersion: 'test',
    });
    expect(await keysUnder(bucket.store, archiveSpoolPrefix(topic))).toEqual([]);
  });

  it('costs a request per object and file, and five for a flush', async () => {
    await fill(bucket.store, 50);
    const store = new CountingStore(bucket.store);
    await runArchiver(optionsOf(store));
    // Start: probe (18 puts, 2 gets, a listing, a delete), watermark and head (2 listings). Flush:
    // listing, gets, two files and the commit, one delete. End: an empty listing; the commit's
    // watermark stands.
    expect(store.requests).toEqual({
      get: 2 + 50,
      head: 0,
      put: 18 + 2 + 1,
      list: 1 + 4,
      delete: 2,
    });
  });

  it('takes no more than TIDEMARK_FLUSH_ROWS and _BYTES allow into one commit', async () => {
    const names = await fill(bucket.store, 40);
    await runArchiver(optionsOf(bucket.store, {}, { TIDEMARK_FLUSH_ROWS: '10' }));
    const byRows = await readCommitted(bucket.store, topic);
    expect(byRows.commits.map(({ rows }) => rows)).toEqual([...Array(10).fill(12)]);
    expect(byRows.names).toEqual(names);
    const more = await fill(bucket.store, 4, 100);
    await runArchiver(optionsOf(bucket.store, {}, { TIDEMARK_FLUSH_BYTES: '200' }));
    const byBytes = await readCommitted(bucket.store, topic);
    expect(byBytes.commits.slice(10).map(({ rows }) => rows)).toEqual([6, 6]);
    expect(byBytes.names).toEqual([...names, ...more].toSorted());
  });

  it('moves a request that cannot be decoded to the dead letters and archives the rest', async () => {
    const names = await fill(bucket.store, 2);
    const bad = spoolObject(topic, startMs, 'bad', []);
    await bucket.store.put(bad.key, Uint8Array.of(0x0a, 0xff, 0x01, 0x00));
    await bucket.store.put(`${archiveSpoolPrefix(topic)}stray`, 'not a request');
    await runArchiver(optionsOf(bucket.store));
    const { commits, names: found } = await readCommitted(bucket.store, topic);
    expect(found).toEqual(names);
    expect(commits).toMatchObject([{ nextOffset: '4', rejected: { undecodable_request: 2 } }]);
    expect(commits[0]?.spoolKeys).toContain(bad.key);
    const dead = await keysUnder(bucket.store, deadPrefix(topic));
    expect(dead).toHaveLength(4);
    const name = `${deadPrefix(topic)}${bad.key.split('/').at(-1)}`;
    expect(await bucket.store.get(name)).toEqual(Uint8Array.of(0x0a, 0xff, 0x01, 0x00));
    const reason: unknown = JSON.parse(
      new TextDecoder().decode(await bucket.store.get(`${name}.json`)),
    );
    expect(reason).toMatchObject({ key: bad.key, code: 'BAD_OTLP', bytes: 4 });
    expect(await keysUnder(bucket.store, archiveSpoolPrefix(topic))).toEqual([]);
  });

  it('takes a request whose key sorts before those already committed', async () => {
    await fill(bucket.store, 3, 10);
    await runArchiver(optionsOf(bucket.store));
    await fill(bucket.store, 1, 5);
    await runArchiver(optionsOf(bucket.store));
    const { commits, names } = await readCommitted(bucket.store, topic);
    expect(commits.map(({ nextOffset }) => nextOffset)).toEqual(['3', '4']);
    expect(names).toHaveLength(12);
  });

  it('deletes, and does not take, what the newest commit has taken already', async () => {
    await fill(bucket.store, 2);
    await runArchiver(optionsOf(bucket.store));
    await fill(bucket.store, 3);
    await runArchiver(optionsOf(bucket.store));
    const { commits, names } = await readCommitted(bucket.store, topic);
    expect(commits.map(({ rows }) => rows)).toEqual([6, 3]);
    expect(new Set(names).size).toBe(9);
  });

  it('deletes what a killed archiver committed before it takes requests that turned up late', async () => {
    const objects: Objects = new Map();
    const names = await fill(new FaultyStore(objects), 2, 10);
    const good = new FaultyStore(new Map(objects));
    await runArchiver(optionsOf(good));
    const lastDelete = good.operations.lastIndexOf('delete 2');
    const killed = runArchiver(optionsOf(new FaultyStore(objects, lastDelete, 'crashBefore')));
    await expect(killed).rejects.toThrow('delete 2');
    const late = await fill(new FaultyStore(objects), 3);
    const store = new FaultyStore(objects);
    await runArchiver(optionsOf(store, {}, { TIDEMARK_FLUSH_BYTES: '1' }));
    const committed = await readCommitted(store, topic);
    expect(committed).toMatchObject({ names: [...names, ...late].toSorted(), repeated: 0 });
    expect(committed.commits.map(({ rows }) => rows)).toEqual([6, 3, 3, 3]);
  });

  it('takes fewer requests when their columns do not fit, and puts aside one that never will', async () => {
    const names = await fill(bucket.store, 3);
    const big = spoolObject(topic, startMs + 10, 'big', ['x'.repeat(4_000_000)]);
    await bucket.store.put(big.key, big.body);
    await runArchiver(optionsOf(bucket.store, { columnPagesMax: 64 }));
    const { commits, names: found } = await readCommitted(bucket.store, topic);
    expect(found).toEqual(names);
    expect(commits.at(-1)).toMatchObject({ rejected: { undecodable_request: 1 } });
    expect(await keysUnder(bucket.store, deadPrefix(topic))).toHaveLength(2);
  });

  it('waits for TIDEMARK_FLUSH_AGE_MS before it flushes a small batch', async () => {
    await fill(bucket.store, 2);
    const stop = new AbortController();
    const clock = stillClock(startMs);
    const flushedMs: number[] = [];
    const log = {
      ...silent,
      info: () => {
        flushedMs.push(clock.nowMs - startMs);
        stop.abort();
      },
    };
    const more = { once: false, signal: stop.signal, clock, log };
    const environment = { TIDEMARK_FLUSH_AGE_MS: '5000', TIDEMARK_ARCHIVE_POLL_MS: '500' };
    await runArchiver(optionsOf(bucket.store, more, environment));
    expect(flushedMs[0]).toBe(5000);
  });

  it('moves the watermark of an idle spool, and keeps it behind what still waits', async () => {
    const clock = stillClock(startMs + spoolVisibleMsMax);
    await runArchiver(optionsOf(bucket.store, { clock }));
    const idle = await readPartition(bucket.store, topic, 'spool');
    expect(idle).toMatchObject({ watermarkMs: startMs, nextOffset: '0' });
    const stop = new AbortController();
    const later = stillClock(startMs + spoolVisibleMsMax + 10 * watermarkIntervalMs);
    const waiting = spoolObject(topic, startMs + 3 * watermarkIntervalMs, 'r1', ['a']);
    await bucket.store.put(waiting.key, waiting.body);
    const log = { ...silent, debug: () => stop.abort() };
    const more = { clock: later, once: false, signal: stop.signal, log };
    const environment = {
      TIDEMARK_FLUSH_AGE_MS: '100000000',
      TIDEMARK_SPOOL_FLUSH_AGE_MS: '100000000',
    };
    await runArchiver(optionsOf(bucket.store, more, environment));
    const busy = await readPartition(bucket.store, topic, 'spool');
    expect(busy.watermarkMs).toBe(startMs + 3 * watermarkIntervalMs);
    expect(await keysUnder(bucket.store, '_watermarks/')).toHaveLength(1);
  });

  it('gives up reading at once when told to stop', async () => {
    await fill(bucket.store, 1);
    const stop = new AbortController();
    const hanging = new CountingStore(bucket.store);
    hanging.get = (_, options) => {
      stop.abort();
      return endOf<Uint8Array>(options?.signal);
    };
    const report = await runArchiver(optionsOf(hanging, { once: false, signal: stop.signal }));
    expect(report.commits).toBe(0);
    expect(await keysUnder(bucket.store, archiveSpoolPrefix(topic))).toHaveLength(1);
  });

  it('gives up a commit under way only archiverStopMsMax after it was told to stop', async () => {
    await fill(bucket.store, 1);
    const stop = new AbortController();
    const hanging = new CountingStore(bucket.store);
    const clock = stillClock();
    const put = hanging.put.bind(hanging);
    hanging.put = (key, body, options) => {
      if (!key.startsWith('_commits/')) return put(key, body, options);
      stop.abort();
      return endOf<undefined>(options?.signal);
    };
    const startedMs = clock.nowMs;
    await runArchiver(optionsOf(hanging, { once: false, signal: stop.signal, clock }));
    expect(clock.nowMs - startedMs).toBeGreaterThanOrEqual(archiverStopMsMax);
    // Whether the commit was stored is not known then, so its files stay.
    expect(await keysUnder(bucket.store, 'signal=')).toHaveLength(2);
  });

  it('counts what it did in the registry', async () => {
    const registry = new Registry();
    await fill(bucket.store, 2);
    await runArchiver(optionsOf(bucket.store, { registry }));
    const text = await registry.metrics();
    expect(text).toContain('tidemark_archiver_rows_total{signal="traces"} 6');
    expect(text).toContain('tidemark_archiver_commits_total{signal="traces",outcome="stored"} 1');
  });

  it('throws what no retry heals', async () => {
    await bucket.store.put('_commits/otlp_spans/spool/0.json', 'no commit');
    const run = runArchiver(optionsOf(bucket.store));
    await expect(run).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE' });
  });
});

describe('runArchiver() with a fault at every operation', () => {
  const environment = { TIDEMARK_FLUSH_ROWS: '6' };

  async function operationsOfGoodRun(): Promise<string[]> {
    const { objects } = await scene();
    const store = new FaultyStore(objects);
    await runArchiver(optionsOf(store, {}, environment));
    return store.operations;
  }

  it.each(faultKinds)('is exactly once after "%s"', async (kind) => {
    const operations = await operationsOfGoodRun();
    expect(operations.length).toBeGreaterThan(25);
    for (const [at, operation] of operations.entries()) {
      // A read that was done and one that was not differ in nothing.
      const isRead = operation.startsWith('get') || operation.startsWith('list');
      if (isRead && kind !== 'crashBefore' && kind !== 'refused') continue;
      const { objects, names } = await scene();
      const first = new FaultyStore(objects, at, kind);
      const faulty = runArchiver(optionsOf(first, {}, environment));
      if (kind.startsWith('crash')) await expect(faulty, operation).rejects.toThrow();
      else await faulty;
      first.close();
      const second = new FaultyStore(objects);
      await runArchiver(optionsOf(second, {}, environment));
      const committed = await readCommitted(second, topic);
      expect({ at, operation, ...committed }).toMatchObject({ at, operation, names, repeated: 0 });
      expect(await keysUnder(second, archiveSpoolPrefix(topic)), operation).toEqual([]);
      expect(await keysUnder(second, deadPrefix(topic)), operation).toHaveLength(2);
    }
  });
});

describe('runArchiver() beside others', () => {
  it('is exactly once with three archivers, a producer and random faults', async () => {
    const seed = 20_261_122;
    console.info(`seed ${seed}`);
    const random = seededRandom(seed);
    for (let round = 0; round < 10; round += 1) {
      const objects: Objects = new Map();
      const producer = new FaultyStore(objects);
      const stores = Array.from({ length: 3 }, () => {
        const kind = faultKinds[Math.floor(random() * faultKinds.length)] ?? 'lost';
        return new FaultyStore(objects, Math.floor(random() * 60), kind);
      });
      const names: string[] = [];
      const produced = (async () => {
        for (let index = 0; index < 12; index += 1) {
          names.push(...(await fill(producer, 1, Math.floor(random() * 1e6) * 100 + index)));
        }
      })();
      const running = stores.map((store) =>
        runArchiver(optionsOf(store, {}, { TIDEMARK_FLUSH_ROWS: '6' })),
      );
      await Promise.allSettled(running);
      await produced;
      for (const store of stores) store.close();
      const last = new FaultyStore(objects);
      await runArchiver(optionsOf(last));
      const committed = await readCommitted(last, topic);
      expect({ round, ...committed }).toMatchObject({
        round,
        names: names.toSorted(),
        repeated: 0,
      });
    }
  });

  it('drops the files of an archiver that lost', async () => {
    const names = await fill(bucket.store, 8);
    const running = Array.from({ length: 4 }, () => runArchiver(optionsOf(bucket.store)));
    await Promise.all(running);
    const { commits, names: found } = await readCommitted(bucket.store, topic);
    expect(found).toEqual(names);
    const files = await keysUnder(bucket.store, 'signal=');
    expect(files).toEqual(
      commits.flatMap(({ files: own }) => own.map(({ key }) => key)).toSorted(),
    );
  });
});
