/**
 * Partitions of published tables: a run has one of its own in each, so rows of a run come and go together.
 * Which of them may go is not decided here.
 */
import { periodKey, type Period } from '../../schemas/period.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';

/**
 * Tables whose rows a view puts into a second one as well, where those of all runs lie together: they
 * arrive with those of the first, and are removed with them.
 */
const copies: Readonly<Record<string, string>> = { service_stats_batch: 'service_stats_days' };

/** A table and the copy of it, if it has one. */
export function withCopy(table: string): string[] {
  const copy = copies[table];
  return copy === undefined ? [table] : [table, copy];
}

/** A run that has rows in a table. */
export interface StoredRun {
  /** The period as `periodKey` writes it. */
  readonly period: string;
  readonly runId: string;
  /** When rows were last written, ms since 1970, whole seconds. */
  readonly changedMs: number;
}

/** The runs that have rows in a table, of one period or of all. Throws `ClickHouseError`. */
export async function storedRuns(
  clickhouse: ClickHouse,
  table: string,
  period?: string,
): Promise<StoredRun[]> {
  // A partition reads ('2026-11-21','2026-11-21-0123456789ab-c0de'); that of an hour has its time.
  const rows = await clickhouse.query<{ partition: string; changed: string | number }>(
    `SELECT partition, toUnixTimestamp(max(modification_time)) AS changed FROM system.parts
     WHERE active AND database = currentDatabase() AND table = {table:String}
       AND startsWith(partition, {prefix:String})
     GROUP BY partition`,
    { table, prefix: period === undefined ? '(' : `('${period}',` },
  );
  return rows.flatMap(({ partition, changed }) => {
    const [, start, runId] = /^\('([\d: -]+)','([\w.-]+)'\)$/.exec(partition) ?? [];
    if (start === undefined || runId === undefined) return [];
    return [{ period: start, runId, changedMs: Number(changed) * 1000 }];
  });
}

/** Removes a run's rows from a table and its copy, if there are any. Throws `ClickHouseError`. */
export async function dropPartition(
  clickhouse: ClickHouse,
  table: string,
  period: Period,
  runId: string,
): Promise<void> {
  const { column, type, value } = periodKey(period);
  const parameters = { period: value, run: runId };
  // The partition goes last: by it a removal that broke off is found again.
  const copy = copies[table];
  if (copy !== undefined) {
    const rows = `${column} = {period:${type}} AND run_id = {run:String}`;
    await clickhouse.command(`DELETE FROM ${copy} WHERE ${rows}`, parameters, { idempotent: true });
  }
  await clickhouse.command(
    `ALTER TABLE ${table} DROP PARTITION ({period:${type}}, {run:String})`,
    parameters,
    { idempotent: true },
  );
}
