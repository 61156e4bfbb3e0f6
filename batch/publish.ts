/**
 * Publishes a run (DESIGN: publishing is one atomic insert): its rows go in under a run id that no
 * reader knows, are counted there, and then one row of `batch_runs` makes them current. It never
 * changes or removes what readers see.
 */
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { debrisAgeMs, publishTriesMax } from '../schemas/limits/batch.ts';
import { dateTime, periodKey, type Period } from '../schemas/period.ts';
import type { ClickHouse } from '../workers/clients/clickhouse.ts';
import { dropPartition, storedRuns } from './partition.ts';
import { publishedRunIds, type PublishedRun } from './runs.ts';
import type { RunResults, TableRow } from './work.ts';

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
      return await makeCurrent(clickhouse, { ...run, ...done, runId }, options);
    } catch (error) {
      // An insert whose answer got lost may have happened: not repeated, begun anew under a new id.
      const passing = error instanceof TidemarkError && error.retryable;
      if (!passing || attempt >= publishTriesMax) throw error;
    }
  }
}

/**
 * Makes a run that is in the tables current: one row. `previousMs` is when the one that is current by now was
 * published. Throws `ClickHouseError`.
 */
export async function makeCurrent(
  clickhouse: ClickHouse,
  run: Omit<PublishedRun, 'publishedAtMs'>,
  { clock, previousMs }: Pick<PublishOptions, 'clock' | 'previousMs'>,
): Promise<PublishedRun> {
  // The views take the run that was published last: clocks of two machines must not decide it.
  const publishedAtMs = Math.max(clock(), previousMs + 1);
  const published = { ...run, publishedAtMs };
  await clickhouse.insertRows('batch_runs', [runRow(published)], { idempotent: true });
  return published;
}

export interface DropOptions {
  readonly period: Period;
  readonly signal: Signal;
  /** The tables that hold runs of the signal. */
  readonly tables: readonly string[];
  readonly clock: () => number;
  readonly runsKept: number;
}

/**
 * Removes rows of the period that nobody reads any more: those of runs before the last `runsKept`, and those
 * that an unfinished publishing left behind long ago. Returns the ids of the runs. Throws `ClickHouseError`.
 */
export async function dropOldRuns(
  clickhouse: ClickHouse,
  { period, signal, tables, clock, runsKept }: DropOptions,
): Promise<string[]> {
  const published = await publishedRunIds(clickhouse, signal, period);
  const kept = new Set(published.slice(0, runsKept));
  const known = new Set(published);
  const dropped = new Set<string>();
  for (const table of tables) {
    for (const { runId, changedMs } of await storedRuns(
      clickhouse,
      table,
      periodKey(period).value,
    )) {
      const old = known.has(runId) || changedMs < clock() - debrisAgeMs;
      if (kept.has(runId) || !old) continue;
      await dropPartition(clickhouse, table, period, runId);
      dropped.add(runId);
    }
  }
  return [...dropped].toSorted();
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
  const counts = tables.flatMap(({ name, sumColumn }) =>
    ['count()', `sum(${sumColumn})`].map((of) => `(SELECT ${of} FROM ${name} WHERE ${where})`),
  );
  const rows = await clickhouse.query<{ counts: (string | number)[] }>(
    `SELECT [${counts.join(', ')}] AS counts`,
    { period: value, run: runId },
  );
  const wanted = tables.flatMap(({ rowCount, sum }) => [rowCount, sum]);
  const found = rows[0]?.counts.map(Number) ?? [];
  if (wanted.every((count, index) => found[index] === count)) return;
  throw new TidemarkError(
    'BATCH_FAILED',
    `Cannot publish run ${runId}: ${found.join(', ')} rows and items are in ClickHouse, ` +
      `${wanted.join(', ')} were sent`,
    { retryable: true },
  );
}

function runRow(run: PublishedRun): TableRow {
  return {
    signal: run.signal,
    period_kind: run.period.kind,
    period_start: dateTime(run.period.startMs),
    run_id: run.runId,
    published_at: new Date(run.publishedAtMs).toISOString(),
    is_final: run.isFinal,
    watermark: new Date(run.watermarkMs).toISOString(),
    input_hash: run.inputHash,
    seen_hash: run.seenHash,
    cause: run.cause,
    commits: run.commits,
    files: run.files,
    rows_read: run.rowsRead,
    total_spans: run.totalSpans,
    duplicate_spans: run.duplicateSpans,
    conflict_spans: run.conflictSpans,
    late_spans: run.lateSpans,
    folded_operations: run.foldedOperations,
    shards: run.shards,
    elapsed_ms: run.elapsedMs,
    list_ms: run.listMs,
    compute_ms: run.computeMs,
    merge_ms: run.mergeMs,
    publish_ms: run.publishMs,
    code_version: run.codeVersion,
  };
}
