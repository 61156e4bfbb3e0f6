import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { storedPartials } from '../../batch/merge/partials.ts';
import { runBatch, type BatchOptions, type BatchProgress } from '../../batch/run.ts';
import { localRunner, type ShardRequest } from '../../batch/pool/runner.ts';
import { parsePeriod } from '../../schemas/period.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectEntry } from '../../workers/clients/store/objects.ts';
import { archiveSpans, hourMs, moveWatermark, type ArchivedFile } from '../support/day.ts';
import { askDuckDb, type OracleRow } from '../support/oracle.ts';
import { memoryOf } from '../support/planned.ts';
import { expectProved } from '../support/proved.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans, type SpanRow } from '../support/spans.ts';
import { startStack, type Stack } from '../support/stack.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261122);
let stack: Stack;
let nextOffset = 0n;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  stack = await startStack();
});
afterAll(() => stack.close());

describe('runBatch() equals DuckDB and the ClickHouse engine over the same files', () => {
  it('for a day with duplicates in and across files, conflicts, shared span ids, odd names', async () => {
    const random = seededRandom(seed);
    const date = '2026-10-01';
    const morning = spansOf(date, random, 4000, { hour: 9 });
    const evening = spansOf(date, random, 3000, { hour: 21, services: 2 });
    const files = await archive([...morning, ...evening], 700);
    files.push(...(await archive(deliveredAgain(random, morning.slice(0, 900)), 64)));
    files.push(...(await archive(spansOf(date, random, 1), 1)));
    const report = await runBatch(optionsFor(date));
    expect(report.outcome).toBe('published');
    await expectExact(date, files);
  });

  it('for equal durations, single rows and single-row groups', async () => {
    const date = '2026-10-02';
    const random = seededRandom(seed + 1);
    const spans = spansOf(date, random, 60).map((row) => ({ ...row, durationNs: 1_234_567n }));
    const files = await archive(spans, 1);
    await runBatch(optionsFor(date));
    await expectExact(date, files);
  });

  it('for one giant trace beside small ones', async () => {
    const date = '2026-10-03';
    const random = seededRandom(seed + 2);
    const giant = spansOf(date, random, 4000, { traces: 1 });
    const files = await archive([...giant, ...spansOf(date, random, 500)], 500);
    await runBatch({ ...optionsFor(date), settings: smallShards(4500 / 5) });
    await expectExact(date, files);
  });

  it('for durations up to 2^64 - 1', async () => {
    const date = '2026-10-04';
    const random = seededRandom(seed + 3);
    const spans = spansOf(date, random, 40).map((row, index) => ({
      ...row,
      durationNs: index < 2 ? 2n ** 64n - 1n : row.durationNs << 20n,
      service: `s${index}`,
    }));
    const files = await archive(spans);
    await runBatch(optionsFor(date));
    await expectExact(date, files);
  });
});

describe('runBatch() publishes the same rows', () => {
  it('from 1, 7 and 50 shards', async () => {
    const date = '2026-10-05';
    const random = seededRandom(seed + 4);
    const files = await archive(spansOf(date, random, 4000, { traces: 2000 }), 400);
    const results: unknown[] = [];
    for (const shards of [1, 7, 50]) {
      // Two threads share the memory.
      const settings = { ...smallShards(4000 / shards, 2), TIDEMARK_BATCH_THREADS: 2 };
      const report = await runBatch({ ...optionsFor(date), settings, force: true });
      expect(Math.abs((report.run?.shards ?? 0) - shards)).toBeLessThanOrEqual(shards / 10);
      results.push(await publishedRows(report.run?.runId ?? ''));
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
    await expectExact(date, files);
  });

  it('when shards turn out too large for the memory and are split', async () => {
    const date = '2026-10-06';
    const random = seededRandom(seed + 5);
    // One row group whose statistics span everything, while all but two ids crowd in a corner.
    const spans = spansOf(date, random, 30_000, { traces: 2000 }).map((row, index) => {
      if (index < 2) return { ...row, traceId: (index === 0 ? '0' : 'f').repeat(32) };
      return { ...row, traceId: `7777777777${row.traceId.slice(10)}` };
    });
    const files = await archive(spans);
    const report = await runBatch({ ...optionsFor(date), settings: smallShards(1500) });
    expect(report.run?.shards).toBeGreaterThan(25);
    await expectExact(date, files);
  });
});

describe('runBatch() decides', () => {
  it('nothing when nothing came, final when complete, anew when late data came', async () => {
    const date = '2026-10-07';
    const random = seededRandom(seed + 6);
    await archive(spansOf(date, random, 500));
    const first = await runBatch(optionsFor(date));
    expect(first).toMatchObject({ outcome: 'published', run: { isFinal: false, lateSpans: 0 } });

    const again = await runBatch(optionsFor(date));
    expect(again).toMatchObject({ outcome: 'unchanged', run: { runId: first.run?.runId } });
    expect(again.message).toBe(
      `${date} (traces) is up to date: nothing came since its current run`,
    );

    await moveWatermark(stack.store, Date.parse(`${date}T00:00:00Z`) + 27 * hourMs);
    const confirmed = await runBatch(optionsFor(date));
    expect(confirmed).toMatchObject({
      outcome: 'confirmed',
      run: { runId: first.run?.runId, isFinal: true, totalSpans: first.run?.totalSpans },
    });
    expect((await runBatch(optionsFor(date))).outcome).toBe('unchanged');

    const late = await archive(spansOf(date, random, 70));
    expect(late).toHaveLength(1);
    const changed = await runBatch(optionsFor(date));
    expect(changed).toMatchObject({
      outcome: 'published',
      run: { isFinal: true, lateSpans: 70, rowsRead: 570, commits: 2, files: 2 },
    });
    expect(changed.message).toContain('70 rows that the run before had not');
    expect(await currentRows(date)).toEqual(await publishedRows(changed.run?.runId ?? ''));
  });

  it('to refuse a day that has not ended, unless forced', async () => {
    const date = '2026-11-22';
    await archive(spansOf(date, seededRandom(seed + 7), 50));
    await expect(runBatch(optionsFor(date))).rejects.toMatchObject({ code: 'BATCH_FAILED' });
    const forced = await runBatch({ ...optionsFor(date), force: true });
    expect(forced).toMatchObject({ outcome: 'published', run: { isFinal: false } });
    // An empty run would hide what comes.
    const ahead = '2027-01-01';
    expect(await runBatch({ ...optionsFor(ahead), force: true })).toMatchObject({
      outcome: 'unchanged',
      message: `${ahead} (traces) has nothing in the archive so far`,
      run: undefined,
    });
  });

  it('to publish an empty day once it is complete, and to say so', async () => {
    const date = '2026-11-20';
    expect(await runBatch(optionsFor(date))).toMatchObject({
      outcome: 'unchanged',
      message: `${date} (traces) has nothing in the archive so far`,
      run: undefined,
    });
    const settings = { ...stack.settings, TIDEMARK_ALLOWED_LATENESS_MS: 0 };
    const past = '2026-09-01';
    const report = await runBatch({ ...optionsFor(past), settings });
    expect(report).toMatchObject({
      outcome: 'published',
      message: `${past} (traces) has no spans; published as final and empty`,
      run: { isFinal: true, totalSpans: 0, shards: 0 },
    });
    expect((await runBatch({ ...optionsFor(past), settings })).outcome).toBe('unchanged');
  });

  it('to keep published figures when the archive has been cleared', async () => {
    const date = '2026-10-08';
    const files = await archive(spansOf(date, seededRandom(seed + 8), 60));
    const { run } = await runBatch(optionsFor(date));
    await stack.store.delete(files.map((file) => file.key));
    expect(await runBatch(optionsFor(date))).toMatchObject({
      outcome: 'unchanged',
      message: `${date} (traces) has no files in the archive any more: its published figures stay`,
    });
    expect(await currentRows(date)).toEqual(await publishedRows(run?.runId ?? ''));
  });

  it('that quarantined files do not count', async () => {
    const date = '2026-10-09';
    const random = seededRandom(seed + 9);
    const files = await archive(spansOf(date, random, 60));
    const wild = spansOf(date, random, 40);
    await archiveSpans(stack.store, wild, { firstOffset: takeOffset(wild), quarantined: true });
    const report = await runBatch(optionsFor(date));
    expect(report.run).toMatchObject({ rowsRead: 60, files: 1 });
    await expectExact(date, files);
  });
});

describe('runBatch() goes on', () => {
  it('after a crash at any step of publishing, and readers never see half of it', async () => {
    const date = '2026-10-10';
    const random = seededRandom(seed + 10);
    await archive(spansOf(date, random, 800));
    await runBatch(optionsFor(date));
    const before = await currentRows(date);
    const files = await archive(spansOf(date, random, 300));
    files.push(...(await filesOfDay(date, files)));
    let crashes = 0;
    for (let calls = 0; ; calls += 1) {
      const clickhouse = dyingAfter(stack.clickhouse, calls);
      const outcome = await runBatch({ ...optionsFor(date), clickhouse }).catch(() => 'crashed');
      if (outcome !== 'crashed') break;
      crashes += 1;
      const published = (await currentRows(date)).some((row) => !before.includes(row));
      if (published) break;
      expect(await currentRows(date)).toEqual(before);
    }
    // Reading the current run, two inserts, counting them, and the row that makes them current.
    expect(crashes).toBeGreaterThanOrEqual(5);
    const report = await runBatch(optionsFor(date));
    expect(report.outcome).toBe('unchanged');
    await expectExact(date, files);
  });

  it('with the shards that an earlier attempt has done, and removes the partials at the end', async () => {
    const date = '2026-10-11';
    await archive(spansOf(date, seededRandom(seed + 11), 2000), 100);
    const options = { ...optionsFor(date), settings: smallShards(300) };
    const clickhouse = dyingAfter(stack.clickhouse, 1);
    await expect(runBatch({ ...options, clickhouse })).rejects.toThrow('power cut');
    const progress: BatchProgress[] = [];
    const report = await runBatch({ ...options, onProgress: (step) => progress.push(step) });
    expect(report.shardsReused).toBe(report.run?.shards);
    expect(report.shardsReused).toBeGreaterThan(5);
    const name = report.run?.runId.replace(/-[^-]+$/, '') ?? '?';
    expect([...(await storedPartials(stack.store, name))]).toEqual([]);
    expect(
      progress.map((step) => step.phase).filter((phase, i, all) => phase !== all[i - 1]),
    ).toEqual(['list', 'compute', 'merge', 'publish']);
    expect(progress.at(-1)).toMatchObject({ shardsDone: report.run?.shards, rows: 2000 });
  });

  it('with the shards that its runner has left, and asks it for the others only', async () => {
    const date = '2026-10-14';
    await archive(spansOf(date, seededRandom(seed + 14), 1000), 100);
    const options = { ...optionsFor(date), settings: smallShards(300) };
    const requests: ShardRequest[] = [];
    const local = localRunner(options.settings, options.random);
    const half = async (request: ShardRequest) => {
      requests.push(request);
      await local({ ...request, shards: request.shards.slice(2) });
      throw new Error('cut off');
    };
    await expect(runBatch({ ...options, runner: half })).rejects.toThrow('cut off');
    const rest = (request: ShardRequest) => {
      requests.push(request);
      return local(request);
    };
    const report = await runBatch({ ...options, runner: rest });
    const [first, second] = requests;
    expect(first?.shards).toEqual(first?.computation.shards);
    expect(second?.computation).toEqual(first?.computation);
    expect(second?.shards).toEqual(first?.shards.slice(0, 2));
    expect(report.shardsReused).toBe((first?.shards.length ?? 0) - 2);
    expect(report.run).toMatchObject({ rowsRead: 1000, shards: first?.shards.length });
  });

  it('names the shard and the file when a file is damaged', async () => {
    const date = '2026-10-12';
    const [file] = await archive(spansOf(date, seededRandom(seed + 12), 5000));
    if (file === undefined) throw new Error('Bug: no file');
    const damaged = file.bytes.slice();
    damaged.fill(0xa5, 1000, 60_000);
    await stack.store.put(file.key, damaged);
    const warnings: string[] = [];
    const log = { info: () => undefined, warn: (_: object, text: string) => warnings.push(text) };
    const failing = runBatch({ ...optionsFor(date), log });
    await expect(failing).rejects.toMatchObject({
      code: 'BATCH_FAILED',
      message: expect.stringContaining(file.key) as string,
    });
    expect(await currentRows(date)).toEqual([]);
  });

  it('and keeps the rows of the last runs only', async () => {
    const date = '2026-10-13';
    await archive(spansOf(date, seededRandom(seed + 13), 100));
    const runIds: string[] = [];
    const options = { ...optionsFor(date), settings: { ...stack.settings, TIDEMARK_RUNS_KEPT: 2 } };
    for (let run = 0; run < 4; run += 1) {
      const report = await runBatch({ ...options, force: true });
      runIds.push(report.run?.runId ?? '');
      expect(report.runsDropped).toEqual(run < 2 ? [] : [runIds[run - 2]]);
    }
    expect(new Set(runIds).size).toBe(4);
    const stored = await stack.clickhouse.query<{ run_id: string }>(
      `SELECT DISTINCT run_id FROM service_stats_batch WHERE date = '${date}'
       UNION DISTINCT SELECT run_id FROM service_dedup_batch WHERE date = '${date}'`,
    );
    expect(stored.map((row) => row.run_id).toSorted()).toEqual(runIds.slice(2).toSorted());
  });
});

function optionsFor(date: string): BatchOptions {
  let nowMs = Date.parse('2026-11-22T12:00:00Z');
  return {
    store: stack.store,
    clickhouse: stack.clickhouse,
    settings: stack.settings,
    clock: () => (nowMs += 1),
    random: seededRandom(takeRandomSeed()),
    log: { info: () => undefined, warn: (fields, message) => console.warn(message, fields) },
    period: parsePeriod(date),
    of: 'traces',
  };
}

let randomSeed = 0;
function takeRandomSeed(): number {
  randomSeed += 1;
  return randomSeed;
}

/** Settings whose memory makes the planner want shards of `rows` rows. */
function smallShards(rows: number, threads = 1): Stack['settings'] {
  const memory = memoryOf('traces', rows, threads);
  return { ...stack.settings, TIDEMARK_BATCH_MEMORY_BYTES: memory };
}

function spansOf(
  date: string,
  random: () => number,
  count: number,
  { hour = 13, ...options }: { hour?: number; traces?: number; services?: number } = {},
): SpanRow[] {
  const start = Date.parse(`${date}T00:00:00Z`) + hour * hourMs;
  const spans = randomSpans(random, count, { ...options, hourMs: start, offset: nextOffset });
  nextOffset += BigInt(count);
  return spans;
}

/** The same spans once more, received later, some changed on the way. */
function deliveredAgain(random: () => number, spans: readonly SpanRow[]): SpanRow[] {
  return spans.map((row, index) => ({
    ...row,
    durationNs: random() < 0.05 ? row.durationNs + 1n : row.durationNs,
    ingestedMs: row.ingestedMs + Math.floor(random() * 3),
    offset: nextOffset + BigInt(index),
  }));
}

async function archive(rows: readonly SpanRow[], rowGroupRows?: number): Promise<ArchivedFile[]> {
  const options = { firstOffset: takeOffset(rows), ...(rowGroupRows && { rowGroupRows }) };
  return archiveSpans(stack.store, rows, options);
}

function takeOffset(rows: readonly SpanRow[]): bigint {
  const offset = nextOffset;
  nextOffset += BigInt(rows.length);
  return offset;
}

async function listed(prefix: string): Promise<ObjectEntry[]> {
  const entries: ObjectEntry[] = [];
  for await (const page of stack.store.list(prefix)) entries.push(...page);
  return entries;
}

/** Files of the day that are archived beside those that are known. */
async function filesOfDay(date: string, known: readonly ArchivedFile[]): Promise<ArchivedFile[]> {
  const [year, month, day] = date.split('-');
  const prefix = `signal=traces/year=${year}/month=${month}/day=${day}/`;
  const entries = await listed(prefix);
  const keys = entries.filter((entry) => !known.some((file) => file.key === entry.key));
  return Promise.all(
    keys.map(async ({ key }) => ({
      key,
      bytes: (await stack.store.get(key)) ?? new Uint8Array(),
    })),
  );
}

/** Rows of a run, as text, without what names the run. */
async function publishedRows(runId: string): Promise<string[]> {
  const rows = await stack.clickhouse.query<object>(
    `SELECT * EXCEPT (date, run_id) FROM service_stats_batch WHERE run_id = {runId:String}
     ORDER BY tenant_id, service_name, operation_name, span_kind`,
    { runId },
  );
  return rows.map((row) => JSON.stringify(row));
}

/** What readers see of a day, as the rows of the run that the merged view names. */
async function currentRows(date: string): Promise<string[]> {
  const runs = await stack.clickhouse.query<{ run_id: string }>(
    `SELECT DISTINCT run_id FROM service_stats_merged WHERE date = {date:Date}`,
    { date },
  );
  expect(runs.length).toBeLessThanOrEqual(1);
  return publishedRows(runs[0]?.run_id ?? '');
}

/** A client whose process loses power after so many calls: each later one fails. */
function dyingAfter(clickhouse: ClickHouse, calls: number): ClickHouse {
  let left = calls;
  const spend = () => {
    left -= 1;
    if (left < 0) throw new Error('power cut');
  };
  return {
    ...clickhouse,
    query: async (...args) => (spend(), clickhouse.query(...args)),
    command: async (...args) => (spend(), clickhouse.command(...args)),
    insertRows: async (...args) => (spend(), clickhouse.insertRows(...args)),
  };
}

/** The current figures of the day are those of both engines, computed from `files`. */
async function expectExact(date: string, files: readonly ArchivedFile[]): Promise<void> {
  const runs = await stack.clickhouse.query<{ run_id: string }>(
    `SELECT DISTINCT run_id FROM service_stats_merged WHERE date = {date:Date}`,
    { date },
  );
  const runId = runs[0]?.run_id ?? '';
  const { clickhouse } = stack;
  const keys = files.map((file) => file.key);
  await expectProved(stack, ['traces', date, runId], keys);
  const published = await clickhouse.query<Record<keyof OracleRow, string | number | null>>(
    `SELECT * EXCEPT (date, run_id) FROM service_stats_batch
     WHERE date = {date:Date} AND run_id = {runId:String}`,
    { date, runId },
  );
  const expected = await askDuckDb(files);
  const byKey = new Map(expected.map((row) => [keyOf(row), row]));
  expect(byKey.size).toBe(published.length);
  for (const row of published) expectSame(row, byKey.get(keyOf(row)));
}

type KeyColumn = 'tenant_id' | 'service_name' | 'operation_name' | 'span_kind';

function keyOf(row: Pick<Record<keyof OracleRow, unknown>, KeyColumn>): string {
  return JSON.stringify([row.tenant_id, row.service_name, row.operation_name, row.span_kind]);
}

/**
 * Whole figures are equal, and so are milliseconds but for rounding: DuckDB interpolates at rank
 * q * (n - 1) as lo * (1 - f) + hi * f, ClickHouse at rank q * (n - 1) + 1 as lo + f * (hi - lo).
 */
function expectSame(
  row: Record<keyof OracleRow, string | number | null>,
  wanted: OracleRow | undefined,
): void {
  for (const [figure, value] of Object.entries(wanted ?? { missing: 1 })) {
    const found = row[figure as keyof OracleRow];
    if (typeof value === 'number' && figure.endsWith('_ms')) {
      expect(Math.abs(Number(found) - value)).toBeLessThanOrEqual(
        Number(row.max_ms) * Number(row.total_spans) * 2 ** -52,
      );
    } else if (typeof value === 'number') expect(Number(found)).toBe(value);
    else expect(found).toBe(value);
  }
}
