/** What given-up runs of the batch left, on a real bucket: what goes, and what stays because somebody may use it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { jobKey } from '../../../schemas/job.ts';
import { partialPrefix, reusedKey } from '../../../schemas/shard.ts';
import { attemptKey, taskPrefix } from '../../../schemas/task.ts';
import type { ObjectStore } from '../../../workers/clients/store/objects.ts';
import { sweepLeftovers } from '../../../workers/sweep/leftovers.ts';
import { agedStore } from '../../support/aged.ts';
import { keysUnder } from '../../support/committed.ts';
import { startBucket } from '../../support/objects.ts';
import type { Bucket } from '../../support/objects.ts';

const nowMs = Date.UTC(2026, 10, 23);
const ageMs = 72 * 3_600_000;
const old = ageMs + 1;

let bucket: Bucket;
let store: ObjectStore;
const agesMs = new Map<string, number>();

beforeAll(async () => {
  bucket = await startBucket();
  store = agedStore(bucket.store, agesMs, nowMs);
});
afterAll(async () => bucket.close());
beforeEach(async () => {
  await store.delete(await keysUnder(store, ''));
  agesMs.clear();
});

async function put(key: string, age: number): Promise<string> {
  await store.put(key, 'left');
  agesMs.set(key, age);
  return key;
}

describe('sweepLeftovers()', () => {
  it('deletes computations and jobs for which nothing was stored for long, whole', async () => {
    const gone = '2026-11-01-0123456789ab';
    await put(`${partialPrefix(gone)}00000-aa.bin`, 2 * old);
    await put(`${partialPrefix(gone)}00001-ab.start-a-1-b.json`, old);
    await put(attemptKey(gone, 'a1'), old);
    await put(`${taskPrefix('only-tasks')}00000-aa.json.gz`, old);
    await put(jobKey('nightly', 'traces'), old);
    await put(jobKey('nightly', 'logs'), old);
    const others = ['_commits/a', '_partials.txt', '_watermarks/x/y', 'signal=traces/z'];
    for (const key of others) await put(key, 9 * old);
    const dry = await sweepLeftovers({ store, nowMs, ageMs, dryRun: true });
    expect(dry).toEqual({ computations: 2, jobs: 1, files: 6, bytes: 24 });
    expect(await keysUnder(store, '')).toHaveLength(10);
    expect(await sweepLeftovers({ store, nowMs, ageMs, dryRun: false })).toEqual(dry);
    expect(await keysUnder(store, '')).toEqual(others);
  });

  it('leaves a computation alone while anything of it is young: a partial, a coordinator, a reuse', async () => {
    const signs = [
      (name: string) => `${partialPrefix(name)}00007-aa.bin`,
      (name: string) => attemptKey(name, 'a1'),
      (name: string) => reusedKey(name),
    ];
    for (const [i, sign] of signs.entries()) {
      const name = `run-${i}`;
      await put(`${partialPrefix(name)}00000-aa.bin`, 9 * old);
      await put(`${taskPrefix(name)}00000-aa.json.gz`, 9 * old);
      await put(sign(name), ageMs);
    }
    await put(jobKey('fresh', 'traces'), 9 * old);
    await put(jobKey('fresh', 'logs'), 1000);
    const report = await sweepLeftovers({ store, nowMs, ageMs, dryRun: false });
    expect(report).toEqual({ computations: 0, jobs: 0, files: 0, bytes: 0 });
    expect(await keysUnder(store, '')).toHaveLength(11);
  });

  it('looks again before it deletes: who has gone on with old partials keeps them', async () => {
    const name = 'run';
    const partial = await put(`${partialPrefix(name)}00000-aa.bin`, old);
    let lists = 0;
    const racing: ObjectStore = {
      ...store,
      async *list(prefix) {
        lists += 1;
        // After the first looks at jobs, tasks and partials a run begins that finds the old one.
        if (lists === 4) await bucket.store.put(reusedKey(name), '{}');
        yield* store.list(prefix);
      },
    };
    const report = await sweepLeftovers({ store: racing, nowMs, ageMs, dryRun: false });
    expect(report.files).toBe(0);
    expect(lists).toBeGreaterThan(4);
    expect(await keysUnder(store, '')).toEqual([partial, reusedKey(name)]);
  });
});
