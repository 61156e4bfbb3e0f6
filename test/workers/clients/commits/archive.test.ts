/** Reading the commit log from a real bucket: what is seen, and what it costs in requests. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fileKey, hourPrefix, topics } from '../../../../schemas/archive.ts';
import { commitKey, watermarkKey } from '../../../../schemas/commit.ts';
import type { Commit, CommitFile } from '../../../../schemas/commit.ts';
import {
  listPeriodFiles,
  readHead,
  readPartition,
} from '../../../../workers/clients/commits/archive.ts';
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
  for await (const page of bucket.store.list('')) {
    await bucket.store.delete(page.map(({ key }) => key));
  }
  store.reset();
});

afterAll(async () => bucket.close());

function fileOf(firstOffset: bigint, hourMs: number, attempt = 'a1', partition = 'spool') {
  const file: CommitFile = {
    key: fileKey('traces', hourMs, { topic, partition, firstOffset, attempt }),
    bytes: 3,
    rows: 10,
    hourMs,
    timeMinNs: '1',
    timeMaxNs: '2',
    quarantined: false,
    rowGroups: [{ rows: 10, idMin: '0'.repeat(32), idMax: 'f'.repeat(32) }],
  };
  return file;
}

async function commit(firstOffset: bigint, files: CommitFile[], fields: Partial<Commit> = {}) {
  const body: Commit = {
    version: 1,
    topic,
    partition: 'spool',
    firstOffset: String(firstOffset),
    nextOffset: String(firstOffset + 10n),
    rows: 10,
    rejected: {},
    files,
    watermarkMs: day,
    ingestedMaxMs: day,
    spoolKeys: [],
    writer: 'test',
    committedAt: new Date(day).toISOString(),
    codeVersion: '0.0.0',
    ...fields,
  };
  for (const { key } of files) await bucket.store.put(key, 'PAR');
  const key = commitKey(topic, body.partition, firstOffset);
  await bucket.store.put(key, JSON.stringify(body));
  return { key, body };
}

describe('readHead()', () => {
  it('is undefined before the first commit', async () => {
    expect(await readHead(store, topic, 'spool')).toBeUndefined();
  });

  it('finds the newest of many commits with one listing and one read', async () => {
    for (const first of [0n, 10n, 20n, 100n, 1000n]) await commit(first, []);
    const other = await commit(5000n, [], { partition: '7' });
    const head = await readHead(store, topic, 'spool');
    expect(head?.firstOffset).toBe('1000');
    expect(store.requests).toMatchObject({ list: 1, get: 1 });
    expect(await readHead(store, topic, '7')).toEqual(other.body);
  });

  it('throws CORRUPT_ARCHIVE for a commit that is none', async () => {
    await bucket.store.put(commitKey(topic, 'spool', 0n), '{"version":2}');
    const head = readHead(store, topic, 'spool');
    await expect(head).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE', retryable: false });
  });
});

describe('readPartition()', () => {
  it('takes the later of the newest commit and the greatest watermark object', async () => {
    await commit(0n, [], { watermarkMs: day + 5 });
    expect(await readPartition(store, topic, 'spool')).toMatchObject({ watermarkMs: day + 5 });
    await bucket.store.put(watermarkKey(topic, 'spool', day + 900), '{}');
    await bucket.store.put(watermarkKey(topic, 'spool', day + 70), '{}');
    const state = await readPartition(store, topic, 'spool');
    expect(state).toMatchObject({ watermarkMs: day + 900, nextOffset: '10' });
  });

  it('knows a partition that has nothing but a watermark', async () => {
    await bucket.store.put(watermarkKey(topic, 'spool', day), '{}');
    const state = await readPartition(store, topic, 'spool');
    expect(state).toMatchObject({ watermarkMs: day, nextOffset: '0', head: undefined });
  });
});

describe('listPeriodFiles()', () => {
  it('gives the committed files of the period and of no other hour', async () => {
    const before = fileOf(0n, day - hour);
    const first = fileOf(0n, day);
    const last = fileOf(10n, day + 23 * hour);
    const after = fileOf(10n, day + 24 * hour);
    await commit(0n, [before, first]);
    await commit(10n, [last, after]);
    const period = await listPeriodFiles(store, 'traces', day, day + 24 * hour);
    expect(period.files.map(({ key }) => key)).toEqual([first.key, last.key]);
    expect(period.files[0]).toMatchObject({ topic, partitions: ['spool'], rows: 10 });
    expect(period.commitKeys).toEqual(
      [0n, 10n].map((offset) => commitKey(topic, 'spool', offset)).toSorted(),
    );
  });

  it('does not see files of a killed attempt, committed by another or by nobody', async () => {
    const good = fileOf(0n, day, 'good');
    const lost = fileOf(0n, day, 'lost');
    const killed = fileOf(10n, day, 'killed');
    await commit(0n, [good]);
    for (const { key } of [lost, killed]) await bucket.store.put(key, 'PAR');
    await bucket.store.put(`${hourPrefix('traces', day)}notes.txt`, 'none of ours');
    const period = await listPeriodFiles(store, 'traces', day, day + hour);
    expect(period.files.map(({ key }) => key)).toEqual([good.key]);
  });

  it('inputHash stays while the input does, and changes with a late file', async () => {
    await commit(0n, [fileOf(0n, day)]);
    const once = await listPeriodFiles(store, 'traces', day, day + hour);
    await commit(10n, [fileOf(10n, day + hour)]);
    await bucket.store.put(fileOf(30n, day, 'orphan').key, 'PAR');
    const again = await listPeriodFiles(store, 'traces', day, day + hour);
    expect(again.inputHash).toBe(once.inputHash);
    await commit(20n, [fileOf(20n, day)]);
    const late = await listPeriodFiles(store, 'traces', day, day + hour);
    expect(late.inputHash).not.toBe(once.inputHash);
  });

  it('costs requests by what the period holds, not by the length of history', async () => {
    for (let offset = 0n; offset < 300n; offset += 10n) {
      await commit(offset, [fileOf(offset, day - Number(offset) * hour)]);
    }
    await commit(300n, [fileOf(300n, day + hour), fileOf(300n, day + 2 * hour)]);
    store.reset();
    const period = await listPeriodFiles(store, 'traces', day + hour, day + 24 * hour);
    expect(period.files).toHaveLength(2);
    // Two listings for partitions, two and a read for the one partition, one listing of the
    // period and one of its replacements, and the one commit that its two files name.
    expect(store.requests).toEqual({ list: 6, get: 2, head: 0, put: 0, delete: 0 });
  });

  it('has the least watermark of all partitions, 0 when nothing was ever archived', async () => {
    expect((await listPeriodFiles(store, 'traces', day, day + hour)).watermarkMs).toBe(0);
    await commit(0n, [fileOf(0n, day)], { watermarkMs: day + 2 * hour });
    await commit(0n, [], { partition: '3', watermarkMs: day + hour });
    const period = await listPeriodFiles(store, 'traces', day, day + hour);
    expect(period.watermarkMs).toBe(day + hour);
    expect(period.partitions.map(({ partition }) => partition)).toEqual(['3', 'spool']);
  });
});
