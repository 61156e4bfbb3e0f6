/** Lists the runs that were ever published, and which of them are still there. Reads only. */
import type { Signal } from '../schemas/archive.ts';
import { periodKey } from '../schemas/period.ts';
import type { ClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import { storedRuns } from './publish/partition.ts';
import { publishedRuns, type PeriodRange, type RunHistory } from './publish/runs.ts';
import { publishedOf } from './signals.ts';

/**
 * `current`: readers see it. `kept`: a rollback may make it current again. `dropped`: of later runs there
 * are so many that its rows were removed; the record of it stays.
 */
export type RunState = 'current' | 'kept' | 'dropped';

export interface ListedRun extends RunHistory {
  readonly state: RunState;
  /** Whether its rows are there; also true when it has none. */
  readonly isStored: boolean;
}

/**
 * All runs of a signal for the periods of the range: newest period first, and of each period the current run
 * first, then the others as they were published last. Throws `ClickHouseError`, and `SettingError` for hours of
 * a signal that has no runs of them.
 */
export async function listRuns(
  clickhouse: ClickHouse,
  signal: Signal,
  range: PeriodRange,
): Promise<ListedRun[]> {
  // Rows go from the first table first.
  const [table = ''] = publishedOf(signal, range.kind).tables;
  const runs = await publishedRuns(clickhouse, signal, range);
  const stored = await storedRuns(clickhouse, table);
  const kept = new Set(stored.map(({ period, runId }) => `${period} ${runId}`));
  return runs.map((run, index) => {
    const isNewest = runs[index - 1]?.period.name !== run.period.name;
    // A run of nothing has no rows that could have been removed.
    const isStored = kept.has(`${periodKey(run.period).value} ${run.runId}`) || run.rowsRead === 0;
    return { ...run, isStored, state: isNewest ? 'current' : isStored ? 'kept' : 'dropped' };
  });
}
