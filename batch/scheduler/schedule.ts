/**
 * Decides which periods the batch should compute now. A pure decision over what is archived and what is
 * published: it reads nothing and starts nothing.
 */
import type { Signal } from '../../schemas/archive.ts';
import { scheduleLookBackDays, scheduleLookBackHours } from '../../schemas/limits/batch.ts';
import { periodsBefore, type Period, type PeriodKind } from '../../schemas/period.ts';

/** What is known of one signal of one period. */
export interface PeriodState {
  readonly signal: Signal;
  readonly period: Period;
  /** Files of the period in the archive. */
  readonly files: number;
  readonly inputHash: string;
  /** Rows of the input that retention took away. */
  readonly rowsRemoved: number;
  /** Everything received before this time (ms since 1970) is in those files. */
  readonly watermarkMs: number;
  /** The run that readers see, if one is published. */
  readonly current: CurrentRun | undefined;
}

/** What decisions need to know of the run that readers see: see `PublishedRun`. */
export interface CurrentRun {
  readonly inputHash: string;
  readonly seenHash: string;
  readonly isFinal: boolean;
}

/** Why a period is due: never computed, changed by late data, or provisional and complete by now. */
export type DueReason = 'missing' | 'changed' | 'complete';

export interface DuePeriod {
  readonly period: Period;
  readonly signal: Signal;
  readonly reason: DueReason;
}

/** How many ended periods the schedule looks at. */
const lookBack: Readonly<Record<PeriodKind, number>> = {
  day: scheduleLookBackDays,
  hour: scheduleLookBackHours,
};

/** The periods that have ended and may still change, oldest first: `2026-11-21` is the last on the 22nd. */
export function periodsToLookAt(kind: PeriodKind, nowMs: number): Period[] {
  return periodsBefore(kind, nowMs, lookBack[kind]);
}

/** Whether everything that may count for the period is archived, the allowed lateness included. */
export function isComplete(
  { endMs }: Period,
  watermarkMs: number,
  allowedLatenessMs: number,
): boolean {
  return watermarkMs >= endMs + allowedLatenessMs;
}

/**
 * The periods that are due, those that ended first before others, signals in the order given. One without
 * files is never due: nothing was sent, or the archive was cleared and the published figures are all that is
 * left; nor is one that retention took rows from: figures of the rest would not be the period's. A
 * rollback stays: what the run that it replaced had seen makes nothing due, only what came after that.
 */
export function duePeriods(states: readonly PeriodState[], allowedLatenessMs: number): DuePeriod[] {
  return states
    .flatMap((state) => {
      const { period, signal } = state;
      const reason = dueReason(state, allowedLatenessMs);
      return reason === undefined ? [] : [{ period, signal, reason }];
    })
    .toSorted((a, b) => a.period.endMs - b.period.endMs);
}

function dueReason(state: PeriodState, allowedLatenessMs: number): DueReason | undefined {
  const { period, files, current, inputHash, watermarkMs } = state;
  if (files === 0) return undefined;
  const isWhole = state.rowsRemoved === 0;
  if (current === undefined) return isWhole ? 'missing' : undefined;
  if (current.seenHash !== inputHash) return isWhole ? 'changed' : undefined;
  // What a rollback has brought back is not made of all the input that is known.
  if (current.inputHash !== inputHash) return undefined;
  const complete = isComplete(period, watermarkMs, allowedLatenessMs);
  return complete && !current.isFinal ? 'complete' : undefined;
}

/** What is known when a run of one signal of one period is asked for. */
export interface RunState {
  readonly period: Period;
  readonly signal: Signal;
  readonly files: number;
  readonly inputHash: string;
  /** Rows of the input that retention took away. */
  readonly rowsRemoved: number;
  /** Whether a run would be final. */
  readonly isFinal: boolean;
  readonly hasEnded: boolean;
  readonly current: (CurrentRun & { readonly files: number }) | undefined;
}

export interface RunDecision {
  readonly action: 'compute' | 'confirm' | 'nothing' | 'refuse';
  /** Why, for the user; empty for `compute`. */
  readonly message: string;
}

/**
 * Whether a run that was asked for has to be computed. `force` computes whatever there is, but
 * nothing when retention has left nothing, or nothing has come yet of a period that has not ended.
 */
export function decideRun(state: RunState, force: boolean): RunDecision {
  const { current, isFinal } = state;
  const { kind, name } = state.period;
  const period = `${name} (${state.signal})`;
  const isWhole = state.rowsRemoved === 0;
  const isThere = state.files > 0;
  if (force && (isThere || (isWhole && state.hasEnded))) return { action: 'compute', message: '' };
  if (!state.hasEnded && !force) {
    const message = `Cannot run the batch for ${period}: the ${kind} has not ended, and its live figures would give way; --force does it`;
    return { action: 'refuse', message };
  }
  if (current?.seenHash === state.inputHash && current.inputHash !== state.inputHash) {
    const message = `${period} was rolled back: nothing came since; --force computes it all the same`;
    return { action: 'nothing', message };
  }
  if (current?.inputHash === state.inputHash) {
    return isFinal && !current.isFinal
      ? {
          action: 'confirm',
          message: `${period} is complete: the run that was provisional is final`,
        }
      : {
          action: 'nothing',
          message:
            isThere || isWhole
              ? `${period} is up to date: nothing came since its current run`
              : `${period} is not in the archive any more, by retention: what is published stays`,
        };
  }
  if (!isWhole) {
    const message = `${period} is not whole in the archive any more, by retention: what is published stays`;
    return { action: 'nothing', message };
  }
  if (state.files > 0) return { action: 'compute', message: '' };
  if (current !== undefined && current.files > 0) {
    const message = `${period} has no files in the archive any more: its published figures stay`;
    return { action: 'nothing', message };
  }
  if (isFinal) return { action: 'compute', message: '' };
  return { action: 'nothing', message: `${period} has nothing in the archive so far` };
}
