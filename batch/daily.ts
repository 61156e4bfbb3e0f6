/**
 * The conductor of the schedule: looks at the days that may still change, each signal by itself, and brings
 * those that are due up to date, one after the other. Which are due is decided by `schedule.ts`, when to look by the caller.
 */
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { daysLookedAtOnce } from '../schemas/limits/batch.ts';
import type { Settings } from '../schemas/settings.ts';
import type { ClickHouse } from '../workers/clients/clickhouse.ts';
import type { ObjectStore } from '../workers/clients/objects.ts';
import { mapParallel } from '../workers/clients/parallel.ts';
import { listInput } from './input.ts';
import { runBatch, type BatchOptions, type RunReport } from './run.ts';
import { currentRuns } from './runs.ts';
import { daysToLookAt, dueDays, type DayState, type DueDay } from './schedule.ts';
import { signals } from './signals.ts';

export interface LookOptions {
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
  readonly settings: Settings;
  /** Current time, ms since 1970. */
  readonly clock: () => number;
}

export type DailyOptions = Omit<BatchOptions, 'date' | 'of' | 'force'> & {
  /** The signals to compute. @default all */
  readonly signals?: readonly Signal[];
};

export interface DailyReport {
  readonly runs: readonly RunReport[];
  /** Days that failed; the others were done all the same. */
  readonly failures: readonly Failure[];
}

export interface Failure {
  readonly date: string;
  readonly signal: Signal;
  readonly error: TidemarkError;
}

/**
 * The days that a run would change now, oldest first, and of which signal: never computed, changed by
 * late data, or complete by now. Reads commits, no data. Throws what the store and ClickHouse throw.
 */
export async function lookForDueDays(
  options: LookOptions & { readonly signals?: readonly Signal[] },
): Promise<DueDay[]> {
  const { settings, clock } = options;
  const dates = daysToLookAt(clock());
  const states: DayState[] = [];
  for (const signal of options.signals ?? signals) {
    states.push(...(await lookAtDays(options, signal, dates)));
  }
  return dueDays(states, settings.TIDEMARK_ALLOWED_LATENESS_MS);
}

async function lookAtDays(
  { store, clickhouse }: LookOptions,
  signal: Signal,
  dates: readonly string[],
): Promise<DayState[]> {
  const runs = await currentRuns(clickhouse, signal, dates[0] ?? '', dates.at(-1) ?? '');
  return mapParallel(dates, daysLookedAtOnce, async (date): Promise<DayState> => {
    const { dayFiles, inputHash, rowsRemoved, watermarkMs } = await listInput(store, signal, date);
    const current = runs.get(date);
    return { date, signal, files: dayFiles, inputHash, rowsRemoved, watermarkMs, current };
  });
}

/**
 * Runs the batch for every day that is due. A day or signal that fails does not keep the others from
 * being done. Throws when it cannot look, or was told to stop.
 */
export async function runDueDays(options: DailyOptions): Promise<DailyReport> {
  const due = await lookForDueDays(options);
  return runEach(options, due, ({ date, signal, reason }) =>
    options.log.info({ date, signal, reason }, 'the batch is due'),
  );
}

/**
 * Runs the batch for each signal of one day. One that fails does not keep the others from being done.
 * Throws when it was told to stop.
 */
export function runDay(
  options: DailyOptions & { readonly date: string; readonly force?: boolean },
): Promise<DailyReport> {
  const days = (options.signals ?? signals).map((signal) => ({ date: options.date, signal }));
  return runEach(options, days, () => undefined);
}

async function runEach<Day extends { readonly date: string; readonly signal: Signal }>(
  options: DailyOptions & { readonly force?: boolean },
  days: readonly Day[],
  onBegin: (day: Day) => void,
): Promise<DailyReport> {
  const runs: RunReport[] = [];
  const failures: Failure[] = [];
  for (const day of days) {
    const { date, signal } = day;
    onBegin(day);
    try {
      runs.push(await runBatch({ ...options, date, of: signal }));
    } catch (error) {
      if (!(error instanceof TidemarkError) || options.signal?.aborted === true) throw error;
      options.log.warn({ date, signal, err: error }, 'the batch failed');
      failures.push({ date, signal, error });
    }
  }
  return { runs, failures };
}
