/** Retention of real archive files: what goes, what stays to the last row, and what readers see. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Signal } from '../../schemas/archive.ts';
import { commitPrefix } from '../../schemas/commit.ts';
import { parseRetention } from '../../schemas/retention.ts';
import { readSettings } from '../../schemas/settings.ts';
import { listLiveFiles, type LiveFiles } from '../../workers/clients/commits/archive.ts';
import { runCompaction } from '../../workers/compact.ts';
import { rewriteFiles, tenantsOf } from '../../workers/compact/rewrite.ts';
import { runRetention, type RetainOptions } from '../../workers/retain.ts';
import { receivedMs } from '../aggregator-as/generate.ts';
import { loadTranscoder } from '../aggregator-as/module.ts';
import { duckdb, duckdbFiles } from '../support/archived.ts';
import { archiveHours, compareInDuckdb, withCopies, type HoursOptions } from '../support/hours.ts';
import { CountingStore, startBucket, type Bucket } from '../support/objects.ts';
import { seededRandom } from '../support/random.ts';

const hour = 3_600_000;
const day = 24 * hour;
const fromMs = (Math.floor(receivedMs / day) - 3) * day;
const toMs = fromMs + 6 * day;
const seed = 20_261_122;
const quiet = { info: () => undefined, warn: () => undefined, debug: () => undefined };

let bucket: Bucket;
let store: CountingStore;
let module: WebAssembly.Module;

beforeAll(async () => {
  console.info(`seed ${seed}`);
  bucket = await startBucket();
  store = new CountingStore(bucket.store);
  module = await loadTranscoder();
});

beforeEach(async () => {
  for await (const page of store.list('')) await store.delete(page.map(({ key }) => key));
});

afterAll(async () => bucket.close());

const rewriter: RetainOptions['rewriter'] = {
  rewrite: (task) => rewriteFiles(task, { store, onStoring: () => undefined }),
  tenants: (file) => tenantsOf(store, file),
};

function retain(rules: string, daysLater: number, fields: Partial<RetainOptions> = {}) {
  return runRetention({
    store,
    settings: readSettings({}),
    retention: parseRetention(rules),
    rewriter,
    now: () => receivedMs + daysLater * day,
    randomName: () => randomBytes(8).toString('hex'),
    log: quiet,
    codeVersion: 'test',
    ...fields,
  });
}

function archive(signal: Signal, fields: Partial<HoursOptions> = {}) {
  return archiveHours(store, {
    signal,
    module,
    random: seededRandom(seed),
    commits: 3,
    requestsPerCommit: 6,
    tenants: ['acme', 'beta', 'gamma'],
    ...fields,
  });
}

function live(signal: Signal): Promise<LiveFiles> {
  return listLiveFiles(store, signal, fromMs, toMs);
}

function rowsOf({ files }: LiveFiles): number {
  return files.reduce((sum, { rows }) => sum + rows, 0);
}

/** Rows by event day (of the file's hour) and tenant, counted by DuckDB. */
async function counted(signal: Signal, { files }: LiveFiles) {
  const counts: Record<string, number> = {};
  const days = Map.groupBy(files, ({ hourMs }) => new Date(hourMs).toISOString().slice(0, 10));
  for (const [date, own] of days) {
    const keys = own.map(({ key }) => key);
    const rows = await withCopies(store, keys, (paths) =>
      duckdb(
        `SELECT to_json({tenant: TenantId, rows: count(*)::INTEGER})::VARCHAR AS row
         FROM ${duckdbFiles(paths)} GROUP BY TenantId`,
        'row',
      ),
    );
    for (const { tenant, rows: count } of rows) {
      counts[`${signal} ${date} ${String(tenant)}`] = Number(count);
    }
  }
  return counts;
}

async function expectStaying(before: LiveFiles, after: LiveFiles, where: string) {
  const keys = [before, after].map(({ files }) => files.map(({ key }) => key));
  await withCopies(store, keys[0] ?? [], (ours) =>
    withCopies(store, keys[1] ?? [], async (theirs) => {
      const compared = await compareInDuckdb(ours, theirs, where);
      expect(compared).toEqual({
        before: rowsOf(after),
        after: rowsOf(after),
        onlyBefore: 0,
        onlyAfter: 0,
      });
    }),
  );
}

describe('runRetention()', () => {
  it('with nothing configured touches nothing and reads no file', async () => {
    await archive('traces');
    const before = await live('traces');
    store.reset();
    expect(await retain('', 10_000)).toEqual({ removed: [], failures: [] });
    expect(store.requests).toMatchObject({ get: 0, put: 0, delete: 0 });
    expect(await live('traces')).toEqual(before);
  });

  it('takes whole files away without reading them, and no commit', async () => {
    const commits = await archive('traces');
    await archive('logs');
    const [before, logs] = [await live('traces'), await live('logs')];
    store.reset();
    const { removed, failures } = await retain('traces=5d', 30);
    expect(failures).toEqual([]);
    const after = await live('traces');
    expect(after).toMatchObject({ files: [], rowsRemoved: rowsOf(before) });
    expect(removed.reduce((sum, { rows }) => sum + rows, 0)).toBe(rowsOf(before));
    expect(await live('logs')).toEqual(logs);
    // The batch still takes it for the same input, which is not whole any more.
    expect(after).toMatchObject({ inputHash: before.inputHash, commitKeys: before.commitKeys });
    let found = 0;
    for (const partition of ['0', '1', '2']) {
      for await (const page of store.list(commitPrefix('otlp_spans', partition))) {
        found += page.length;
      }
    }
    expect(found).toBe(commits.length);
    // Nothing was deleted: who listed before can still read.
    for (const { key } of before.files) expect(await store.head(key)).toBeGreaterThan(0);
  });

  it.each(['traces', 'metrics', 'logs'] as const)(
    'of files with several tenants rewrites what stays of %s, to the last row and column',
    async (signal) => {
      await archive(signal);
      const before = await live(signal);
      const { removed, failures } = await retain(`all=90d,tenant:beta/${signal}=5d`, 30);
      expect(failures).toEqual([]);
      const after = await live(signal);
      await expectStaying(before, after, `TenantId <> 'beta'`);
      expect(after.files.every(({ tenants }) => tenants?.includes('beta') !== true)).toBe(true);
      expect(removed.every(({ tenant }) => tenant === 'beta')).toBe(true);
      expect(removed.reduce((sum, { rows }) => sum + rows, 0)).toBe(after.rowsRemoved);
      expect(after.inputHash).toBe(before.inputHash);
      expect(await retain(`all=90d,tenant:beta/${signal}=5d`, 30)).toMatchObject({ removed: [] });
    },
  );

  it('goes by event day, of quarantined rows by that of receipt; a tenant may stay longer', async () => {
    await archive('logs');
    await archive('logs', { firstOffset: 1000, receivedMs: receivedMs + 2 * day });
    await runCompaction({
      store,
      settings: readSettings({ TIDEMARK_COMPACT_FILES_MIN: '2' }),
      rewriter,
      now: () => receivedMs + 9 * day,
      randomName: () => randomBytes(8).toString('hex'),
      log: quiet,
      signals: ['logs'],
      fromMs,
      toMs,
      codeVersion: 'test',
    });
    const before = await live('logs');
    const days = new Set(before.files.map(({ hourMs }) => Math.floor(hourMs / day)));
    expect(days.size).toBeGreaterThan(1);
    const late = before.files.filter(({ hourMs }) => hourMs > receivedMs + day);
    expect(late.some(({ quarantined }) => quarantined)).toBe(true);
    const firstDay = Math.min(...days);
    // Of the first day the end lies two days back, of the next ones it does not.
    const now = () => (firstDay + 3) * day;
    await retain('logs=2d,tenant:acme/logs=forever', 0, { now });
    const after = await live('logs');
    const stays = before.files.filter(({ hourMs }) => Math.floor(hourMs / day) > firstDay);
    expect(after.files).toEqual(expect.arrayContaining(stays));
    const old = (files: LiveFiles) => ({
      ...files,
      files: files.files.filter(({ hourMs }) => Math.floor(hourMs / day) === firstDay),
    });
    await expectStaying(old(before), old(after), `TenantId = 'acme'`);
  });

  it('with dryRun says rows by signal, day and tenant as DuckDB counts them, and changes nothing', async () => {
    await archive('metrics');
    const before = await live('metrics');
    const expected = await counted('metrics', before);
    const { removed } = await retain('metrics=5d', 30, { dryRun: true });
    const said = removed.map((one) => [`${one.signal} ${one.day} ${one.tenant}`, one.rows]);
    expect(Object.fromEntries(said)).toEqual(expected);
    const bytes = removed.reduce((sum, one) => sum + one.bytes, 0);
    const all = before.files.reduce((sum, file) => sum + file.bytes, 0);
    expect(Math.abs(bytes - all)).toBeLessThan(removed.length * before.files.length);
    expect(await live('metrics')).toEqual(before);
  });

  it('beside a compactor takes away each row once and no other', async () => {
    await archive('traces');
    const before = await live('traces');
    const compacting = runCompaction({
      store,
      settings: readSettings({ TIDEMARK_COMPACT_FILES_MIN: '2' }),
      rewriter,
      now: () => receivedMs + 30 * day,
      randomName: () => randomBytes(8).toString('hex'),
      log: quiet,
      signals: ['traces'],
      fromMs,
      toMs,
      codeVersion: 'test',
    });
    const both = await Promise.all([compacting, retain('tenant:beta/traces=5d', 30)]);
    expect(both.flatMap(({ failures }) => failures)).toEqual([]);
    await expectStaying(before, await live('traces'), `TenantId <> 'beta'`);
  });
});
