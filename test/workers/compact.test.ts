/** Compaction of real archive files: equal content, whoever reads or compacts meanwhile. */
import { randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hourPrefix, type Signal } from '../../schemas/archive.ts';
import { parseOutputKey } from '../../schemas/replacement.ts';
import { readSettings } from '../../schemas/settings.ts';
import { listLiveFiles, type LiveFiles } from '../../workers/clients/commits/archive.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { runCompaction, type CompactOptions } from '../../workers/compact.ts';
import { rewriteFiles } from '../../workers/compact/rewrite.ts';
import { Rewriter } from '../../workers/compact/rewriter.ts';
import { receivedMs } from '../aggregator-as/generate.ts';
import { loadTranscoder } from '../aggregator-as/module.ts';
import { compareInDuckdb, sortedRows, archiveHours, withCopies } from '../support/hours.ts';
import { startBucket, type Bucket } from '../support/objects.ts';
import { seededRandom } from '../support/random.ts';

const hour = 3_600_000;
/** All that the generators make lies in these days. */
const fromMs = Math.floor(receivedMs / hour) * hour - 48 * hour;
const toMs = fromMs + 96 * hour;
const signals = ['traces', 'metrics', 'logs'] as const;
const seed = 20_261_122;

let bucket: Bucket;
let store: ObjectStore;
let module: WebAssembly.Module;

beforeAll(async () => {
  console.info(`seed ${seed}`);
  bucket = await startBucket();
  store = bucket.store;
  module = await loadTranscoder();
});

beforeEach(async () => {
  for await (const page of store.list('')) await store.delete(page.map(({ key }) => key));
});

afterAll(async () => bucket.close());

function optionsOf(fields: Partial<CompactOptions> = {}): CompactOptions {
  const own = fields.store ?? store;
  return {
    store: own,
    settings: readSettings({ TIDEMARK_COMPACT_FILES_MIN: '2' }),
    rewriter: { rewrite: (task) => rewriteFiles(task, { store: own, onStoring: () => undefined }) },
    now: () => toMs + 48 * hour,
    randomName: () => randomBytes(8).toString('hex'),
    log: { info: () => undefined, warn: () => undefined, debug: () => undefined },
    signals,
    fromMs,
    toMs,
    codeVersion: 'test',
    ...fields,
  };
}

function live(signal: Signal): Promise<LiveFiles> {
  return listLiveFiles(store, signal, fromMs, toMs);
}

function keysOf({ files }: LiveFiles): string[] {
  return files.map(({ key }) => key);
}

/** Asserts that files of the bucket have the same rows: by DuckDB, and by ClickHouse as text. */
async function expectEqualRows(
  signal: Signal,
  before: LiveFiles,
  after: LiveFiles,
  engines: 'both' | 'DuckDB' = 'DuckDB',
) {
  await withCopies(store, keysOf(before), (ours) =>
    withCopies(store, keysOf(after), async (theirs) => {
      const rows = before.files.reduce((sum, file) => sum + file.rows, 0);
      const expected = { before: rows, after: rows, onlyBefore: 0, onlyAfter: 0 };
      expect(await compareInDuckdb(ours, theirs)).toEqual(expected);
      if (engines === 'DuckDB') return;
      expect(sortedRows(theirs, signal)).toEqual(sortedRows(ours, signal));
    }),
  );
}

function archive(signal: Signal, commits = 6, firstOffset = 0) {
  const random = seededRandom(seed + firstOffset);
  return archiveHours(store, {
    signal,
    module,
    random,
    commits,
    requestsPerCommit: 3,
    firstOffset,
  });
}

describe('runCompaction()', () => {
  it.each(signals)('keeps every row and column of %s, in far fewer files', async (signal) => {
    await archive(signal);
    const before = await live(signal);
    const report = await runCompaction(optionsOf({ signals: [signal] }));
    const after = await live(signal);
    expect(report.failures).toEqual([]);
    expect(after.files.length).toBeLessThan(before.files.length / 2);
    expect(before.files.some(({ quarantined }) => quarantined)).toBe(true);
    expect(after.files.some(({ quarantined }) => quarantined)).toBe(true);
    // One file of good rows and one of quarantined rows for each hour, and all in its own hour.
    const folders = after.files.map(({ hourMs, quarantined }) => `${hourMs} ${quarantined}`);
    expect(new Set(folders).size).toBe(folders.length);
    for (const { key, hourMs } of after.files) {
      expect(key.startsWith(hourPrefix(signal, hourMs))).toBe(true);
    }
    await expectEqualRows(signal, before, after, 'both');
  });

  it('does not change what the batch takes for its input', async () => {
    await archive('traces');
    const before = await live('traces');
    await runCompaction(optionsOf());
    const after = await live('traces');
    expect(after).toMatchObject({ inputHash: before.inputHash, commitKeys: before.commitKeys });
    // Not even once the sweeper has deleted the files that were replaced.
    await store.delete(after.replacements.flatMap(({ inputs }) => inputs.map(({ key }) => key)));
    const swept = await live('traces');
    expect(swept).toEqual(after);
    await archive('traces', 1, 1000);
    expect((await live('traces')).inputHash).not.toBe(before.inputHash);
  });

  it('leaves a reader alone that listed before it and reads after it', async () => {
    await archive('traces');
    const listed = await live('traces');
    await runCompaction(optionsOf());
    await expectEqualRows('traces', listed, await live('traces'));
  });

  it('has nothing to do a second time', async () => {
    await archive('traces');
    await runCompaction(optionsOf());
    const after = await live('traces');
    expect(await runCompaction(optionsOf())).toEqual({ hours: [], failures: [] });
    expect(await live('traces')).toEqual(after);
  });

  it('takes late files in, and its own outputs again', async () => {
    await archive('traces');
    await runCompaction(optionsOf());
    await archive('traces', 6, 1000);
    const before = await live('traces');
    await runCompaction(optionsOf());
    const after = await live('traces');
    expect(after.files.length).toBeLessThan(before.files.length);
    expect(after.files.some(({ key }) => (parseOutputKey(key)?.sequence ?? 0) > 1)).toBe(true);
    expect(after.inputHash).toBe(before.inputHash);
    await expectEqualRows('traces', before, after);
  });

  it('goes in steps when memory has no room for all, and loses nothing', async () => {
    await archive('metrics', 5);
    const before = await live('metrics');
    const settings = { ...optionsOf().settings, TIDEMARK_COMPACT_MEMORY_BYTES: 1 };
    await runCompaction(optionsOf({ settings, signals: ['metrics'] }));
    const after = await live('metrics');
    expect(after.replacements.length).toBeGreaterThan(
      new Set(after.files.map((f) => f.hourMs)).size,
    );
    expect(after.replacements.every(({ inputs }) => inputs.length === 2)).toBe(true);
    await expectEqualRows('metrics', before, after);
  });

  it('several at once replace each file once; losers leave nothing behind', async () => {
    await archive('logs');
    const before = await live('logs');
    const all = Array.from({ length: 4 }, () => runCompaction(optionsOf({ signals: ['logs'] })));
    for (const { failures } of await Promise.all(all)) expect(failures).toEqual([]);
    const after = await live('logs');
    await expectEqualRows('logs', before, after);
    const named = new Set(after.replacements.flatMap(({ outputs }) => outputs.map((o) => o.key)));
    for await (const page of store.list('signal=logs/')) {
      for (const { key } of page) {
        if (parseOutputKey(key)) expect(named).toContain(key);
      }
    }
  });

  it('counts an answer that got lost as won when the replacement is its own', async () => {
    await archive('traces', 3);
    const before = await live('traces');
    const forgetful = forgetting(store);
    const report = await runCompaction(optionsOf({ store: forgetful }));
    expect(report.failures).toEqual([]);
    await expectEqualRows('traces', before, await live('traces'));
  });

  it('leaves open hours and few files alone, and with dryRun everything', async () => {
    await archive('traces', 3);
    const before = await live('traces');
    const none = { hours: [], failures: [] };
    expect(await runCompaction(optionsOf({ now: () => fromMs }))).toEqual(none);
    const settings = readSettings({ TIDEMARK_COMPACT_FILES_MIN: '4' });
    expect(await runCompaction(optionsOf({ settings }))).toEqual(none);
    const planned = await runCompaction(optionsOf({ dryRun: true }));
    expect(planned.hours.length).toBeGreaterThan(0);
    expect(planned.hours[0]).toMatchObject({ filesAfter: undefined });
    expect(await live('traces')).toEqual(before);
  });

  it('goes on with other hours when a file of one is damaged, in a thread', async () => {
    const commits = await archive('traces', 6);
    const [damaged] = commits.flatMap(({ files }) => files);
    await store.put(damaged?.key ?? '', new Uint8Array(damaged?.bytes ?? 0).fill(7));
    const url = new URL('../../workers/compact/thread.ts', import.meta.url);
    const startThread = () => new Worker(url, { workerData: bucket.settings });
    const rewriter = new Rewriter({ store, startThread });
    try {
      const report = await runCompaction(optionsOf({ rewriter }));
      expect(report.hours.length).toBeGreaterThan(0);
      expect(report.failures).toHaveLength(1);
      expect(report.failures[0]?.error).toMatchObject({ code: 'CORRUPT_ARCHIVE' });
      expect(keysOf(await live('traces'))).toContain(damaged?.key);
    } finally {
      await rewriter.close();
    }
  });
});

/** A store that stores replacements and then says that they exist already, as after a retry. */
function forgetting(own: ObjectStore): ObjectStore {
  return new Proxy(own, {
    get(target, name: keyof ObjectStore) {
      if (name !== 'put') return target[name].bind(target);
      return async (...call: Parameters<ObjectStore['put']>) => {
        await target.put(...call);
        if (call[2]?.ifNoneMatch) await target.put(...call);
      };
    },
  });
}
