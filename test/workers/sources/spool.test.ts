/** The spool as a source: what is listed, and what a listing vouches for. */
import { beforeEach, describe, expect, it } from 'vitest';
import { archiveSpoolPrefix, topics } from '../../../schemas/archive.ts';
import type { Commit } from '../../../schemas/commit.ts';
import { objectGetsMax } from '../../../schemas/limits.ts';
import { spoolVisibleMsMax } from '../../../schemas/limits/archive.ts';
import { SpoolSource } from '../../../workers/sources/spool.ts';
import { spoolObject } from '../../support/committed.ts';
import { FaultyStore } from '../../support/faults.ts';
import type { Objects } from '../../support/faults.ts';

const topic = topics.traces;
const startMs = Date.UTC(2026, 10, 22, 13, 30);
const listedMs = startMs + 10 * spoolVisibleMsMax;
const anything = { bytesMax: 1e9, recordsMax: 1e9 };

let objects: Objects;
let store: FaultyStore;

beforeEach(() => {
  objects = new Map();
  store = new FaultyStore(objects);
});

function spool(atMs: number, names: readonly string[]): string {
  const { key, body } = spoolObject(topic, atMs, `r${objects.size}`, names);
  objects.set(key, body);
  return key;
}

async function look(bounds = anything, committed: readonly string[] = []) {
  const source = new SpoolSource(store, 'traces', () => listedMs);
  // Only the keys of a commit matter to the spool.
  await source.adopt({ spoolKeys: committed } as unknown as Commit, {});
  return source.look(bounds, {});
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe('SpoolSource.adopt()', () => {
  it('deletes what the newest commit has consumed', async () => {
    const [first, second] = [1, 2].map((ms) => spool(startMs + ms, ['a']));
    await look(anything, [first ?? '']);
    expect([...objects.keys()]).toEqual([second]);
  });
});

describe('SpoolSource.look()', () => {
  it('gives what waits, oldest first, and its times and tenants', async () => {
    const [second, first] = [2, 1].map((ms) => spool(startMs + ms, ['a']));
    const backlog = await look();
    expect(backlog.entries.map(({ key }) => key)).toEqual([first, second]);
    expect(backlog.entries[0]).toMatchObject({ receivedMs: startMs + 1, tenantId: 'acme' });
    expect(backlog).toMatchObject({ full: false, complete: true, waitingSinceMs: startMs + 1 });
    expect(backlog.spoolKeys(1)).toEqual([first]);
  });

  it('deletes, and does not give, what is committed and came back after its delete', async () => {
    const source = new SpoolSource(store, 'traces', () => listedMs);
    const key = spool(startMs, ['a']);
    await source.adopt({ spoolKeys: [key] } as unknown as Commit, {});
    spool(startMs, ['a']);
    expect((await source.look(anything, {})).count).toBe(0);
    expect(objects.size).toBe(0);
  });

  it('gives only what is of its signal', async () => {
    const { key, body } = spoolObject(topics.logs, startMs, 'r', []);
    objects.set(key, body);
    expect((await look()).count).toBe(0);
    const logs = await new SpoolSource(store, 'logs', () => listedMs).look(anything, {});
    expect(logs.spoolKeys(9)).toEqual([key]);
  });

  it('stops at the bounds of a flush, with one object at least', async () => {
    for (let ms = 0; ms < 10; ms += 1) spool(startMs + ms, ['a']);
    expect(await look({ bytesMax: 1e9, recordsMax: 3 })).toMatchObject({ count: 3, full: true });
    expect(await look({ bytesMax: 1, recordsMax: 1e9 })).toMatchObject({ count: 1, full: true });
  });

  it('reads no more pages of a long backlog than it needs', async () => {
    for (let ms = 0; ms < 5000; ms += 1)
      objects.set(`${archiveSpoolPrefix(topic)}${ms}`, Uint8Array.of(1));
    await look({ bytesMax: 1e9, recordsMax: 1500 });
    expect(store.operations.filter((operation) => operation.startsWith('list'))).toHaveLength(2);
  });
});

describe('SpoolBacklog.watermarkAfter()', () => {
  it('is the time of the oldest request left behind', async () => {
    for (const ms of [1, 2, 3]) spool(startMs + ms, ['a']);
    const backlog = await look();
    expect(backlog.watermarkAfter(0)).toBe(startMs + 1);
    expect(backlog.watermarkAfter(2)).toBe(startMs + 3);
  });

  it('leaves time for requests on their way when nothing is left behind', async () => {
    spool(listedMs - 1, ['a']);
    const backlog = await look();
    expect(backlog.watermarkAfter(1)).toBe(listedMs - spoolVisibleMsMax);
    expect(backlog.watermarkAfter(0)).toBe(listedMs - spoolVisibleMsMax);
  });

  it('vouches for nothing behind a listing that was cut', async () => {
    for (const ms of [1, 2, 2, 3]) spool(startMs + ms, ['a']);
    const cut = await look({ bytesMax: 1e9, recordsMax: 2 });
    expect(cut.watermarkAfter(2)).toBe(startMs + 2);
  });

  it('takes a stray object to be as old as the one before it', async () => {
    objects.set(`${archiveSpoolPrefix(topic)}stray`, Uint8Array.of(1));
    spool(startMs, ['a']);
    const backlog = await look({ bytesMax: 1e9, recordsMax: 2 });
    expect(backlog.entries[1]).toMatchObject({ tenantId: undefined, receivedMs: startMs });
    expect(backlog.watermarkAfter(2)).toBe(startMs);
  });
});

describe('SpoolBacklog.records()', () => {
  it('gives each request the next offset, in order', async () => {
    const keys = [1, 2, 3].map((ms) => spool(startMs + ms, ['a']));
    const records = await all((await look()).records(100n, {}));
    expect(records.map((record) => record?.name)).toEqual(keys);
    expect(records.map((record) => record?.offset)).toEqual([100n, 101n, 102n]);
    expect(records[0]).toMatchObject({ tenantId: 'acme', origin: { key: keys[0] } });
    expect(records[0]?.request).toEqual(objects.get(keys[0] ?? ''));
  });

  it('gives undefined for an object that another archiver has deleted', async () => {
    const [first] = [0, 1].map((ms) => spool(startMs + ms, ['a']));
    const backlog = await look();
    objects.delete(first ?? '');
    const [record] = await all(backlog.records(0n, {}));
    expect(record).toBeUndefined();
  });

  it('reads at most objectGetsMax objects at once', async () => {
    for (let ms = 0; ms < 3 * objectGetsMax; ms += 1) spool(startMs + ms, ['a']);
    const backlog = await look();
    let [running, most] = [0, 0];
    const get = store.get.bind(store);
    store.get = async (key, getOptions) => {
      running += 1;
      most = Math.max(most, running);
      const bytes = await get(key, getOptions);
      running -= 1;
      return bytes;
    };
    await all(backlog.records(0n, {}));
    expect(most).toBe(objectGetsMax);
  });
});
