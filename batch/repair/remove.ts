/**
 * Removes rows of the speed tables that are there too often. A row is named by its part and its place in
 * it, so of equal rows one stays, and a row that arrives meanwhile is never meant: it has a part of its own.
 * A merge moves rows to other parts; then nothing is removed, and the list is made again.
 */
import { TidemarkError } from '../../schemas/errors.ts';
import { repairDeletesPerStatement, repairDeleteTriesMax } from '../../schemas/limits/repair.ts';
import type { ClickHouse, QueryParams } from '../../workers/clients/clickhouse/clickhouse.ts';
import { surplusSql, type Compared, type Part } from './compare.ts';

export interface RemoveOptions {
  readonly clickhouse: ClickHouse;
  readonly compared: Compared;
  readonly part: Part;
  /** How many rows are too many, as they were counted. */
  readonly surplus: number;
  readonly params: QueryParams;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: (line: string) => void;
}

interface SurplusRow {
  readonly table_index: number;
  readonly part: string;
  /** Decimal. */
  readonly offset: string;
}

/** Removes the surplus rows of a slice until none is left. Throws BATCH_FAILED when that takes too long. */
export async function removeSurplus(options: RemoveOptions): Promise<void> {
  const { clickhouse, compared, part, surplus, params, signal, onProgress } = options;
  const { speedTables } = compared.repair.drift;
  const sql = surplusSql(compared, part, repairDeletesPerStatement);
  const triesMax = Math.ceil(surplus / repairDeletesPerStatement) + repairDeleteTriesMax;
  for (let tries = 0; tries < triesMax; tries += 1) {
    signal?.throwIfAborted();
    const rows = await clickhouse.query<SurplusRow>(sql, params);
    if (rows.length === 0) return;
    onProgress(`slice ${part.index + 1} of ${part.count}: removing ${rows.length} rows`);
    for (const [index, its] of Map.groupBy(rows, (row) => row.table_index)) {
      for (const statement of deletesOf(speedTables[index] ?? '', its)) {
        await clickhouse.command(statement, {}, { idempotent: true });
      }
    }
  }
  const message = `Cannot remove rows that are too many: merges moved them ${triesMax} times`;
  throw new TidemarkError('BATCH_FAILED', message, { retryable: true });
}

/**
 * A statement for each partition: it gives new names to all of the partition's parts, so what others name
 * must be of other partitions.
 */
function deletesOf(table: string, rows: readonly SurplusRow[]): string[] {
  const partitions = Map.groupBy(rows, ({ part }) => part.slice(0, part.indexOf('_')));
  return [...partitions].map(([partition, its]) => {
    const parts = Map.groupBy(its, ({ part }) => part);
    const conditions = [...parts].map(([part, places]) => {
      const offsets = places.map(({ offset }) => offset).join(', ');
      return `(_part = '${part}' AND _part_offset IN (${offsets}))`;
    });
    return `DELETE FROM ${table} IN PARTITION ID '${partition}' WHERE ${conditions.join(' OR ')}`;
  });
}
