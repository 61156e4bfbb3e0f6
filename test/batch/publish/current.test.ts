/**
 * A publication, a confirmation and a rollback of one period at the same time: the one is done as a whole at every
 * await of the other. Readers see one run whole at every moment, and in the end all is as if the one had
 * come after the other, however far the clocks of the two machines are apart.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { confirmCurrent } from '../../../batch/publish/current.ts';
import { dropOldRuns, publishRun, type RunRecord } from '../../../batch/publish/publish.ts';
import { rollBack, type RollbackReport } from '../../../batch/rollback.ts';
import { currentRun } from '../../../batch/publish/runs.ts';
import { arrayTable } from '../../../batch/publish/table.ts';
import { TidemarkError } from '../../../schemas/errors.ts';
import { dateTime, periodAt, periodKey, type Period } from '../../../schemas/period.ts';
import { readSettings } from '../../../schemas/settings.ts';
import { openClickHouse, type ClickHouse } from '../../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../../workers/clients/clickhouse/migrate.ts';
import type { ObjectStore } from '../../../workers/clients/store/objects.ts';
import { startClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { keysUnder } from '../../support/committed.ts';
import { startBucket, type Bucket } from '../../support/objects.ts';

const table = 'service_stats_hourly_batch';
const startMs = Date.parse('2026-11-01T00:00:00Z');
const hourMs = 3_600_000;
/** Spans that a run of this name has, so that a part of it shows. */
const spansOf: Readonly<Record<string, number>> = { first: 10, second: 20, third: 30 };
let server: TestClickHouse;
let clickhouse: ClickHouse;
let bucket: Bucket;
let hours = 0;
/** A partition for each run of each: an insert takes a hundred. */
const periodsMax = 72;

interface Clients {
  readonly clickhouse: ClickHouse;
  readonly store: ObjectStore;
}

type Act = (clients: Clients, period: Period, skewMs: number) => Promise<unknown>;

beforeAll(async () => {
  [server, bucket] = await Promise.all([startClickHouse(), startBucket()]);
  clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  await migrate(clickhouse);
  await prepare();
}, 240_000);
afterAll(async () => {
  await clickhouse.close();
  await Promise.all([server.stop(), bucket.close()]);
});

function rowsOf(name: string) {
  return Array.from({ length: spansOf[name] ?? 0 }, (_, i) => ({
    tenant_id: 'a',
    service_name: 'cart',
    operation_name: `${i}`,
    total_spans: 1,
  }));
}

function resultsOf(name: string) {
  const rows = rowsOf(name);
  const spans = rows.length;
  const tables = [arrayTable(table, rows, 'total_spans', spans)];
  return { items: spans, duplicates: 0, conflicts: 0, groups: spans, tables };
}

function recordOf(period: Period, name: string): RunRecord {
  return {
    signal: 'traces',
    period,
    isFinal: false,
    watermarkMs: 0,
    inputHash: `input of ${name}`,
    codeVersion: 'test',
    commits: 1,
    files: 1,
    rowsRead: spansOf[name] ?? 0,
    totalSpans: spansOf[name] ?? 0,
    duplicateSpans: 0,
    conflictSpans: 0,
    lateSpans: 0,
    foldedOperations: 0,
    shards: 1,
    elapsedMs: 0,
    listMs: 0,
    computeMs: 0,
    mergeMs: 0,
  };
}

async function publish(clients: Clients, period: Period, name: string, skewMs = 0): Promise<void> {
  const clock = () => Date.now() + skewMs;
  const options = { clock, newRunId: () => name, previousMs: 0 };
  await publishRun(clients.clickhouse, recordOf(period, name), resultsOf(name), options);
  const { store } = clients;
  const own = { store, random: Math.random, period, signal: 'traces', tables: [table] } as const;
  await dropOldRuns(clients.clickhouse, { ...own, clock, runsKept: 2 });
}

/** Hours whose current run is the second of two, made ready by few inserts. */
async function prepare(): Promise<void> {
  const periods = Array.from({ length: periodsMax }, (_, i) =>
    periodAt('hour', startMs + i * hourMs),
  );
  for (const name of ['first', 'second']) {
    const rows = rowsOf(name);
    const all = periods.flatMap((period) => {
      return rows.map((row) => ({ hour: periodKey(period).value, run_id: name, ...row }));
    });
    await clickhouse.insertRows(table, all);
    const publishedAtMs = Date.now() - (name === 'first' ? 2000 : 1000);
    const published = periods.map((period) => ({
      signal: 'traces',
      period_kind: 'hour',
      period_start: dateTime(period.startMs),
      run_id: name,
      published_at: new Date(publishedAtMs).toISOString(),
      input_hash: `input of ${name}`,
      seen_hash: `input of ${name}`,
      cause: 'computed',
      rows_read: spansOf[name],
    }));
    await clickhouse.insertRows('batch_runs', published);
  }
}

/** The run that readers see, which they must see whole. */
async function seen(period: Period): Promise<string> {
  const { value } = periodKey(period);
  const rows = await clickhouse.query<{ run_id: string; spans: string | number }>(
    `SELECT run_id, sum(total_spans) AS spans FROM service_stats_hourly_merged
     WHERE hour = {hour:DateTime('UTC')} GROUP BY run_id`,
    { hour: value },
  );
  expect(rows).toHaveLength(1);
  const { run_id: runId = '', spans = 0 } = rows[0] ?? {};
  expect(Number(spans), runId).toBe(spansOf[runId]);
  return runId;
}

/** Clients whose call of that number waits for `before`; each change from then on is followed by a look of a reader. */
function interrupted(period: Period, at: number, before: () => Promise<void>) {
  let calls = 0;
  const run = async <T>(call: () => Promise<T>): Promise<T> => {
    if (calls++ === at) await before();
    return call();
  };
  /** What readers may notice. */
  const change = async (call: () => Promise<unknown>): Promise<void> => {
    await run(call);
    if (calls > at) await seen(period);
  };
  const { store } = bucket;
  const clients: Clients = {
    store: {
      ...store,
      get: (...args) => run(() => store.get(...args)),
      put: (...args) => run(() => store.put(...args)),
      delete: (...args) => run(() => store.delete(...args)),
      async *list(...args) {
        await run(async () => undefined);
        yield* store.list(...args);
      },
    },
    clickhouse: {
      ...clickhouse,
      query: <T>(...args: Parameters<ClickHouse['query']>) =>
        run(() => clickhouse.query<T>(...args)),
      command: (...args) => change(() => clickhouse.command(...args)),
      insertRows: (...args) => change(() => clickhouse.insertRows(...args)),
    },
  };
  return { clients, calls: () => calls };
}

/** Does `inner` at every await of `outer`, in a period of its own each time, by clocks that differ. */
async function atEveryAwait(
  outer: Act,
  inner: Act,
  judge: (period: Period, results: { outer: unknown; inner: unknown }) => Promise<void>,
): Promise<number> {
  for (let at = 0; ; at += 1) {
    expect(hours).toBeLessThan(periodsMax);
    const period = periodAt('hour', startMs + hourMs * hours++);
    const skewMs = at % 2 === 0 ? hourMs : -hourMs;
    const plain = { clickhouse, store: bucket.store };
    let result: unknown;
    const { clients, calls } = interrupted(period, at, async () => {
      result = await settled(inner(plain, period, skewMs));
      await seen(period);
    });
    const own = await settled(outer(clients, period, 0));
    if (calls() <= at) return at;
    await judge(period, { outer: own, inner: result });
    expect(await keysUnder(bucket.store, '_runs/')).toEqual([]);
  }
}

/** What it gives, or the error that may be: whoever comes too late is refused. */
async function settled(act: Promise<unknown>): Promise<unknown> {
  try {
    return await act;
  } catch (error) {
    if (error instanceof TidemarkError && ['CONFLICT', 'NOT_FOUND'].includes(error.code))
      return error;
    throw error;
  }
}

const publishThird: Act = (clients, period, skewMs) => publish(clients, period, 'third', skewMs);

function backTo(runId?: string): Act {
  return (clients, period, skewMs) => {
    const clock = () => Date.now() + skewMs;
    return rollBack({ ...clients, clock, random: Math.random, period, of: 'traces', runId });
  };
}

/** The third run is current; or the rollback came after it, knows of it, and has what it promised. */
function judgeRollback(target: string) {
  return async (period: Period, rollback: unknown) => {
    const run = await seen(period);
    const current = await currentRun(clickhouse, 'traces', period);
    expect(current).toMatchObject({ runId: run, seenHash: 'input of third' });
    if (run === 'third') return;
    expect(rollback).toMatchObject({ from: 'third', outcome: 'restored' });
    expect([run, (rollback as RollbackReport).run.runId]).toEqual([target, target]);
  };
}

/** Confirms the second run, as somebody does who has found it current. */
const confirmSecond: Act = async (clients, period, skewMs) => {
  const found = await currentRun(clickhouse, 'traces', period);
  if (found === undefined) throw new Error('Bug: there is no run');
  const second = { ...found, runId: 'second' };
  const confirmed = { ...second, isFinal: true, cause: 'confirmed' } as const;
  return confirmCurrent(clients.clickhouse, second, confirmed, () => Date.now() + skewMs);
};

/** Whoever confirms first is rolled back; after the rollback there is nothing to confirm. */
async function judgeConfirmation(period: Period): Promise<void> {
  expect(await seen(period)).toBe('first');
}

describe('rollBack() and a run that is published at the same time', () => {
  it.each([
    ['the run before', undefined, 'second'],
    ['a run that is being removed', 'first', 'first'],
  ])(
    'come one after the other: to %s',
    async (_, runId, target) => {
      const judge = judgeRollback(target);
      const awaits = await atEveryAwait(publishThird, backTo(runId), (period, { inner }) =>
        judge(period, inner),
      );
      expect(awaits).toBeGreaterThan(9);
    },
    240_000,
  );

  it('come one after the other when it is the rollback that is interrupted', async () => {
    const judge = judgeRollback('second');
    const awaits = await atEveryAwait(backTo(), publishThird, (period, { outer }) =>
      judge(period, outer),
    );
    expect(awaits).toBeGreaterThan(9);
  }, 240_000);

  it('come one after the other: a run that is confirmed', async () => {
    const awaits = [
      await atEveryAwait(confirmSecond, backTo(), judgeConfirmation),
      await atEveryAwait(backTo(), confirmSecond, judgeConfirmation),
    ];
    for (const count of awaits) expect(count).toBeGreaterThan(2);
  }, 240_000);
});
