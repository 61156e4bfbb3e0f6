/**
 * The conductor of the schedule: looks at the days that may still change and brings those that are due up to
 * date, one after the other. Which are due is decided by `schedule.ts`, when to look by the caller.
 */
import { TidemarkError } from '../schemas/errors.ts';
import { daysLookedAtOnce } from '../schemas/limits/batch.ts';
import type { Settings } from '../schemas/settings.ts';
import { listPeriodFiles } from '../workers/clients/archive.ts';
import type { ClickHouse } from '../workers/clients/clickhouse.ts';
import type { ObjectStore } from '../workers/clients/objects.ts';
import { mapParallel } from '../workers/clients/parallel.ts';
import { runBatch, type BatchOptions, type RunReport } from './run.ts';
import { currentRuns } from './runs.ts';
import {
  dayMs,
  daysToLookAt,
  dueDays,
  startOfDay,
  type DayState,
  type DueDay,
} from './schedule.ts';

export interface LookOptions {
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
  readonly settings: Settings;
  /** Current time, ms since 1970. */
  readonly clock: () => number;
}

export type DailyOptions = Omit<BatchOptions, 'date' | 'force'>;

export interface DailyReport {
  readonly runs: readonly RunReport[];
  /** Days that failed; the others were done all the same. */
  readonly failures: readonly { readonly date: string; readonly error: TidemarkError }[];
}

/**
 * The days that a run would change now, oldest first: never computed, changed by late data, or
 * complete by now. Reads commits, no data. Throws what the store and ClickHouse throw.
 */
export async function lookForDueDays(options: LookOptions): Promise<DueDay[]> {
  const { store, clickhouse, settings, clock } = options;
  const dates = daysToLookAt(clock());
  const runs = await currentRuns(clickhouse, dates[0] ?? '', dates.at(-1) ?? '');
  const states = await mapParallel(dates, daysLookedAtOnce, async (date): Promise<DayState> => {
    const startMs = startOfDay(date);
    const input = await listPeriodFiles(store, 'traces', startMs, startMs + dayMs);
    const files = input.files.filter((file) => !file.quarantined).length;
    const { inputHash, watermarkMs } = input;
    return { date, files, inputHash, watermarkMs, current: runs.get(date) };
  });
  return dueDays(states, settings.TIDEMARK_ALLOWED_LATENESS_MS);
}

/**
 * Runs the batch for every day that is due. A day that fails does not keep the others from being
 * done. Throws when it cannot look, or was told to stop.
 */
export async function runDueDays(options: DailyOptions): Promise<DailyReport> {
  const runs: RunReport[] = [];
  const failures: { date: string; error: TidemarkError }[] = [];
  for (const { date, reason } of await lookForDueDays(options)) {
    options.log.info({ date, reason }, 'the batch is due');
    try {
      runs.push(await runBatch({ ...options, date }));
    } catch (error) {
      if (!(error instanceof TidemarkError) || options.signal?.aborted === true) throw error;
      options.log.warn({ date, err: error }, 'the batch failed');
      failures.push({ date, error });
    }
  }
  return { runs, failures };
}
