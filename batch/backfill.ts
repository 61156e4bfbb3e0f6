/**
 * The conductor of a backfill: brings every period of a range up to date, a bounded number at a time. What is up
 * to date already costs a look, so a backfill that was stopped goes on where it was when it is started again.
 */
import { availableParallelism } from 'node:os';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { periodAt, periodLengthMs, type Period, type PeriodKind } from '../schemas/period.ts';
import { mapParallel } from '../workers/clients/parallel.ts';
import { runBatch, type BatchOptions, type BatchProgress, type RunReport } from './run.ts';
import { signalsOf } from './signals.ts';

export interface BackfillRange {
  readonly kind: PeriodKind;
  /** Periods that begin in [fromMs, toMs), ms since 1970. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** One signal of one period, and how it ended. */
export interface BackfillStep {
  readonly period: Period;
  readonly signal: Signal;
  readonly report?: RunReport;
  /** Why it failed. */
  readonly error?: TidemarkError;
}

export interface BackfillOptions extends Omit<BatchOptions, 'period' | 'of' | 'onProgress'> {
  readonly range: BackfillRange;
  /** @default all that have runs of such periods */
  readonly signals?: readonly Signal[] | undefined;
  /** Periods that are computed at the same time; they share the threads out. */
  readonly parallel: number;
  /** Hears of each that has ended, in the order in which they end. */
  readonly onStep?: (step: BackfillStep, done: number, all: number) => void;
  readonly onProgress?: (progress: BatchProgress) => void;
}

export interface BackfillReport {
  /** All that were wanted, oldest first. */
  readonly steps: readonly BackfillStep[];
  /** Periods of the range that have not ended: they were left out. */
  readonly running: number;
}

/**
 * Brings all of the range up to date. One that fails does not keep the others from being done: its step has
 * the error. Throws BATCH_FAILED when `signal` aborts; what was published by then stays.
 */
export async function backfill(options: BackfillOptions): Promise<BackfillReport> {
  const { range, clock, settings, parallel } = options;
  const all = periodsOf(range);
  const ended = all.filter(({ endMs }) => endMs <= clock());
  const signals = options.signals ?? signalsOf(range.kind);
  const wanted = ended.flatMap((period) => signals.map((signal) => ({ period, signal })));
  const threads = settings.TIDEMARK_BATCH_THREADS || availableParallelism();
  const shared = {
    ...options,
    settings: {
      ...settings,
      TIDEMARK_BATCH_THREADS: Math.max(1, Math.floor(threads / parallel)),
    },
  };
  let done = 0;
  const steps = await mapParallel(wanted, parallel, async (each) => {
    const step = await runStep(shared, each);
    done += 1;
    options.onStep?.(step, done, wanted.length);
    return step;
  });
  return { steps, running: all.length - ended.length };
}

async function runStep(
  options: BackfillOptions,
  { period, signal: of }: Pick<BackfillStep, 'period' | 'signal'>,
): Promise<BackfillStep> {
  const isStopped = () => options.signal?.aborted === true;
  if (isStopped()) {
    throw new TidemarkError('BATCH_FAILED', 'Cannot go on with the backfill: it was stopped');
  }
  try {
    return { period, signal: of, report: await runBatch({ ...options, period, of }) };
  } catch (error) {
    if (!(error instanceof TidemarkError) || isStopped()) throw error;
    options.log.warn({ period: period.name, signal: of, err: error }, 'The batch failed');
    return { period, signal: of, error };
  }
}

/** Whole periods alone: half a day would be published as if it were one. */
function periodsOf({ kind, fromMs, toMs }: BackfillRange): Period[] {
  const count = Math.max(0, Math.ceil((toMs - fromMs) / periodLengthMs[kind]));
  return Array.from({ length: count }, (_, index) =>
    periodAt(kind, fromMs + index * periodLengthMs[kind]),
  );
}
