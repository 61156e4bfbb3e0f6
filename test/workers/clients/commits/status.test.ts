/** What `tidemark status` reads of a real bucket: spools, dead letters, and the periods of a range. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  archiveSpoolPrefix,
  deadPrefix,
  fileKey,
  spoolName,
  speedDeadPrefix,
  topics,
} from '../../../../schemas/archive.ts';
import { commitKey } from '../../../../schemas/commit.ts';
import type { Commit, CommitFile } from '../../../../schemas/commit.ts';
import { listPageKeys } from '../../../../schemas/limits.ts';
import {
  archiveStatus,
  countDead,
  readPeriods,
} from '../../../../workers/clients/commits/status.ts';
import { keysUnder } from '../../../support/committed.ts';
import { CountingStore, startBucket } from '../../../support/objects.ts';
import type { Bucket } from '../../../support/objects.ts';

const topic = topics.traces;
const hour = 3_600_000;
const day = Date.UTC(2026, 10, 21);

let bucket: Bucket;
let store: CountingStore;

beforeAll(async () => {
  bucket = await startBucket();
  store = new CountingStore(bucket.store);
});

beforeEach(async () => {
  await bucket.store.delete(await keysUnder(bucket.store, ''));
  store.reset();
});

afterAll(async () => bucket.close());

/** A commit of offsets [first, first + 10) with its files; the files are stored as well. */
async function commit(
  firstOffset: number,
  files: readonly (Partial<CommitFile> & { hourMs: number })[],
  partition = 'spool',
): Promise<void> {
  const named = files.map((file, index): CommitFile => {
    const parts = { topic, partition, firstOffset: BigInt(firstOffset), attempt: `a${index}` };
    return {
      key: fileKey('traces', file.hourMs, parts),
      bytes: 3,
      rows: 10,
      timeMinNs: '1',
      timeMaxNs: '2',
      quarantined: false,
      rowGroups: [{ rows: file.rows ?? 10, idMin: '0'.repeat(32), idMax: 'f'.repeat(32) }],
      ...file,
    };
  });
  const body: Commit = {
    version: 1,
    topic,
    partition,
    firstOffset: String(firstOffset),
    nextOffset: String(firstOffset + 10),
    rows: named.reduce((sum, { rows }) => sum + rows, 0),
    rejected: {},
    files: named,
    watermarkMs: day + 5 * hour,
    ingestedMaxMs: 0,
    spoolKeys: [],
    writer: 'test',
    committedAt: '2026-11-21T05:00:00.000Z',
    codeVersion: 'test',
  };
  for (const { key } of named) await bucket.store.put(key, 'xyz');
  const key = commitKey(topic, partition, BigInt(firstOffset));
  await bucket.store.put(key, JSON.stringify(body));
}

describe('archiveStatus()', () => {
  it('counts partitions and what waits in the spool', async () => {
    await commit(0, [{ hourMs: day }]);
    for (const receivedMs of [day + 2000, day + 1000]) {
      const name = spoolName({ receivedMs, requestId: `r${receivedMs}`, tenantId: 'acme' });
      await bucket.store.put(`${archiveSpoolPrefix(topic)}${name}`, 'xyz');
    }
    const status = await archiveStatus(store);
    expect(status.partitions).toMatchObject([
      { topic, partition: 'spool', nextOffset: '10', seenMs: day + 5 * hour },
    ]);
    const spool = status.spools.find((state) => state.topic === topic);
    expect(spool).toEqual({ topic, objects: 2, bytes: 6, oldestMs: day + 1000, more: false });
  });

  it('reads on behind a partition whose newest commit is damaged, and says which', async () => {
    await commit(0, [{ hourMs: day }]);
    const key = commitKey(topic, '7', 0n);
    await bucket.store.put(key, 'garbage{');
    const { partitions, unreadable } = await archiveStatus(store);
    expect(partitions.map(({ partition }) => partition)).toEqual(['spool']);
    const fault = `Cannot read commit "${key}": it is no JSON`;
    expect(unreadable).toEqual([{ topic, partition: '7', fault }]);
  });
});

describe('countDead()', () => {
  it('counts requests and rows set aside, not the reasons beside them', async () => {
    for (const name of ['3+0000000000000000007', '3+0000000000000000009']) {
      await bucket.store.put(`${deadPrefix(topic)}${name}`, 'x');
      await bucket.store.put(`${deadPrefix(topic)}${name}.json`, '{}');
    }
    await bucket.store.put(`${speedDeadPrefix('otel_logs')}1`, 'x');
    await bucket.store.put(`${speedDeadPrefix('otel_logs')}1.json`, '{}');
    const dead = await countDead(store);
    expect(dead.map(({ name, objects, more }) => [name, objects, more])).toEqual([
      [topics.traces, 2, false],
      [topics.metrics, 0, false],
      [topics.logs, 0, false],
      ['speed', 1, false],
    ]);
    expect(store.total).toBe(4);
  });

  it('reads a bounded number of pages, and says that there are more', async () => {
    let pages = 0;
    const endless = Object.assign(Object.create(store) as CountingStore, {
      async *list() {
        for (;;) {
          pages += 1;
          yield Array.from({ length: listPageKeys }, () => ({ key: '_dead/x', bytes: 1 }));
          await Promise.resolve();
        }
      },
    });
    const dead = await countDead(endless);
    expect(dead.map(({ objects, more }) => [objects, more])).toEqual(
      Array.from({ length: 4 }, () => [20_000, true]),
    );
    // One more than is counted tells that there are more.
    expect(pages).toBe(4 * 21);
  });
});

describe('readPeriods()', () => {
  it('adds up files, rows and bytes by hour, empty hours too', async () => {
    await commit(0, [{ hourMs: day, rows: 4 }, { hourMs: day + 2 * hour }]);
    await commit(10, [{ hourMs: day + 2 * hour, rows: 7, quarantined: true, bytes: 50 }]);
    await commit(0, [{ hourMs: day + 3 * hour }], '1');
    store.reset();
    const range = { fromMs: day, toMs: day + 3 * hour, periodMs: hour };
    const { periods, partitions } = await readPeriods(store, 'traces', range);
    const signal = 'traces';
    const of = (index: number) => ({
      signal,
      fromMs: day + index * hour,
      toMs: day + (index + 1) * hour,
    });
    expect(periods).toEqual([
      { ...of(0), files: 1, rows: 4, bytes: 3, quarantinedRows: 0 },
      { ...of(1), files: 0, rows: 0, bytes: 0, quarantinedRows: 0 },
      { ...of(2), files: 2, rows: 17, bytes: 53, quarantinedRows: 7 },
    ]);
    expect(partitions.map(({ partition }) => partition)).toEqual(['1', 'spool']);
  });

  it('adds up whole days, the last one cut at the end of the range', async () => {
    await commit(0, [{ hourMs: day + hour }, { hourMs: day + 25 * hour }]);
    const range = { fromMs: day, toMs: day + 30 * hour, periodMs: 24 * hour };
    const { periods } = await readPeriods(store, 'traces', range);
    expect(periods.map(({ fromMs, toMs, rows }) => [fromMs, toMs, rows])).toEqual([
      [day, day + 24 * hour, 10],
      [day + 24 * hour, day + 30 * hour, 10],
    ]);
  });
});
