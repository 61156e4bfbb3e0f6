/** Reads from ClickHouse what the demo shows: the merged view, the runs and the drift. Only reads. */

/** Runs a statement with bound parameters, as `ClickHouse.query` does: 64-bit integers are strings. */
export type Query = <T>(sql: string, params: Readonly<Record<string, unknown>>) => Promise<T[]>;

/** One row of `service_stats_merged`. */
export interface MergedRow {
  readonly date: string;
  readonly service_name: string;
  readonly operation_name: string;
  readonly span_kind: string;
  readonly layer: 'batch' | 'realtime';
  readonly run_id: string;
  readonly is_final: boolean;
  readonly total_spans: number;
  readonly p50_ms: number;
  readonly p95_ms: number;
  readonly p99_ms: number;
  readonly error_count: number;
  readonly unique_traces: number;
}

/** One row of `batch_runs`. */
export interface RunRow {
  readonly run_id: string;
  readonly is_final: boolean;
  readonly rows_read: number;
  readonly total_spans: number;
  readonly duplicate_spans: number;
  readonly conflict_spans: number;
  readonly late_spans: number;
  readonly files: number;
  readonly elapsed_ms: number;
}

/** One row of `service_graph_batch`. */
export interface EdgeRow {
  readonly caller: string;
  readonly callee: string;
  readonly connection_type: string;
  readonly calls: number;
  readonly errors: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
}

/** Relative errors of the speed layer's quantiles over a day's operations: 0.01 is one percent. */
export interface QuantileError {
  readonly quantile: 'p50' | 'p95' | 'p99';
  readonly operations: number;
  readonly median: number;
  readonly max: number;
}

/** What the batch found per service. */
export interface DedupRow {
  readonly service_name: string;
  readonly raw_span_count: number;
  readonly deduped_span_count: number;
  readonly duplicate_span_count: number;
}

/** All rows of the merged view for some days, largest first within a day. */
export function readMerged(query: Query, dates: readonly string[]): Promise<MergedRow[]> {
  return query<MergedRow>(
    `SELECT date, service_name, operation_name, span_kind, layer, run_id, is_final,
        ${numbers('total_spans', 'error_count', 'unique_traces')}, p50_ms, p95_ms, p99_ms
     FROM service_stats_merged WHERE date IN {dates:Array(Date)}
     ORDER BY date, total_spans DESC, service_name, operation_name, span_kind`,
    { dates },
  );
}

/** The published runs of a day, oldest first. */
export function readRuns(query: Query, date: string): Promise<RunRow[]> {
  return query<RunRow>(
    `SELECT run_id, is_final, ${numbers('rows_read', 'total_spans', 'duplicate_spans')},
        ${numbers('conflict_spans', 'late_spans', 'files', 'elapsed_ms')}
     FROM batch_runs WHERE period_kind = 'day' AND signal = 'traces' AND toDate(period_start, 'UTC') = {date:Date}
     ORDER BY published_at`,
    { date },
  );
}

/** Duplicates by service, as the current run of a day has them. */
export function readDedup(query: Query, date: string, runId: string): Promise<DedupRow[]> {
  return query<DedupRow>(
    `SELECT service_name,
        ${numbers('raw_span_count', 'deduped_span_count', 'duplicate_span_count')}
     FROM service_dedup_batch WHERE date = {date:Date} AND run_id = {runId:String}
     ORDER BY service_name`,
    { date, runId },
  );
}

/** The service graph of a run, the edges with most calls first. */
export function readEdges(query: Query, date: string, runId: string): Promise<EdgeRow[]> {
  return query<EdgeRow>(
    `SELECT caller, callee, connection_type, ${numbers('calls', 'errors')}, p50_ms, p99_ms
     FROM service_graph_batch WHERE date = {date:Date} AND run_id = {runId:String}
     ORDER BY service_graph_batch.calls DESC, caller, callee, connection_type`,
    { date, runId },
  );
}

/** How far the speed layer's quantiles of a day are from the exact ones. */
export async function readQuantileErrors(query: Query, date: string): Promise<QuantileError[]> {
  const quantiles = ['p50', 'p95', 'p99'] as const;
  const columns = quantiles.map(
    (name) => `toFloat64(countIf(${name}_error IS NOT NULL)) AS ${name}_operations,
      ifNull(quantileExactInclusive(0.5)(abs(${name}_error)), 0) AS ${name}_median,
      ifNull(max(abs(${name}_error)), 0) AS ${name}_max`,
  );
  const [row] = await query<Record<string, number>>(
    `SELECT ${columns.join(', ')} FROM service_drift
     WHERE date = {date:Date} AND batch_total_spans > 0 AND realtime_total_spans > 0`,
    { date },
  );
  return quantiles.map((quantile) => ({
    quantile,
    operations: row?.[`${quantile}_operations`] ?? 0,
    median: row?.[`${quantile}_median`] ?? 0,
    max: row?.[`${quantile}_max`] ?? 0,
  }));
}

/** 64-bit counts as JSON numbers: exact, because no count here comes near 2^53. */
function numbers(...columns: string[]): string {
  return columns.map((column) => `toFloat64(${column}) AS ${column}`).join(', ');
}
