/** Replacements in a real bucket, as readers of a period see them, and what that costs. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fileKey, hourPrefix, topics } from '../../../../schemas/archive.ts';
import { commitKey } from '../../../../schemas/commit.ts';
import type { Commit, CommitFile } from '../../../../schemas/commit.ts';
import { outputKey, replacementKey, type Replacement } from '../../../../schemas/replacement.ts';
import { listLiveFiles } from '../../../../workers/clients/commits/archive.ts';
import { listReplacements, traceLineage } from '../../../../workers/clients/commits/replacement.ts';
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

function described(key: string, hourMs: number, rows = 10): CommitFile {
  return {
    key,
    bytes: 3,
    rows,
    hourMs,
    timeMinNs: '1',
    timeMaxNs: '2',
    quarantined: false,
    rowGroups: [{ rows, idMin: '0'.repeat(32), idMax: 'f'.repeat(32) }],
  };
}

async function commit(firstOffset: bigint, hours: readonly number[], partition = '0') {
  const files = hours.map((hourMs) =>
    described(fileKey('traces', hourMs, { topic, partition, firstOffset, attempt: 'a1' }), hourMs),
  );
  const body: Commit = {
    version: 1,
    topic,
    partition,
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
  };
  for (const { key } of files) await bucket.store.put(key, 'PAR');
  await bucket.store.put(commitKey(topic, partition, firstOffset), JSON.stringify(body));
  return files;
}

function replacementOf(
  sequence: number,
  inputs: readonly CommitFile[],
  fields: Partial<Replacement> = {},
): Replacement {
  const hourMs = inputs[0]?.hourMs ?? day;
  const rows = inputs.reduce((sum, file) => sum + file.rows, 0);
  const key = outputKey('traces', hourMs, { sequence, attempt: `b${sequence}-0` });
  return {
    version: 1,
    signal: 'traces',
    hourMs,
    sequence,
    reason: 'compaction',
    inputs: inputs.map((file) => ({ key: file.key, rows: file.rows, bytes: file.bytes })),
    outputs: rows > 0 ? [{ ...described(key, hourMs, rows), tenants: ['acme'] }] : [],
    writer: 'test',
    replacedAt: new Date(day).toISOString(),
    codeVersion: '0.0.0',
    ...fields,
  };
}

async function replace(replacement: Replacement): Promise<CommitFile[]> {
  const { signal, hourMs, sequence, outputs } = replacement;
  for (const { key } of outputs) await bucket.store.put(key, 'PAR');
  const key = replacementKey(signal, hourMs, sequence);
  await bucket.store.put(key, JSON.stringify(replacement));
  return outputs;
}

function live(fromMs = day, toMs = day + 24 * hour) {
  return listLiveFiles(store, 'traces', fromMs, toMs);
}

describe('listLiveFiles()', () => {
  it('sees outputs in the place of inputs, also of replacements of replacements', async () => {
    const first = await commit(0n, [day, day + hour]);
    const second = await commit(0n, [day], '1');
    const before = await live();
    const [a, other] = first;
    const [b] = second;
    if (!a || !b || !other) throw new Error('no files');
    const [merged] = await replace(replacementOf(1, [a, b]));
    const late = await commit(10n, [day], '2');
    if (!merged || !late[0]) throw new Error('no output');
    const middle = await live();
    expect(middle.files.map(({ key }) => key)).toEqual(
      [late[0].key, merged.key, other.key].toSorted(),
    );
    expect(middle.files.find(({ key }) => key === merged.key)).toMatchObject({
      partitions: ['0', '1'],
      tenants: ['acme'],
      topic,
    });
    const [again] = await replace(replacementOf(2, [merged, late[0]]));
    const after = await live();
    expect(after.files.map(({ key }) => key)).toEqual([again?.key ?? '', other.key].toSorted());
    expect(after.files.find(({ key }) => key === again?.key)?.partitions).toEqual(['0', '1', '2']);
    expect(after.inputHash).toBe(middle.inputHash);
    expect(after.commitKeys).toHaveLength(3);
    expect(before.inputHash).not.toBe(after.inputHash);
    // With the replaced files gone, nothing changes for readers.
    await bucket.store.delete([a.key, b.key, merged.key, late[0].key]);
    expect(await live()).toEqual(after);
  });

  it('keeps what a commit has in hours that were not replaced, and does not see void ones', async () => {
    const [a, b] = await commit(0n, [day, day + hour]);
    if (!a || !b) throw new Error('no files');
    await replace(replacementOf(1, [], { reason: 'void', outputs: [] }));
    await replace(replacementOf(2, [a], { reason: 'retention', outputs: [] }));
    const period = await live();
    expect(period).toMatchObject({ rowsRemoved: 10, files: [{ key: b.key }] });
    expect(period.replacements.map(({ reason }) => reason)).toEqual(['void', 'retention']);
    expect(await live(day + hour)).toMatchObject({ rowsRemoved: 0, replacements: [] });
  });

  it('does not see an output that no replacement names', async () => {
    await commit(0n, [day]);
    const before = await live();
    const orphan = outputKey('traces', day, { sequence: 1, attempt: 'zz-0' });
    await bucket.store.put(orphan, 'PAR');
    expect(await live()).toEqual(before);
  });

  it('costs what the period has: no commit is read of which all is replaced', async () => {
    for (let index = 0; index < 12; index += 1) {
      const files = await commit(BigInt(index * 10), [day, day - hour, day + 24 * hour]);
      const own = files.filter(({ hourMs }) => hourMs === day);
      await replace(replacementOf(index + 1, own));
      await replace(
        replacementOf(index + 1, files.filter((file) => file.hourMs !== day).slice(0, 1)),
      );
    }
    store.reset();
    const period = await live();
    expect(period.files).toHaveLength(12);
    // One listing of files, one of replacements, and the 12 replacements of the day.
    expect(store.requests).toEqual({ list: 2, get: 12, head: 0, put: 0, delete: 0 });
  });
});

describe('listReplacements()', () => {
  it('throws CORRUPT_ARCHIVE when one of a row is missing', async () => {
    await replace(replacementOf(1, [], { reason: 'void', outputs: [] }));
    await replace(replacementOf(2, [], { reason: 'void', outputs: [] }));
    expect(await listReplacements(store, 'traces', day, day + hour)).toHaveLength(2);
    await bucket.store.delete([replacementKey('traces', day, 1)]);
    const listed = listReplacements(store, 'traces', day, day + hour);
    await expect(listed).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE' });
  });
});

describe('traceLineage()', () => {
  it('throws CORRUPT_ARCHIVE when a file was replaced twice', () => {
    const file = described(`${hourPrefix('traces', day)}t+0+${'0'.repeat(19)}+a.parquet`, day);
    const twice = [replacementOf(1, [file]), replacementOf(2, [file])];
    expect(() => traceLineage(twice)).toThrow(file.key);
  });
});
