/**
 * Publishes a run (DESIGN: publishing is one atomic insert): its rows go in under a run id that no
 * reader knows, are counted there, and then one row of `batch_runs` makes them current. It never
 * changes or removes what readers see.
 */
import type { Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { debrisAgeMs, publishTriesMax } from '../../schemas/limits/batch.ts';
import { periodKey, type Period } from '../../schemas/period.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { makeComputedCurrent } from './current.ts';
import { intend, type OtherIntents } from './intent.ts';
import { dropPartition, storedRuns, withCopy } from './partition.ts';
import { publishedRunIds, type PublishedRun } from './runs.ts';
import type { RunResults } from '../work.ts';

/**
 * A run as it is about to be published; what publishing itself decides is not in it. `elapsedMs` is the time
 * until then.
 */
export type RunRecord = Omit<
  PublishedRun,
  'runId' | 'publishedAtMs' | 'seenHash' | 'cause' | 'publishMs'
>;

export interface PublishOptions {
  /** Current time, ms since 1970. */
  readonly clock: () => number;
  /** A new run id each time: no two tries ever share rows. */
  readonly newRunId: () => string;
  /** When the current run of the period was published; the new one is published later than that. */
  readonly previousMs: number;
  /** Throws when the run must not become current any more, as another computes the period by now. */
  readonly fence?: (() => Promise<void>) | undefined;
}

/**
 * Publishes the run and returns it as it stands in `batch_runs`. A crash at any point leaves readers on the
 * run that was current before, and rows that a later run of the period removes.
 *
 * Throws `ClickHouseError`, and `TidemarkError` BATCH_FAILED when the rows that arrived are not those
 * that were sent.
 */
export async function publishRun(
  clickhouse: ClickHouse,
  run: RunRecord,
  results: RunResults,
  options: PublishOptions,
): Promise<PublishedRun> {
  const beganMs = options.clock();
  for (let attempt = 1; ; attempt += 1) {
    const runId = options.newRunId();
    try {
      await insertResults(clickhouse, run.period, runId, results);
      await options.fence?.();
      await assertArrived(clickhouse, run.period, runId, results);
      const publishMs = Math.max(0, Math.round(options.clock() - beganMs));
      const elapsedMs = run.elapsedMs + publishMs;
      const done = { seenHash: run.inputHash, cause: 'computed', publishMs, elapsedMs } as const;
      return await makeComputedCurrent(clickhouse, { ...run, ...done, runId }, options);
    } catch (error) {
      // An insert whose answer got lost may have happened: not repeated, begun anew under a new id.
      const passing = error instanceof TidemarkError && error.retryable;
      if (!passing || attempt >= publishTriesMax) throw error;
    }
  }
}

export interface DropOptions {
  readonly store: ObjectStore;
  readonly period: Period;
  readonly signal: Signal;
  /** The tables that hold runs of the signal. */
  readonly tables: readonly string[];
  readonly clock: () => number;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly runsKept: number;
}

/**
 * Removes rows of the period that nobody reads any more: those of runs before the last `runsKept`, and those
 * that an unfinished publishing left behind long ago. A run that somebody rolls back to at this moment stays.
 * Returns the ids of the runs. Throws `ClickHouseError`, OBJECT_STORE.
 */
export async function dropOldRuns(clickhouse: ClickHouse, options: DropOptions): Promise<string[]> {
  const { period, signal, tables, clock, runsKept } = options;
  const published = await publishedRunIds(clickhouse, signal, period);
  const kept = new Set(published.slice(0, runsKept));
  const known = new Set(published);
  const tablesOf = new Map<string, string[]>();
  for (const table of tables) {
    const stored = await storedRuns(clickhouse, table, periodKey(period).value);
    for (const { runId, changedMs } of stored) {
      const old = known.has(runId) || changedMs < clock() - debrisAgeMs;
      if (kept.has(runId) || !old) continue;
      tablesOf.set(runId, [...(tablesOf.get(runId) ?? []), table]);
    }
  }
  const dropped: string[] = [];
  for (const [runId, own] of tablesOf) {
    const drop = () => dropRun(clickhouse, period, runId, own);
    if (await (known.has(runId) ? dropUnlessRestored(clickhouse, runId, drop, options) : drop())) {
      dropped.push(runId);
    }
  }
  return dropped.toSorted();
}

async function dropRun(
  clickhouse: ClickHouse,
  period: Period,
  runId: string,
  tables: readonly string[],
): Promise<boolean> {
  for (const table of tables) await dropPartition(clickhouse, table, period, runId);
  return true;
}

/** Calls `drop` when the run is surely nobody's; what others left of their own tries to is removed then. */
async function dropUnlessRestored(
  clickhouse: ClickHouse,
  runId: string,
  drop: () => Promise<boolean>,
  options: DropOptions,
): Promise<boolean> {
  const { store, signal, period, clock, runsKept } = options;
  return intend(options, { signal, period, runId }, 'drop', async (others) => {
    if (isRestoring(others, clock())) return false;
    // Whoever has restored it before that has published it.
    const published = await publishedRunIds(clickhouse, signal, period);
    if (published.slice(0, runsKept).includes(runId)) return false;
    await drop();
    const left = [...others.drop, ...others.restore].map(({ key }) => key);
    if (left.length > 0) await store.delete(left);
    return true;
  });
}

/** Rollbacks take seconds: one that began long ago was killed. */
function isRestoring({ restore }: OtherIntents, nowMs: number): boolean {
  return restore.some(({ storedMs }) => nowMs - storedMs < debrisAgeMs);
}

async function insertResults(
  clickhouse: ClickHouse,
  period: Period,
  runId: string,
  { tables }: RunResults,
): Promise<void> {
  const { column, value } = periodKey(period);
  const key = { [column]: value, run_id: runId };
  for (const table of tables) {
    for await (const part of table.parts()) {
      await clickhouse.insertRows(
        table.name,
        part.map((row) => ({ ...key, ...row })),
      );
    }
  }
}

/** Counts the run's rows in the tables: an insert that happened twice or in part is not published. */
async function assertArrived(
  clickhouse: ClickHouse,
  period: Period,
  runId: string,
  { tables }: RunResults,
): Promise<void> {
  const { column, type, value } = periodKey(period);
  const where = `${column} = {period:${type}} AND run_id = {run:String}`;
  const all = tables.flatMap((table) => withCopy(table.name).map((name) => ({ ...table, name })));
  const counts = all.flatMap(({ name, sumColumn }) =>
    ['count()', `sum(${sumColumn})`].map((of) => `(SELECT ${of} FROM ${name} WHERE ${where})`),
  );
  const rows = await clickhouse.query<{ counts: (string | number)[] }>(
    `SELECT [${counts.join(', ')}] AS counts`,
    { period: value, run: runId },
  );
  const wanted = all.flatMap(({ rowCount, sum }) => [rowCount, sum]);
  const found = rows[0]?.counts.map(Number) ?? [];
  if (wanted.every((count, index) => found[index] === count)) return;
  throw new TidemarkError(
    'BATCH_FAILED',
    `Cannot publish run ${runId}: ${found.join(', ')} rows and items are in ClickHouse, ` +
      `${wanted.join(', ')} were sent`,
    { retryable: true },
  );
}
