/** The commit step: who wins, what is kept aside, and how an idle watermark is told. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseFileKey, topics } from '../../../schemas/archive.ts';
import { commitKey, parseCommit, watermarkKey } from '../../../schemas/commit.ts';
import type { Commit, CommitFile } from '../../../schemas/commit.ts';
import { DecodeError } from '../../../schemas/errors.ts';
import { archivePutsMax } from '../../../schemas/limits/archive.ts';
import { putCommit, putWatermark, storeDead, storeFiles } from '../../../workers/flush/commit.ts';
import type { PendingFile } from '../../../workers/flush/commit.ts';
import { keysUnder } from '../../support/committed.ts';
import { FaultyStore } from '../../support/faults.ts';
import { startBucket } from '../../support/objects.ts';
import type { Bucket } from '../../support/objects.ts';

const topic = topics.traces;
const hourMs = Date.UTC(2026, 10, 22, 13);
const attempt = { signal: 'traces', topic, partition: 'spool', firstOffset: 7n, id: 'a1' } as const;

let bucket: Bucket;

beforeAll(async () => {
  bucket = await startBucket();
});

beforeEach(async () => {
  await bucket.store.delete(await keysUnder(bucket.store, ''));
});

afterAll(async () => bucket.close());

function commitBy(writer: string): Commit {
  return {
    version: 1,
    topic,
    partition: 'spool',
    firstOffset: '7',
    nextOffset: '9',
    rows: 0,
    rejected: {},
    files: [],
    watermarkMs: hourMs,
    ingestedMaxMs: hourMs,
    spoolKeys: ['spool/archive/x', 'spool/archive/y'],
    writer,
    committedAt: new Date(hourMs).toISOString(),
    codeVersion: 'test',
  };
}

function pending(hour: number, quarantined = false): PendingFile {
  return {
    bytes: Uint8Array.of(1, 2, 3),
    rows: 2,
    hourMs: hour,
    quarantined,
    timeMinNs: 1n,
    timeMaxNs: 2n ** 63n - 1n,
    rowGroups: [{ rows: 2, idMin: '0'.repeat(32), idMax: 'f'.repeat(32) }],
  };
}

describe('putCommit()', () => {
  it('wins once for each first offset', async () => {
    const outcomes = await Promise.all(
      ['a', 'b', 'c'].map((writer) => putCommit(bucket.store, commitBy(writer), {})),
    );
    expect(outcomes.toSorted()).toEqual(['lost', 'lost', 'won']);
    const key = commitKey(topic, 'spool', 7n);
    const text = new TextDecoder().decode(await bucket.store.get(key));
    const winner = ['a', 'b', 'c'][outcomes.indexOf('won')];
    expect(parseCommit(key, text)).toEqual(commitBy(winner ?? ''));
  });

  it('has won when the commit that stands there is its own', async () => {
    expect(await putCommit(bucket.store, commitBy('a'), {})).toBe('won');
    expect(await putCommit(bucket.store, commitBy('a'), {})).toBe('won');
  });

  it('throws when it cannot know', async () => {
    const store = new FaultyStore(new Map(), 0, 'lost');
    const outcome = putCommit(store, commitBy('a'), {});
    await expect(outcome).rejects.toMatchObject({ code: 'OBJECT_STORE', retryable: true });
  });
});

describe('storeFiles()', () => {
  it('names files after their commit and attempt, the quarantined one of an hour apart', async () => {
    const stored: CommitFile[] = [];
    const files = [pending(hourMs), pending(hourMs, true), pending(hourMs + 3_600_000)];
    await (
      await storeFiles(bucket.store, attempt, files, stored, {})
    )();
    const parts = stored.map(({ key }) => parseFileKey(key));
    expect(parts.map((part) => part?.attempt)).toEqual(['a1', 'a1q', 'a1']);
    expect(parts[0]).toMatchObject({ topic, partition: 'spool', firstOffset: 7n });
    expect(stored[0]?.key).toContain('signal=traces/year=2026/month=11/day=22/hour=13/');
    expect(await keysUnder(bucket.store, 'signal=')).toEqual(
      stored.map(({ key }) => key).toSorted(),
    );
    const commit = { ...commitBy('a'), files: stored };
    expect(parseCommit('key', JSON.stringify(commit))).toEqual(commit);
  });

  it('holds at most archivePutsMax files in memory', async () => {
    let [made, most] = [0, 0];
    const objects = new Map<string, Uint8Array>();
    function* files() {
      for (let hour = 0; hour < 3 * archivePutsMax; hour += 1) {
        made += 1;
        most = Math.max(most, made - objects.size);
        yield pending(hourMs + hour * 3_600_000);
      }
    }
    await (
      await storeFiles(new FaultyStore(objects), attempt, files(), [], {})
    )();
    expect(most).toBe(archivePutsMax);
    expect(objects.size).toBe(3 * archivePutsMax);
  });
});

describe('storeDead()', () => {
  it('keeps the bytes, and the reason beside them', async () => {
    const request = Uint8Array.of(0x0a, 0xff);
    const error = new DecodeError('Cannot decode: cut off', 1);
    const key = 'spool/archive/otlp_spans/1795352400000+r1+acme';
    const letter = { name: key, origin: { key }, request, error };
    await storeDead(bucket.store, topic, [letter], {});
    const name = '_dead/otlp_spans/1795352400000+r1+acme';
    expect(await bucket.store.get(name)).toEqual(request);
    const reason = new TextDecoder().decode(await bucket.store.get(`${name}.json`));
    expect(JSON.parse(reason)).toEqual({
      key,
      code: 'BAD_OTLP',
      message: 'Cannot decode: cut off',
      byteOffset: 1,
      bytes: 2,
    });
  });
});

describe('putWatermark()', () => {
  it('leaves the greatest of all that were ever put', async () => {
    for (const ms of [5, 9, 7]) await putWatermark(bucket.store, topic, 'spool', hourMs + ms, {});
    const keys = await keysUnder(bucket.store, '_watermarks/');
    expect(keys).toEqual([watermarkKey(topic, 'spool', hourMs + 9)]);
  });
});
