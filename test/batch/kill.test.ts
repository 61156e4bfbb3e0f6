/** ClickHouse dies (kill -9) at any statement of publishing, and the batch with it or not. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { publishRun, type RunRecord } from '../../batch/publish/publish.ts';
import { currentRun } from '../../batch/publish/runs.ts';
import { publishedOf } from '../../batch/signals.ts';
import type { ResultTable, RunResults } from '../../batch/work.ts';
import { parsePeriod, periodKey, type Period } from '../../schemas/period.ts';
import { readSettings } from '../../schemas/settings.ts';
import { openClickHouse, type ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { seededRandom } from '../support/random.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261122);
const periods = ['2026-10-21', '2026-10-21T07'].map((name) => parsePeriod(name));
const moments = ['before', 'while', 'after'] as const;
const operations = ['get', 'put', 'list'];
let dataDir: string;
let server: TestClickHouse;
let clickhouse: ClickHouse;
let nowMs = Date.parse('2026-11-22T00:00:00Z');

beforeAll(async () => {
  console.log(`seed ${seed}`);
  dataDir = await mkdtemp(path.join(tmpdir(), 'tidemark-kill-'));
  server = await startClickHouse({ dataDir });
  clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  await migrate(clickhouse);
});
afterAll(async () => {
  await clickhouse.close();
  await server.stop();
  await rm(dataDir, { recursive: true, force: true });
});

it('publishRun() leaves readers on one whole run, whatever statement ClickHouse is killed at', async () => {
  const random = seededRandom(seed);
  const readers = periods.map((period) => watch(period));
  let kills = 0;
  for (const [which, period] of periods.entries()) {
    // Day runs have a second table; then the rows are counted, then a row makes the run current.
    const statements = operations.length + (period.kind === 'day' ? 1 : 0) + 2;
    await publish(clickhouse, period, 0);
    // Of hours, what differs: the last row, the count, the row that makes it current.
    const from = period.kind === 'day' ? 0 : statements - 3;
    for (let at = from; at < statements; at += 1) {
      const generation = at - from + 1;
      const moment = moments[(at + which) % moments.length] ?? 'while';
      const dies = random() < 0.5;
      const killer = killingAt(at, moment, { dies, delayMs: random() * 4 });
      const outcome = await publish(killer, period, generation).then(
        () => 'published',
        () => 'failed',
      );
      await killer.restarted();
      kills += 1;
      const now = await look(clickhouse, period);
      const label = `seed ${seed}: ${moment} statement ${at} of ${period.name}: ${outcome}`;
      expect([whole(generation - 1), whole(generation)], label).toContain(now);
      if (outcome === 'published') expect(now, label).toBe(whole(generation));
      // Computed again, it goes on from there.
      if (now !== whole(generation)) await publish(clickhouse, period, generation);
      expect(await look(clickhouse, period)).toBe(whole(generation));
    }
  }
  for (const [which, reader] of readers.entries()) {
    const { states, reads } = await reader.stop();
    console.log({ period: periods[which]?.name, kills, reads });
    expect(reads).toBeGreaterThan(10);
    // Each state is that of a whole run, and runs follow each other: none comes back.
    expect(states.toSorted(byGeneration)).toEqual(states);
    const wholes = Array.from({ length: 10 }, (_, generation) => whole(generation));
    for (const state of states) expect(wholes).toContain(state);
  }
}, 300_000);

/** Spans of a run of that generation. */
function spansOf(generation: number): number {
  return operations.length * (100 + generation);
}

/** How readers see such a run. */
function whole(generation: number): string {
  return `generation ${generation}: ${operations.length} rows, ${spansOf(generation)} spans`;
}

function byGeneration(a: string, b: string): number {
  return Number(a.split(/[ :]/)[1]) - Number(b.split(/[ :]/)[1]);
}

async function look(client: ClickHouse, period: Period): Promise<string> {
  const view = period.kind === 'day' ? 'service_stats_merged' : 'service_stats_hourly_merged';
  const { column, type, value } = periodKey(period);
  const rows = await client.query<Record<'run' | 'rows' | 'spans', string>>(
    `SELECT splitByChar('-', run_id)[1] AS run, toString(count()) AS rows,
       toString(sum(total_spans)) AS spans
     FROM ${view} WHERE ${column} = {at:${type}} GROUP BY run_id ORDER BY run_id`,
    { at: value },
  );
  return rows
    .map((row) => `generation ${row.run}: ${row.rows} rows, ${row.spans} spans`)
    .join(' and ');
}

/** Looks again and again until it is stopped; an answer that fails is no answer. */
function watch(period: Period) {
  const client = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }), { retryWaitMs: 1 });
  const states: string[] = [];
  let reads = 0;
  const stopping = new AbortController();
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      const state = await look(client, period).catch(() => undefined);
      // Until the first run there is nothing to see.
      if (state !== undefined && (state !== '' || states.length > 0)) {
        reads += 1;
        if (states.at(-1) !== state) states.push(state);
      }
      await sleep(15);
    }
    await client.close();
  })();
  return {
    stop: async () => {
      stopping.abort();
      await watching;
      return { states, reads };
    },
  };
}

interface KillOptions {
  /** Whether the batch dies with ClickHouse; else it goes on as it can. */
  readonly dies: boolean;
  readonly delayMs: number;
}

/** A client in whose hands ClickHouse is killed at the statement of that number, and started again. */
function killingAt(at: number, moment: (typeof moments)[number], { dies, delayMs }: KillOptions) {
  let statement = -1;
  let isDead = false;
  let restarting: Promise<void> = Promise.resolve();
  const kill = async () => {
    isDead = dies;
    const { port } = new URL(server.url);
    await server.kill();
    restarting = restart(Number(port));
    if (dies) throw new Error('power cut');
  };
  const run = async <T>(call: () => Promise<T>): Promise<T> => {
    if (isDead) throw new Error('power cut');
    statement += 1;
    if (statement !== at) return call();
    if (moment === 'before') await kill();
    const answer = call();
    if (moment === 'while') {
      // It may fail before anybody waits for it.
      answer.catch(() => undefined);
      await sleep(delayMs);
      await kill();
    }
    const result = await answer;
    if (moment === 'after') await kill();
    return result;
  };
  return {
    ...clickhouse,
    query: <T>(...args: Parameters<ClickHouse['query']>) => run(() => clickhouse.query<T>(...args)),
    insertRows: (...args: Parameters<ClickHouse['insertRows']>) =>
      run(() => clickhouse.insertRows(...args)),
    restarted: () => restarting,
  };
}

async function restart(port: number): Promise<void> {
  server = await startClickHouse({ dataDir, port });
}

let runs = 0;

async function publish(client: ClickHouse, period: Period, generation: number): Promise<void> {
  const spans = spansOf(generation);
  const current = await currentRun(clickhouse, 'traces', period);
  const record: RunRecord = {
    signal: 'traces',
    period,
    isFinal: true,
    watermarkMs: 0,
    inputHash: `input ${generation}`,
    codeVersion: 'test',
    commits: 1,
    files: 1,
    rowsRead: spans,
    totalSpans: spans,
    duplicateSpans: 0,
    conflictSpans: 0,
    lateSpans: 0,
    foldedOperations: 0,
    shards: 1,
    elapsedMs: 1,
    listMs: 0,
    computeMs: 1,
    mergeMs: 0,
  };
  await publishRun(client, record, resultsOf(period, generation), {
    clock: () => (nowMs += 1),
    newRunId: () => `${generation}-${(runs += 1)}`,
    previousMs: current?.publishedAtMs ?? 0,
  });
}

/** Rows of which each is inserted by itself. */
function resultsOf({ kind }: Period, generation: number): RunResults {
  const items = spansOf(generation);
  const service = { tenant_id: 'default', service_name: 'cart' };
  const [table = ''] = publishedOf('traces', kind).tables;
  const rows = operations.map((operation_name) => {
    return { ...service, operation_name, total_spans: 100 + generation };
  });
  const stats: ResultTable = {
    name: table,
    rowCount: rows.length,
    sumColumn: 'total_spans',
    sum: items,
    parts: () => rows.map((row) => [row]),
  };
  const dedup: ResultTable = {
    name: 'service_dedup_batch',
    rowCount: 1,
    sumColumn: 'deduped_span_count',
    sum: items,
    parts: () => [[{ ...service, deduped_span_count: items }]],
  };
  const tables = kind === 'day' ? [stats, dedup] : [stats];
  return { items, duplicates: 0, conflicts: 0, groups: rows.length, tables };
}
