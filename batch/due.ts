/**
 * The conductor of what is due: looks at the periods that may still change, each signal by itself, and brings
 * those that are due up to date, one after the other. Which are due is decided by `schedule.ts`, when to
 * look by the caller.
 */
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import type { Period, PeriodKind } from '../schemas/period.ts';
import type { Settings } from '../schemas/settings.ts';
import type { ClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectStore } from '../workers/clients/store/objects.ts';
import { listInputs } from './plan/input.ts';
import { runBatch, type BatchOptions, type RunReport } from './run.ts';
import { currentRuns } from './publish/runs.ts';
import {
  duePeriods,
  periodsToLookAt,
  type DuePeriod,
  type PeriodState,
} from './scheduler/schedule.ts';
import { publishedOf, signalsOf } from './signals.ts';

export interface LookOptions {
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
  readonly settings: Settings;
  /** Current time, ms since 1970. */
  readonly clock: () => number;
  /** The periods to look at. @default days */
  readonly kind?: PeriodKind;
  /** The signals to look at. @default all that have runs of such periods */
  readonly signals?: readonly Signal[];
}

export type DueOptions = Omit<BatchOptions, 'period' | 'of' | 'force'> & LookOptions;

export interface DueReport {
  readonly runs: readonly RunReport[];
  /** Periods that failed; the others were done all the same. */
  readonly failures: readonly Failure[];
}

export interface Failure {
  readonly period: Period;
  readonly signal: Signal;
  readonly error: TidemarkError;
}

/**
 * The periods that a run would change now, oldest first, and of which signal: never computed, changed by
 * late data, or complete by now. Reads commits, no data. Throws what the store and ClickHouse throw, and
 * `SettingError` for hours of a signal that has no runs of them.
 */
export async function lookForDue(options: LookOptions): Promise<DuePeriod[]> {
  const { settings, clock, kind = 'day' } = options;
  const periods = periodsToLookAt(kind, clock());
  const states: PeriodState[] = [];
  for (const signal of wantedOf(options, kind)) {
    states.push(...(await lookAt(options, signal, periods)));
  }
  return duePeriods(states, settings.TIDEMARK_ALLOWED_LATENESS_MS);
}

/** The signals to look at, by default all. Throws `SettingError` for one that has no runs of such periods. */
export function wantedOf(
  { signals }: Pick<LookOptions, 'signals'>,
  kind: PeriodKind,
): readonly Signal[] {
  const wanted = signals ?? signalsOf(kind);
  for (const signal of wanted) publishedOf(signal, kind);
  return wanted;
}

async function lookAt(
  { store, clickhouse, kind = 'day' }: LookOptions,
  signal: Signal,
  periods: readonly Period[],
): Promise<PeriodState[]> {
  const [fromMs, toMs] = [periods[0]?.startMs ?? 0, periods.at(-1)?.endMs ?? 0];
  const runs = await currentRuns(clickhouse, signal, { kind, fromMs, toMs });
  const inputs = await listInputs(store, signal, periods);
  return inputs.map(({ period, ownFiles: files, inputHash, rowsRemoved, watermarkMs }) => {
    const current = runs.get(period.name);
    return { period, signal, files, inputHash, rowsRemoved, watermarkMs, current };
  });
}

/**
 * Runs the batch for every period that is due. A period or signal that fails does not keep the others from
 * being done. Throws when it cannot look, or was told to stop.
 */
export async function runDue(options: DueOptions): Promise<DueReport> {
  const due = await lookForDue(options);
  return runEach(options, due, ({ period, signal, reason }) =>
    options.log.info({ period: period.name, signal, reason }, 'the batch is due'),
  );
}

/**
 * Runs the batch for each signal of one period. One that fails does not keep the others from being done.
 * Throws when it was told to stop, and `SettingError` for hours of a signal that has no runs of them.
 */
export async function runPeriod(
  options: Omit<DueOptions, 'kind'> & { readonly period: Period; readonly force?: boolean },
): Promise<DueReport> {
  const { period } = options;
  const each = wantedOf(options, period.kind).map((signal) => ({ period, signal }));
  return runEach(options, each, () => undefined);
}

async function runEach<Due extends Pick<DuePeriod, 'period' | 'signal'>>(
  options: DueOptions & { readonly force?: boolean },
  all: readonly Due[],
  onBegin: (due: Due) => void,
): Promise<DueReport> {
  const runs: RunReport[] = [];
  const failures: Failure[] = [];
  for (const due of all) {
    const { period, signal } = due;
    onBegin(due);
    try {
      runs.push(await runBatch({ ...options, period, of: signal }));
    } catch (error) {
      if (!(error instanceof TidemarkError) || options.signal?.aborted === true) throw error;
      options.log.warn({ period: period.name, signal, err: error }, 'the batch failed');
      failures.push({ period, signal, error });
    }
  }
  return { runs, failures };
}
