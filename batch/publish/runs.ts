/** Reads which runs of which periods are published. What readers see is decided by the views, not here. */
import type { Signal } from '../../schemas/archive.ts';
import { dateTime, periodAt, type Period, type PeriodKind } from '../../schemas/period.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';

/** A published run: one row of `batch_runs`. What it calls spans are items of its signal. */
export interface PublishedRun {
  readonly signal: Signal;
  readonly period: Period;
  readonly runId: string;
  readonly publishedAtMs: number;
  readonly isFinal: boolean;
  readonly watermarkMs: number;
  readonly inputHash: string;
  /**
   * Of the newest input that a run of the period has had. It is another than `inputHash` only for a run
   * that a rollback has made current again: what it has not seen is known, and makes nothing due.
   */
  readonly seenHash: string;
  /** Why it is current: it was computed, it was confirmed as final, or it was restored by a rollback. */
  readonly cause: 'computed' | 'confirmed' | 'restored';
  readonly codeVersion: string;
  readonly commits: number;
  readonly files: number;
  readonly rowsRead: number;
  readonly totalSpans: number;
  readonly duplicateSpans: number;
  readonly conflictSpans: number;
  /** Rows that it read more than the run that was current before. */
  readonly lateSpans: number;
  /** Operations that are published as `__overflow__`, because their service has too many. */
  readonly foldedOperations: number;
  readonly shards: number;
  /** From the first look at the archive until the rows were there; of that, the phases took: */
  readonly elapsedMs: number;
  readonly listMs: number;
  readonly computeMs: number;
  readonly mergeMs: number;
  readonly publishMs: number;
}

type Column = Exclude<keyof PublishedRun, 'period'> | 'kind' | 'startSeconds';

type Row = { readonly [Name in Column]: string | number | boolean };

const columns = `
  signal,
  period_kind AS kind,
  toUnixTimestamp(period_start) AS startSeconds,
  run_id AS runId,
  toUnixTimestamp64Milli(published_at) AS publishedAtMs,
  is_final AS isFinal,
  toUnixTimestamp64Milli(watermark) AS watermarkMs,
  input_hash AS inputHash,
  seen_hash AS seenHash,
  cause,
  code_version AS codeVersion,
  commits,
  files,
  rows_read AS rowsRead,
  total_spans AS totalSpans,
  duplicate_spans AS duplicateSpans,
  conflict_spans AS conflictSpans,
  late_spans AS lateSpans,
  folded_operations AS foldedOperations,
  shards,
  elapsed_ms AS elapsedMs,
  list_ms AS listMs,
  compute_ms AS computeMs,
  merge_ms AS mergeMs,
  publish_ms AS publishMs`;

export interface PeriodRange {
  readonly kind: PeriodKind;
  /** Starts of periods in [fromMs, toMs). */
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * The current run of a signal for each period of the range, by the period's name, as the view `batch_current`
 * sees it: the one published last. Throws `ClickHouseError`.
 */
export async function currentRuns(
  clickhouse: ClickHouse,
  signal: Signal,
  { kind, fromMs, toMs }: PeriodRange,
): Promise<ReadonlyMap<string, PublishedRun>> {
  const rows = await clickhouse.query<Row>(
    `SELECT ${columns} FROM batch_runs
     WHERE period_kind = {kind:String} AND signal = {signal:String}
       AND period_start >= {from:DateTime('UTC')} AND period_start < {to:DateTime('UTC')}
     ORDER BY published_at DESC, run_id DESC
     LIMIT 1 BY period_start`,
    { signal, kind, from: dateTime(fromMs), to: dateTime(toMs) },
  );
  return new Map(rows.map(runOf).map((run) => [run.period.name, run]));
}

/** The current run of a signal for one period, if any. Throws `ClickHouseError`. */
export async function currentRun(
  clickhouse: ClickHouse,
  signal: Signal,
  { kind, name, startMs, endMs }: Period,
): Promise<PublishedRun | undefined> {
  const runs = await currentRuns(clickhouse, signal, { kind, fromMs: startMs, toMs: endMs });
  return runs.get(name);
}

/** A run, and when it was first published: a rollback and a confirmation publish it again. */
export interface RunHistory extends PublishedRun {
  readonly firstPublishedAtMs: number;
}

/**
 * All runs of a signal for the periods of the range, as they were published last: newest period first, and of
 * each period the current run first. Throws `ClickHouseError`.
 */
export async function publishedRuns(
  clickhouse: ClickHouse,
  signal: Signal,
  { kind, fromMs, toMs }: PeriodRange,
): Promise<RunHistory[]> {
  const run = 'signal, period_kind, period_start, run_id';
  const rows = await clickhouse.query<Row & { firstPublishedAtMs: string | number }>(
    `SELECT ${columns},
       toUnixTimestamp64Milli(min(published_at) OVER (PARTITION BY ${run})) AS firstPublishedAtMs
     FROM batch_runs
     WHERE period_kind = {kind:String} AND signal = {signal:String}
       AND period_start >= {from:DateTime('UTC')} AND period_start < {to:DateTime('UTC')}
     ORDER BY period_start DESC, published_at DESC, run_id DESC
     LIMIT 1 BY ${run}`,
    { signal, kind, from: dateTime(fromMs), to: dateTime(toMs) },
  );
  return rows.map((row) => ({
    ...runOf(row),
    firstPublishedAtMs: Number(row.firstPublishedAtMs),
  }));
}

/**
 * What was published of a signal's period later than `sinceMs`: row by row, the one that counts last. Throws
 * `ClickHouseError`.
 */
export async function publishedSince(
  clickhouse: ClickHouse,
  signal: Signal,
  { kind, startMs }: Period,
  sinceMs: number,
): Promise<PublishedRun[]> {
  const rows = await clickhouse.query<Row>(
    `SELECT ${columns} FROM batch_runs
     WHERE period_kind = {kind:String} AND signal = {signal:String}
       AND period_start = {start:DateTime('UTC')}
       AND toUnixTimestamp64Milli(published_at) > {since:Int64}
     ORDER BY published_at, run_id`,
    { signal, kind, start: dateTime(startMs), since: sinceMs },
  );
  return rows.map(runOf);
}

/** Ids of a signal's runs of one period, the one published last first. Throws `ClickHouseError`. */
export async function publishedRunIds(
  clickhouse: ClickHouse,
  signal: Signal,
  { kind, startMs }: Period,
): Promise<string[]> {
  const rows = await clickhouse.query<{ run_id: string }>(
    `SELECT run_id FROM batch_runs
     WHERE period_kind = {kind:String} AND signal = {signal:String}
       AND period_start = {start:DateTime('UTC')}
     GROUP BY run_id ORDER BY max(published_at) DESC, run_id DESC`,
    { signal, kind, start: dateTime(startMs) },
  );
  return rows.map((row) => row.run_id);
}

function runOf(row: Row): PublishedRun {
  return {
    signal: row.signal as Signal,
    period: periodAt(row.kind as PeriodKind, Number(row.startSeconds) * 1000),
    runId: String(row.runId),
    publishedAtMs: Number(row.publishedAtMs),
    isFinal: Boolean(row.isFinal),
    watermarkMs: Number(row.watermarkMs),
    inputHash: String(row.inputHash),
    seenHash: String(row.seenHash),
    cause: row.cause as PublishedRun['cause'],
    codeVersion: String(row.codeVersion),
    commits: Number(row.commits),
    files: Number(row.files),
    rowsRead: Number(row.rowsRead),
    totalSpans: Number(row.totalSpans),
    duplicateSpans: Number(row.duplicateSpans),
    conflictSpans: Number(row.conflictSpans),
    lateSpans: Number(row.lateSpans),
    foldedOperations: Number(row.foldedOperations),
    shards: Number(row.shards),
    elapsedMs: Number(row.elapsedMs),
    listMs: Number(row.listMs),
    computeMs: Number(row.computeMs),
    mergeMs: Number(row.mergeMs),
    publishMs: Number(row.publishMs),
  };
}
