/** The sweeper on a real bucket: what it deletes, what it never touches, and whose clock it goes by. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fileKey, hourPrefix, topics } from '../../schemas/archive.ts';
import { commitKey } from '../../schemas/commit.ts';
import type { Commit, CommitFile } from '../../schemas/commit.ts';
import { outputKey, parseReplacement, replacementKey } from '../../schemas/replacement.ts';
import type { Replacement } from '../../schemas/replacement.ts';
import { listLiveFiles } from '../../workers/clients/commits/archive.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { sweep } from '../../workers/sweep.ts';
import type { SweepOptions } from '../../workers/sweep.ts';
import { keysUnder } from '../support/committed.ts';
import { startBucket } from '../support/objects.ts';
import type { Bucket } from '../support/objects.ts';

const topic = topics.traces;
const hour = 3_600_000;
const hourMs = Date.UTC(2026, 10, 22, 13);

let bucket: Bucket;
let store: ObjectStore;
let warnings: object[];

beforeAll(async () => {
  bucket = await startBucket();
  ({ store } = bucket);
});

beforeEach(async () => {
  warnings = [];
  await store.delete(await keysUnder(store, ''));
});

afterAll(async () => bucket.close());

function fileOf(firstOffset: bigint, attempt: string, hours = 0): CommitFile {
  const start = hourMs + hours * hour;
  return {
    key: fileKey('traces', start, { topic, partition: '0', firstOffset, attempt }),
    bytes: 3,
    rows: 10,
    hourMs: start,
    timeMinNs: '1',
    timeMaxNs: '2',
    quarantined: false,
    rowGroups: [{ rows: 10, idMin: '0'.repeat(32), idMax: 'f'.repeat(32) }],
  };
}

/** Stores the files, and the commit of [first, first + 10) that names them. */
async function commit(firstOffset: bigint, files: readonly CommitFile[]): Promise<void> {
  const body: Commit = {
    version: 1,
    topic,
    partition: '0',
    firstOffset: String(firstOffset),
    nextOffset: String(firstOffset + 10n),
    rows: 10 * files.length,
    rejected: {},
    files: [...files],
    watermarkMs: hourMs,
    ingestedMaxMs: hourMs,
    spoolKeys: [],
    writer: 'test',
    committedAt: new Date(hourMs).toISOString(),
    codeVersion: 'test',
  };
  for (const { key } of files) await store.put(key, 'PAR');
  await store.put(commitKey(topic, '0', firstOffset), JSON.stringify(body));
}

async function putFile({ key }: { readonly key: string }): Promise<string> {
  await store.put(key, 'orphan');
  return key;
}

/** An output of a replacement of the first hour, not stored yet. */
function outputOf(sequence: number, attempt: string, rows: number): CommitFile {
  const key = outputKey('traces', hourMs, { sequence, attempt });
  const rowGroups = [{ rows, idMin: '0'.repeat(32), idMax: 'f'.repeat(32) }];
  return { ...fileOf(0n, 'x'), key, rows, rowGroups };
}

async function replace(
  sequence: number,
  before: readonly CommitFile[],
  after: readonly CommitFile[],
): Promise<void> {
  const body: Replacement = {
    version: 1,
    signal: 'traces',
    hourMs,
    sequence,
    reason: 'compaction',
    inputs: before.map(({ key, rows, bytes }) => ({ key, rows, bytes })),
    outputs: [...after],
    writer: 'test',
    // Of a compactor whose clock is far off: nothing may depend on it.
    replacedAt: new Date(0).toISOString(),
    codeVersion: 'test',
  };
  for (const { key } of after) await store.put(key, 'PAR');
  await store.put(replacementKey('traces', hourMs, sequence), JSON.stringify(body));
}

function sweepNow(options: Partial<SweepOptions> = {}) {
  return sweep({
    store,
    graceMs: -2000,
    dryRun: false,
    name: `s${Math.random()}`,
    codeVersion: 'test',
    log: {
      info: () => undefined,
      warn: (fields) => warnings.push(fields),
      debug: () => undefined,
    },
    ...options,
  });
}

describe('sweep()', () => {
  it('deletes files whose commit exists and does not name them, and no others', async () => {
    const good = [fileOf(0n, 'good'), fileOf(0n, 'good', 1)];
    const next = [fileOf(10n, 'next')];
    await commit(0n, good);
    await commit(10n, next);
    await putFile(fileOf(0n, 'lost'));
    await putFile(fileOf(10n, 'killed', 5));
    const sleeping = await putFile(fileOf(20n, 'sleeping'));
    const report = await sweepNow();
    expect(report.deleted).toEqual({ files: 2, bytes: 12 });
    expect(report).toMatchObject({
      found: { live: { files: 3, bytes: 9 }, pending: { files: 1, bytes: 6 } },
      hours: 3,
      complete: true,
    });
    const left = [...good, ...next].map(({ key }) => key);
    expect(await keysUnder(store, 'signal=')).toEqual([...left, sleeping].toSorted());
    expect((await sweepNow()).deleted).toEqual({ files: 0, bytes: 0 });
    expect(warnings).toEqual([]);
    expect(await keysUnder(store, '_sweep/')).toEqual([]);
  });

  it('leaves what is younger than the grace time by the clock of the store', async () => {
    const [good, merged] = [[fileOf(0n, 'good')], [outputOf(1, 'a', 10)]];
    await commit(0n, good);
    await replace(1, good, merged);
    await putFile(fileOf(0n, 'lost'));
    const report = await sweepNow({ graceMs: hour });
    expect(report.found).toMatchObject({ young: { files: 2 }, live: { files: 1 } });
    expect(await keysUnder(store, 'signal=')).toHaveLength(3);
  });

  it('deletes nothing in a dry run, and says what it would', async () => {
    await commit(0n, [fileOf(0n, 'good')]);
    await putFile(fileOf(0n, 'lost'));
    await putFile(outputOf(1, 'killed', 10));
    const keys = await keysUnder(store, '');
    const report = await sweepNow({ dryRun: true });
    expect(report.found).toMatchObject({ orphan: { files: 1 }, abandoned: { files: 1 } });
    expect(report.deleted).toEqual({ files: 0, bytes: 0 });
    expect(await keysUnder(store, '')).toEqual(keys);
  });

  it('deletes what was replaced, step by step, and the outputs of replacements that lost', async () => {
    const [one, two, three] = [fileOf(0n, 'a'), fileOf(10n, 'b'), fileOf(20n, 'c')];
    for (const [index, file] of [one, two, three].entries()) {
      await commit(BigInt(10 * index), [file]);
    }
    const [first, second] = [outputOf(1, 'first', 20), outputOf(2, 'second', 30)];
    await replace(1, [one, two], [first]);
    await putFile(outputOf(1, 'lost', 20));
    await replace(2, [first, three], [second]);
    const before = await listLiveFiles(store, 'traces', hourMs, hourMs + hour);
    const report = await sweepNow();
    expect(report.found).toMatchObject({ replaced: { files: 4 }, orphan: { files: 1 } });
    expect(await keysUnder(store, 'signal=')).toEqual([second.key]);
    const after = await listLiveFiles(store, 'traces', hourMs, hourMs + hour);
    expect(after.files).toEqual(before.files);
    expect(await keysUnder(store, '_replacements/')).toHaveLength(2);
  });

  it('keeps what was replaced by something that is not there, and says so', async () => {
    const good = fileOf(0n, 'good');
    await commit(0n, [good]);
    const merged = outputOf(1, 'gone', 10);
    await replace(1, [good], [merged]);
    await store.delete([merged.key]);
    const report = await sweepNow();
    expect(report.found).toMatchObject({ unexplained: { files: 1 } });
    expect(await keysUnder(store, 'signal=')).toEqual([good.key]);
    expect(warnings).toMatchObject([{ key: good.key }]);
  });

  it('takes the number of a replacement that was given up, so that its files can go', async () => {
    await commit(0n, [fileOf(0n, 'good')]);
    await putFile(outputOf(1, 'killed', 10));
    const report = await sweepNow();
    expect(report).toMatchObject({ found: { abandoned: { files: 1 } }, deleted: { files: 1 } });
    const key = replacementKey('traces', hourMs, 1);
    const text = new TextDecoder().decode(await store.get(key));
    expect(parseReplacement(key, text)).toMatchObject({ reason: 'void', sequence: 1 });
    const { files } = await listLiveFiles(store, 'traces', hourMs, hourMs + hour);
    expect(files.map(({ rows }) => rows)).toEqual([10]);
  });

  it('keeps files of a log that went on without their commit, and files that are not ours', async () => {
    await commit(0n, []);
    await commit(10n, []);
    const strange = await putFile(fileOf(5n, 'strange'));
    const foreign = `${hourPrefix('traces', hourMs)}notes.txt`;
    await store.put(foreign, 'mine');
    const report = await sweepNow();
    expect(report.found).toMatchObject({ unexplained: { files: 1 }, foreign: { files: 1 } });
    expect(await keysUnder(store, 'signal=')).toEqual([foreign, strange].toSorted());
  });

  it('looks only at the signals and hours that it is told', async () => {
    await commit(0n, []);
    const keys = [0, 1, 2].map((at) => fileOf(0n, 'lost', at));
    for (const file of keys) await putFile(file);
    await sweepNow({ signals: ['logs'] });
    expect(await keysUnder(store, 'signal=')).toHaveLength(3);
    await sweepNow({ fromHourMs: hourMs + hour, toHourMs: hourMs + 2 * hour });
    expect(await keysUnder(store, 'signal=')).toEqual([keys[0]?.key, keys[2]?.key]);
  });

  it('may run several times at once', async () => {
    await commit(0n, [fileOf(0n, 'good')]);
    for (let at = 0; at < 20; at += 1) await putFile(fileOf(0n, `lost${at}`, at % 5));
    await putFile(outputOf(1, 'killed', 10));
    await Promise.all([sweepNow(), sweepNow(), sweepNow()]);
    await sweepNow();
    expect(await keysUnder(store, 'signal=')).toEqual([fileOf(0n, 'good').key]);
  });

  it('ends early when it is told to, and can be run again', async () => {
    await commit(0n, []);
    for (const at of [0, 1, 2]) await putFile(fileOf(0n, 'lost', at));
    const stop = new AbortController();
    const stopped = await sweepNow({ signal: stop.signal, onProgress: () => stop.abort() });
    expect(stopped).toMatchObject({ complete: false, deleted: { files: 1 } });
    expect(await sweepNow()).toMatchObject({ complete: true, deleted: { files: 2 } });
  });

  it('refuses a store that does not say when objects were stored', async () => {
    const timeless = {
      ...store,
      put: store.put.bind(store),
      delete: store.delete.bind(store),
      async *list(prefix: string) {
        for await (const page of store.list(prefix)) {
          yield page.map(({ key, bytes }) => ({ key, bytes }));
        }
      },
    } as ObjectStore;
    await expect(sweepNow({ store: timeless })).rejects.toMatchObject({
      code: 'UNSUPPORTED_STORE',
    });
  });
});
