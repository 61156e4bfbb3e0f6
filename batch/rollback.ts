/**
 * Makes an earlier run of a period current again: one row of `batch_runs`, as publishing does. The run that was
 * current stays and may be named in its turn. Nothing is computed.
 *
 * The schedule leaves a period alone that was rolled back. The row says which input is known (`seenHash`): that
 * of the newest run, though the run that is current now has less. So only data that no run of the period has
 * had makes it due again, and then it is computed from all there is.
 */
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import type { Period } from '../schemas/period.ts';
import type { ClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import { makeCurrent, restoreCurrent } from './publish/current.ts';
import { listRuns, type ListedRun } from './history.ts';
import { intend, type IntentOptions, type OtherIntents } from './publish/intent.ts';
import type { PublishedRun } from './publish/runs.ts';

export interface RollbackOptions extends IntentOptions {
  readonly clickhouse: ClickHouse;
  /** Current time, ms since 1970. */
  readonly clock: () => number;
  readonly period: Period;
  readonly of: Signal;
  /** The run to go back to. @default the one that was published before the current one was */
  readonly runId?: string | undefined;
}

export interface RollbackReport {
  readonly period: Period;
  readonly of: Signal;
  /** `unchanged`: the run that was asked for is the current one. */
  readonly outcome: 'restored' | 'unchanged';
  /** A sentence for the user. */
  readonly message: string;
  /** The run that is current now. */
  readonly run: PublishedRun;
  /** The run that was current before. */
  readonly from: string;
}

/**
 * Rolls a period back. Throws `TidemarkError` NOT_FOUND when there is no run to go back to or its rows were
 * removed, CONFLICT when they are removed or another run is published at this moment (then that one is
 * current), BAD_SETTING for hours of a signal that has no runs of them, OBJECT_STORE and `ClickHouseError`.
 */
export async function rollBack(options: RollbackOptions): Promise<RollbackReport> {
  const { period, of } = options;
  const runs = await runsOf(options);
  const current = runs.find(({ state }) => state === 'current');
  const target = current && chooseRun(runs, current, options.runId);
  const name = `${period.name} (${of})`;
  if (current === undefined || target === undefined) throw notFound(name, runs, options.runId);
  const from = current.runId;
  if (target === current) {
    const message = `${name} is at run ${from} already`;
    return { period, of, outcome: 'unchanged', message, run: current, from };
  }
  const run = await intend(
    options,
    { signal: of, period, runId: target.runId },
    'restore',
    (others) => restore(options, current, target, others),
  );
  const message =
    `${name} is rolled back from run ${from} to run ${run.runId}: ` +
    `${run.totalSpans} items, read ${new Date(target.firstPublishedAtMs).toISOString()}`;
  return { period, of, outcome: 'restored', message, run, from };
}

async function restore(
  options: RollbackOptions,
  current: ListedRun,
  target: ListedRun,
  { drop }: OtherIntents,
): Promise<PublishedRun> {
  const { clickhouse, clock, period, of } = options;
  const name = `${period.name} (${of})`;
  const refuse = (why: string) =>
    new TidemarkError('CONFLICT', `Cannot roll ${name} back: ${why}`, { retryable: true });
  if (drop.length > 0) throw refuse(`the rows of run ${target.runId} are being removed`);
  // They may have been removed before we said what we are about to do.
  const stored = (await runsOf(options)).find(({ runId }) => runId === target.runId);
  if (stored?.isStored !== true) throw refuse(`the rows of run ${target.runId} were just removed`);
  const restored = { ...target, cause: 'restored', seenHash: current.seenHash } as const;
  const run = await restoreCurrent(clickhouse, current, restored, clock);
  if (run.cause !== 'restored') {
    throw refuse(`run ${run.runId} was published at the same time, and is current now`);
  }
  if (run.runId !== target.runId) {
    throw refuse(`another rollback, to run ${run.runId}, was done at the same time`);
  }
  // Somebody may remove rows by hand: readers must not be left with nothing.
  await assertStored(options, run);
  return run;
}

function runsOf({ clickhouse, of, period }: RollbackOptions): Promise<ListedRun[]> {
  const { kind, startMs, endMs } = period;
  return listRuns(clickhouse, of, { kind, fromMs: startMs, toMs: endMs });
}

async function assertStored(options: RollbackOptions, restored: PublishedRun): Promise<void> {
  const { clickhouse, clock, period, of } = options;
  const runs = await runsOf(options);
  const isStored = (run: ListedRun) => run.isStored && run.runId !== restored.runId;
  if (runs.some((run) => run.runId === restored.runId && run.isStored)) return;
  const newest = runs.find(isStored);
  if (newest) await makeCurrent(clickhouse, newest, { clock, previousMs: restored.publishedAtMs });
  const message =
    `Cannot roll ${period.name} (${of}) back: the rows of run ${restored.runId} were ` +
    'removed meanwhile';
  throw new TidemarkError('CONFLICT', message, { retryable: true });
}

/** The run of that id, else the newest that is older than the current one, if its rows are there. */
function chooseRun(
  runs: readonly ListedRun[],
  current: ListedRun,
  runId: string | undefined,
): ListedRun | undefined {
  const there = runs.filter(({ state }) => state !== 'dropped');
  if (runId !== undefined) return there.find((run) => run.runId === runId);
  return there
    .filter((run) => run.firstPublishedAtMs < current.firstPublishedAtMs)
    .toSorted((a, b) => b.firstPublishedAtMs - a.firstPublishedAtMs)
    .at(0);
}

function notFound(
  name: string,
  runs: readonly ListedRun[],
  runId: string | undefined,
): TidemarkError {
  const kept = runs.filter(({ state }) => state !== 'dropped').map((run) => run.runId);
  const wanted = runId === undefined ? 'no earlier run is kept' : `run ${runId} is not kept`;
  const there = kept.length === 0 ? 'none is published' : `there are ${kept.join(', ')}`;
  return new TidemarkError('NOT_FOUND', `Cannot roll ${name} back: ${wanted}; ${there}`);
}
