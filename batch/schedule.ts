/**
 * Decides which days the batch should compute now. A pure decision over what is archived and what is
 * published: it reads nothing and starts nothing.
 */
import type { Signal } from '../schemas/archive.ts';
import { SettingError } from '../schemas/errors.ts';
import { scheduleLookBackDays } from '../schemas/limits/batch.ts';

export const dayMs = 86_400_000;

/** What is known of one signal of one day. */
export interface DayState {
  readonly signal: Signal;
  /** `2026-11-21`, UTC. */
  readonly date: string;
  /** Files of the day in the archive. */
  readonly files: number;
  readonly inputHash: string;
  /** Rows of the input that retention took away. */
  readonly rowsRemoved: number;
  /** Everything received before this time (ms since 1970) is in those files. */
  readonly watermarkMs: number;
  /** The run that readers see, if one is published. */
  readonly current: { readonly inputHash: string; readonly isFinal: boolean } | undefined;
}

/** Why a day is due: never computed, changed by late data, or provisional and complete by now. */
export type DueReason = 'missing' | 'changed' | 'complete';

export interface DueDay {
  readonly date: string;
  readonly signal: Signal;
  readonly reason: DueReason;
}

/**
 * Start of a UTC day, ms since 1970. Throws `SettingError` for what is not a date such as
 * `2026-11-21`.
 */
export function startOfDay(date: string): number {
  const startMs = /^\d{4}-\d\d-\d\d$/.test(date) ? Date.parse(`${date}T00:00:00Z`) : Number.NaN;
  if (Number.isFinite(startMs) && new Date(startMs).toISOString().startsWith(date)) return startMs;
  throw new SettingError('date', `Cannot use the date "${date}": wanted one such as 2026-11-21`);
}

/** The days that have ended and may still change, oldest first: `2026-11-21` is the last on the 22nd. */
export function daysToLookAt(nowMs: number): string[] {
  const today = Math.floor(nowMs / dayMs) * dayMs;
  return Array.from({ length: scheduleLookBackDays }, (_, index) =>
    new Date(today - (scheduleLookBackDays - index) * dayMs).toISOString().slice(0, 10),
  );
}

/** Whether everything that may count for the day is archived, the allowed lateness included. */
export function isComplete(date: string, watermarkMs: number, allowedLatenessMs: number): boolean {
  return watermarkMs >= startOfDay(date) + dayMs + allowedLatenessMs;
}

/**
 * The days that are due, oldest first, signals in the order given. A day without files is never due: nothing was sent, or the
 * archive was cleared and the published figures are all that is left; nor is one that retention took
 * rows from: figures of the rest would not be the day's.
 */
export function dueDays(days: readonly DayState[], allowedLatenessMs: number): DueDay[] {
  return days
    .flatMap((day) => {
      const reason = dueReason(day, allowedLatenessMs);
      return reason === undefined ? [] : [{ date: day.date, signal: day.signal, reason }];
    })
    .toSorted((a, b) => (a.date < b.date ? -1 : Number(a.date > b.date)));
}

function dueReason(day: DayState, allowedLatenessMs: number): DueReason | undefined {
  if (day.files === 0) return undefined;
  const isWhole = day.rowsRemoved === 0;
  if (day.current === undefined) return isWhole ? 'missing' : undefined;
  if (day.current.inputHash !== day.inputHash) return isWhole ? 'changed' : undefined;
  const complete = isComplete(day.date, day.watermarkMs, allowedLatenessMs);
  return complete && !day.current.isFinal ? 'complete' : undefined;
}

/** What is known when a run of one signal of one day is asked for. */
export interface RunState {
  readonly date: string;
  readonly signal: Signal;
  readonly files: number;
  readonly inputHash: string;
  /** Rows of the input that retention took away. */
  readonly rowsRemoved: number;
  /** Whether a run would be final. */
  readonly isFinal: boolean;
  readonly hasEnded: boolean;
  readonly current:
    { readonly inputHash: string; readonly isFinal: boolean; readonly files: number } | undefined;
}

export interface RunDecision {
  readonly action: 'compute' | 'confirm' | 'nothing' | 'refuse';
  /** Why, for the user; empty for `compute`. */
  readonly message: string;
}

/**
 * Whether a run that was asked for has to be computed. `force` computes whatever there is, but
 * nothing when retention has left nothing.
 */
export function decideRun(state: RunState, force: boolean): RunDecision {
  const { current, isFinal } = state;
  const day = `${state.date} (${state.signal})`;
  const isWhole = state.rowsRemoved === 0;
  if (force && (isWhole || state.files > 0)) return { action: 'compute', message: '' };
  if (!state.hasEnded) {
    const message = `Cannot run the batch for ${day}: the day has not ended, and live figures would go`;
    return { action: 'refuse', message };
  }
  if (current?.inputHash === state.inputHash) {
    return isFinal && !current.isFinal
      ? { action: 'confirm', message: `${day} is complete: the run that was provisional is final` }
      : { action: 'nothing', message: `${day} is up to date: nothing came since its current run` };
  }
  if (!isWhole) {
    const message = `${day} is not whole in the archive any more, by retention: what is published stays`;
    return { action: 'nothing', message };
  }
  if (state.files > 0) return { action: 'compute', message: '' };
  if (current !== undefined && current.files > 0) {
    const message = `${day} has no files in the archive any more: its published figures stay`;
    return { action: 'nothing', message };
  }
  if (isFinal) return { action: 'compute', message: '' };
  return { action: 'nothing', message: `${day} has nothing in the archive so far` };
}
