/**
 * Publishes a run (DESIGN: publishing is one atomic insert): its rows go in under a run id that no
 * reader knows, are counted there, and then one row of `batch_runs` makes them current. It never
 * changes or removes what readers see.
 */
import { TidemarkError } from '../schemas/errors.ts';
import { debrisAgeMs, publishRowsPerInsert, publishTriesMax } from '../schemas/limits/batch.ts';
import type { ClickHouse } from '../workers/clients/clickhouse.ts';
import type { GroupStats } from './merge.ts';
import { publishedRunIds, type PublishedRun } from './runs.ts';

/** A run as it is about to be published; what publishing itself decides is not in it. */
export type RunRecord = Omit<PublishedRun, 'runId' | 'publishedAtMs'>;

export interface PublishOptions {
  /** Current time, ms since 1970. */
  readonly clock: () => number;
  /** A new run id each time: no two tries ever share rows. */
  readonly newRunId: () => string;
  /** When the current run of the day was published; the new one is published later than that. */
  readonly previousMs: number;
}

type TableRow = Readonly<Record<string, unknown>>;

const statsTable = 'service_stats_batch';
const dedupTable = 'service_dedup_batch';
const tables = [statsTable, dedupTable];

/**
 * Publishes the run and returns it as it stands in `batch_runs`. A crash at any point leaves readers on the
 * run that was current before, and rows that a later run of the day removes.
 *
 * `groups` have the quantiles 0.5, 0.95 and 0.99. Throws `ClickHouseError`, and `TidemarkError`
 * BATCH_FAILED when the rows that arrived are not those that were sent.
 */
export async function publishRun(
  clickhouse: ClickHouse,
  run: RunRecord,
  groups: readonly GroupStats[],
  options: PublishOptions,
): Promise<PublishedRun> {
  for (let attempt = 1; ; attempt += 1) {
    const runId = options.newRunId();
    try {
      await insertResults(clickhouse, run.date, runId, groups);
      await assertArrived(clickhouse, run.date, runId, groups);
      return await makeCurrent(clickhouse, { ...run, runId }, options);
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

/**
 * Removes rows of the day that nobody reads any more: those of runs before the last `runsKept`, and those
 * that an unfinished publishing left behind long ago. Returns the ids of the runs. Throws `ClickHouseError`.
 */
export async function dropOldRuns(
  clickhouse: ClickHouse,
  date: string,
  { clock, runsKept }: { readonly clock: () => number; readonly runsKept: number },
): Promise<string[]> {
  const published = await publishedRunIds(clickhouse, date);
  const kept = new Set(published.slice(0, runsKept));
  const known = new Set(published);
  const dropped = new Set<string>();
  for (const table of tables) {
    for (const { runId, changedMs } of await storedRuns(clickhouse, table, date)) {
      const old = known.has(runId) || changedMs < clock() - debrisAgeMs;
      if (kept.has(runId) || !old) continue;
      await dropPartition(clickhouse, table, date, runId);
      dropped.add(runId);
    }
  }
  return [...dropped].toSorted();
}

async function insertResults(
  clickhouse: ClickHouse,
  date: string,
  runId: string,
  groups: readonly GroupStats[],
): Promise<void> {
  const key = { date, run_id: runId };
  for (let from = 0; from < groups.length; from += publishRowsPerInsert) {
    const part = groups.slice(from, from + publishRowsPerInsert);
    await clickhouse.insertRows(
      statsTable,
      part.map((group) => ({ ...key, ...statsRow(group) })),
    );
  }
  const services = dedupRows(groups);
  for (let from = 0; from < services.length; from += publishRowsPerInsert) {
    const part = services.slice(from, from + publishRowsPerInsert);
    await clickhouse.insertRows(
      dedupTable,
      part.map((service) => ({ ...key, ...service })),
    );
  }
}

function statsRow(group: GroupStats): TableRow {
  const [p50 = Number.NaN, p95 = Number.NaN, p99 = Number.NaN] = group.quantilesMs;
  return {
    tenant_id: group.tenantId,
    service_name: group.serviceName,
    operation_name: group.operationName,
    total_spans: group.totalSpans,
    duplicate_spans: group.duplicateSpans,
    p50_ms: double(p50),
    p95_ms: double(p95),
    p99_ms: double(p99),
    min_ms: double(group.minMs),
    max_ms: double(group.maxMs),
    mean_ms: double(group.meanMs),
    error_count: group.errorCount,
    unique_traces: group.uniqueTraces,
    conflict_spans: group.conflicts,
  };
}

/** JSON has no NaN; ClickHouse reads it from a string. A group whose spans were all duplicates has it. */
function double(value: number): number | string {
  return Number.isNaN(value) ? 'nan' : value;
}

interface DedupRow {
  readonly tenant_id: string;
  readonly service_name: string;
  raw_span_count: number;
  deduped_span_count: number;
  duplicate_span_count: number;
}

/** Sums over the operations of each service. */
function dedupRows(groups: readonly GroupStats[]): DedupRow[] {
  const services = new Map<string, DedupRow>();
  for (const { tenantId, serviceName, totalSpans, duplicateSpans } of groups) {
    const key = JSON.stringify([tenantId, serviceName]);
    const row = services.get(key) ?? {
      tenant_id: tenantId,
      service_name: serviceName,
      raw_span_count: 0,
      deduped_span_count: 0,
      duplicate_span_count: 0,
    };
    row.raw_span_count += totalSpans + duplicateSpans;
    row.deduped_span_count += totalSpans;
    row.duplicate_span_count += duplicateSpans;
    services.set(key, row);
  }
  return [...services.values()];
}

/** Counts the run's rows in the tables: an insert that happened twice or in part is not published. */
async function assertArrived(
  clickhouse: ClickHouse,
  date: string,
  runId: string,
  groups: readonly GroupStats[],
): Promise<void> {
  const rows = await clickhouse.query<{ counts: (string | number)[] }>(
    `SELECT [
       (SELECT count() FROM ${statsTable} WHERE date = {date:Date} AND run_id = {run:String}),
       (SELECT sum(total_spans) FROM ${statsTable}
         WHERE date = {date:Date} AND run_id = {run:String}),
       (SELECT count() FROM ${dedupTable} WHERE date = {date:Date} AND run_id = {run:String}),
       (SELECT sum(deduped_span_count) FROM ${dedupTable}
         WHERE date = {date:Date} AND run_id = {run:String})
     ] AS counts`,
    { date, run: runId },
  );
  const spans = groups.reduce((sum, group) => sum + group.totalSpans, 0);
  const wanted = [groups.length, spans, dedupRows(groups).length, spans];
  const found = rows[0]?.counts.map(Number) ?? [];
  if (wanted.every((count, index) => found[index] === count)) return;
  throw new TidemarkError(
    'BATCH_FAILED',
    `Cannot publish run ${runId}: ${found.join(', ')} rows and spans are in ClickHouse, ` +
      `${wanted.join(', ')} were sent`,
    { retryable: true },
  );
}

function runRow(run: PublishedRun): TableRow {
  return {
    period_kind: 'day',
    period_start: `${run.date}T00:00:00Z`,
    run_id: run.runId,
    published_at: new Date(run.publishedAtMs).toISOString(),
    is_final: run.isFinal,
    watermark: new Date(run.watermarkMs).toISOString(),
    input_hash: run.inputHash,
    commits: run.commits,
    files: run.files,
    rows_read: run.rowsRead,
    total_spans: run.totalSpans,
    duplicate_spans: run.duplicateSpans,
    conflict_spans: run.conflictSpans,
    late_spans: run.lateSpans,
    shards: run.shards,
    elapsed_ms: run.elapsedMs,
    code_version: run.codeVersion,
  };
}

interface StoredRun {
  readonly runId: string;
  readonly changedMs: number;
}

/** The runs of the day that have rows in a table, and when those were last written. */
async function storedRuns(
  clickhouse: ClickHouse,
  table: string,
  date: string,
): Promise<StoredRun[]> {
  // A partition reads ('2026-11-21','2026-11-21-0123456789ab-c0de').
  const rows = await clickhouse.query<{ partition: string; changed: string | number }>(
    `SELECT partition, toUnixTimestamp(max(modification_time)) AS changed FROM system.parts
     WHERE active AND database = currentDatabase() AND table = {table:String}
       AND startsWith(partition, {prefix:String})
     GROUP BY partition`,
    { table, prefix: `('${date}',` },
  );
  return rows.flatMap(({ partition, changed }) => {
    const runId = /^\('[\d-]+','([\w.-]+)'\)$/.exec(partition)?.[1];
    return runId === undefined ? [] : [{ runId, changedMs: Number(changed) * 1000 }];
  });
}

async function dropPartition(
  clickhouse: ClickHouse,
  table: string,
  date: string,
  runId: string,
): Promise<void> {
  await clickhouse.command(
    `ALTER TABLE ${table} DROP PARTITION ({date:Date}, {run:String})`,
    { date, run: runId },
    { idempotent: true },
  );
}
