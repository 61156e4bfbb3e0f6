/** Reads which runs of which days are published. What readers see is decided by the views, not here. */
import type { Signal } from '../schemas/archive.ts';
import type { ClickHouse } from '../workers/clients/clickhouse.ts';

/** A published run: one row of `batch_runs`. What it calls spans are items of its signal. */
export interface PublishedRun {
  readonly signal: Signal;
  /** `2026-11-21`, UTC. */
  readonly date: string;
  readonly runId: string;
  readonly publishedAtMs: number;
  readonly isFinal: boolean;
  readonly watermarkMs: number;
  readonly inputHash: string;
  readonly codeVersion: string;
  readonly commits: number;
  readonly files: number;
  readonly rowsRead: number;
  readonly totalSpans: number;
  readonly duplicateSpans: number;
  readonly conflictSpans: number;
  readonly lateSpans: number;
  readonly shards: number;
  readonly elapsedMs: number;
}

type Row = { readonly [Name in keyof PublishedRun]: string | number | boolean };

const columns = `
  signal,
  toString(toDate(period_start, 'UTC')) AS date,
  run_id AS runId,
  toUnixTimestamp64Milli(published_at) AS publishedAtMs,
  is_final AS isFinal,
  toUnixTimestamp64Milli(watermark) AS watermarkMs,
  input_hash AS inputHash,
  code_version AS codeVersion,
  commits,
  files,
  rows_read AS rowsRead,
  total_spans AS totalSpans,
  duplicate_spans AS duplicateSpans,
  conflict_spans AS conflictSpans,
  late_spans AS lateSpans,
  shards,
  elapsed_ms AS elapsedMs`;

/**
 * The current run of a signal for each day in [fromDate, toDate], by day, as the view `batch_current` sees it: the
 * one published last. Throws `ClickHouseError`.
 */
export async function currentRuns(
  clickhouse: ClickHouse,
  signal: Signal,
  fromDate: string,
  toDate: string,
): Promise<ReadonlyMap<string, PublishedRun>> {
  const rows = await clickhouse.query<Row>(
    `SELECT ${columns} FROM batch_runs
     WHERE period_kind = 'day' AND signal = {signal:String}
       AND toDate(period_start, 'UTC') BETWEEN {from:Date} AND {to:Date}
     ORDER BY published_at DESC, run_id DESC
     LIMIT 1 BY period_start`,
    { signal, from: fromDate, to: toDate },
  );
  return new Map(rows.map(runOf).map((run) => [run.date, run]));
}

/** Ids of a signal's runs of one day, the one published last first. Throws `ClickHouseError`. */
export async function publishedRunIds(
  clickhouse: ClickHouse,
  signal: Signal,
  date: string,
): Promise<string[]> {
  const rows = await clickhouse.query<{ run_id: string }>(
    `SELECT run_id FROM batch_runs
     WHERE period_kind = 'day' AND signal = {signal:String}
       AND toDate(period_start, 'UTC') = {date:Date}
     GROUP BY run_id ORDER BY max(published_at) DESC, run_id DESC`,
    { signal, date },
  );
  return rows.map((row) => row.run_id);
}

function runOf(row: Row): PublishedRun {
  return {
    signal: row.signal as Signal,
    date: String(row.date),
    runId: String(row.runId),
    publishedAtMs: Number(row.publishedAtMs),
    isFinal: Boolean(row.isFinal),
    watermarkMs: Number(row.watermarkMs),
    inputHash: String(row.inputHash),
    codeVersion: String(row.codeVersion),
    commits: Number(row.commits),
    files: Number(row.files),
    rowsRead: Number(row.rowsRead),
    totalSpans: Number(row.totalSpans),
    duplicateSpans: Number(row.duplicateSpans),
    conflictSpans: Number(row.conflictSpans),
    lateSpans: Number(row.lateSpans),
    shards: Number(row.shards),
    elapsedMs: Number(row.elapsedMs),
  };
}
