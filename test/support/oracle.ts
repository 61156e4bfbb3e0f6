/** The figures of a day by an engine that knows nothing of the batch: DuckDB over the same files. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { ArchivedFile } from './day.ts';

export interface OracleRow {
  readonly tenant_id: string;
  readonly service_name: string;
  readonly operation_name: string;
  readonly span_kind: string;
  readonly total_spans: number;
  readonly duplicate_spans: number;
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  readonly p99_ms: number | null;
  readonly min_ms: number | null;
  readonly max_ms: number | null;
  readonly mean_ms: number | null;
  readonly error_count: number;
  readonly unique_traces: number;
  readonly conflict_spans: number;
}

/** What DuckDB computes per group; `files` is a list or a glob in its own syntax. */
export function oracleSql(files: string): string {
  return `
    WITH spans AS (
      SELECT *, StatusCode = 'Error' AS failed,
        row_number() OVER arrival AS place,
        first_value(ServiceName) OVER arrival AS keptService,
        first_value(SpanName) OVER arrival AS keptName,
        first_value(StatusCode = 'Error') OVER arrival AS keptFailed,
        first_value(Duration) OVER arrival AS keptDuration
      FROM read_parquet(${files})
      WINDOW arrival AS (
        PARTITION BY TenantId, TraceId, SpanId, SpanKind
        ORDER BY IngestedAt, "Partition", "Offset", ItemIndex
      )
    )
    SELECT TenantId AS tenant_id, ServiceName AS service_name, SpanName AS operation_name,
      SpanKind AS span_kind,
      (count(*) FILTER (place = 1))::DOUBLE AS total_spans,
      (count(*) FILTER (place > 1))::DOUBLE AS duplicate_spans,
      (quantile_cont(Duration, 0.5) FILTER (place = 1)) / 1e6 AS p50_ms,
      (quantile_cont(Duration, 0.95) FILTER (place = 1)) / 1e6 AS p95_ms,
      (quantile_cont(Duration, 0.99) FILTER (place = 1)) / 1e6 AS p99_ms,
      (min(Duration) FILTER (place = 1)) / 1e6 AS min_ms,
      (max(Duration) FILTER (place = 1)) / 1e6 AS max_ms,
      (avg(Duration) FILTER (place = 1)) / 1e6 AS mean_ms,
      (count(*) FILTER (place = 1 AND failed))::DOUBLE AS error_count,
      (count(DISTINCT TraceId) FILTER (place = 1))::DOUBLE AS unique_traces,
      (count(*) FILTER (ServiceName != keptService OR SpanName != keptName
        OR failed != keptFailed OR Duration != keptDuration))::DOUBLE AS conflict_spans
    FROM spans
    GROUP BY ALL
    ORDER BY ALL`;
}

/** Runs DuckDB over copies of the files. */
export async function askDuckDb(files: readonly ArchivedFile[]): Promise<OracleRow[]> {
  if (files.length === 0) return [];
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-oracle-'));
  try {
    for (const [index, { bytes }] of files.entries()) {
      await writeFile(join(directory, `${index}.parquet`), bytes);
    }
    const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
    const connection = await instance.connect();
    const reader = await connection.runAndReadAll(oracleSql(`'${directory}/*.parquet'`));
    const rows = reader.getRowObjectsJS() as unknown as OracleRow[];
    connection.closeSync();
    instance.closeSync();
    return rows;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
