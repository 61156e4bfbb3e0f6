import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fileKey, topics } from '../../../schemas/archive.ts';
import { outputKey } from '../../../schemas/replacement.ts';
import type { PeriodFile } from '../../../workers/clients/commits/archive.ts';
import {
  firstHour,
  readHour,
  replaceFiles,
  stateAfter,
  type Exchange,
  type HourState,
} from '../../../workers/compact/hour.ts';
import { startBucket, type Bucket } from '../../support/objects.ts';

const hourMs = Date.UTC(2026, 10, 22, 13);
const topic = topics.traces;
let bucket: Bucket;

beforeAll(async () => {
  bucket = await startBucket();
});
beforeEach(async () => {
  for await (const page of bucket.store.list('')) {
    await bucket.store.delete(page.map(({ key }) => key));
  }
});
afterAll(() => bucket.close());

function described(key: string, rows: number): PeriodFile {
  return {
    key,
    bytes: 3,
    rows,
    hourMs,
    timeMinNs: '1',
    timeMaxNs: '2',
    quarantined: false,
    rowGroups: [{ rows, idMin: '0'.repeat(32), idMax: 'f'.repeat(32) }],
    topic,
    partitions: ['0'],
  };
}

const parts = { topic, partition: '0', attempt: 'a' };
const inputs = [0n, 10n].map((firstOffset) =>
  described(fileKey('traces', hourMs, { ...parts, firstOffset }), 5),
);
const state: HourState = { signal: 'traces', hourMs, files: inputs, sequence: 0 };

async function exchange(attempt: string, rows = 10): Promise<Exchange> {
  const key = outputKey('traces', hourMs, { sequence: 1, attempt });
  const { topic: _, partitions: __, tenants: ___, ...own } = described(key, rows);
  await bucket.store.put(key, 'PAR');
  const fields = { writer: attempt, nowMs: hourMs, codeVersion: 'test' };
  return { reason: 'compaction', inputs, outputs: [own], ...fields };
}

describe('replaceFiles()', () => {
  it('is won by one; who loses leaves no file behind', async () => {
    const [ours, theirs] = [await exchange('ours'), await exchange('theirs')];
    expect(await replaceFiles(bucket.store, state, ours)).toBe(true);
    expect(await replaceFiles(bucket.store, state, theirs)).toBe(false);
    expect(await bucket.store.head(theirs.outputs[0]?.key ?? '')).toBeUndefined();
    const now = await readHour(bucket.store, 'traces', hourMs);
    const after = stateAfter(state, ours);
    expect(now.files).toEqual(after.files);
    expect(now.sequence).toBe(1);
  });

  it('stores nothing when rows do not add up', async () => {
    const short = await exchange('short', 9);
    const replaced = replaceFiles(bucket.store, state, short);
    await expect(replaced).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE' });
    expect(await bucket.store.head(short.outputs[0]?.key ?? '')).toBeUndefined();
    expect((await readHour(bucket.store, 'traces', hourMs)).sequence).toBe(0);
  });
});

describe('firstHour()', () => {
  it('is that of the oldest file, undefined without any', async () => {
    expect(await firstHour(bucket.store, 'traces')).toBeUndefined();
    for (const ms of [hourMs + 3_600_000, hourMs, hourMs + 40 * 86_400_000]) {
      await bucket.store.put(fileKey('traces', ms, { ...parts, firstOffset: 0n }), 'PAR');
    }
    expect(await firstHour(bucket.store, 'traces')).toBe(hourMs);
    expect(await firstHour(bucket.store, 'logs')).toBeUndefined();
  });
});
