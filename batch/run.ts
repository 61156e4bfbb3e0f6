/**
 * The conductor of the batch: list → plan → compute → merge → publish, for one signal of one period. It
 * does none of that itself; it knows the order, and when there is nothing to do.
 */
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import type { Period } from '../schemas/period.ts';
import type { Settings } from '../schemas/settings.ts';
import { partialKey, type ShardReport } from '../schemas/shard.ts';
import type { ClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectStore } from '../workers/clients/store/objects.ts';
import { mergeOptions, planComputation, type Computation } from './plan/computation.ts';
import { confirmCurrent } from './publish/current.ts';
import { listInput, type BatchInput } from './plan/input.ts';
import { loadKernel } from './shard/kernel.ts';
import { deletePartials, keepPartials, readersOf, storedPartials } from './merge/partials.ts';
import { dropOldRuns, publishRun, type RunRecord } from './publish/publish.ts';
import { localRunner, type ShardRunner } from './pool/runner.ts';
import { currentRun, type PublishedRun } from './publish/runs.ts';
import { decideRun, isComplete, type RunDecision } from './scheduler/schedule.ts';
import { publishedOf, signalBatches } from './signals.ts';
import type { RunResults } from './work.ts';

/** The part of a pino logger that the batch uses. */
export interface BatchLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export type BatchPhase = 'list' | 'compute' | 'merge' | 'publish';

export interface BatchProgress {
  readonly period: Period;
  /** The signal that is computed. */
  readonly of: Signal;
  readonly phase: BatchPhase;
  readonly shardsDone: number;
  readonly shardCount: number;
  /** Rows of the period in the archive, duplicates included. */
  readonly rows: number;
}

export interface BatchOptions {
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
  readonly settings: Settings;
  /** Current time, ms since 1970. */
  readonly clock: () => number;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly log: BatchLog;
  readonly period: Period;
  /** The signal to compute; `signal` below is the platform's word for being told to stop. */
  readonly of: Signal;
  /** Computes and publishes again what is published, and a period that has not ended. */
  readonly force?: boolean;
  /** Computes the shards. @default on threads of this machine */
  readonly runner?: ShardRunner;
  /** What was listed and planned before, by others perhaps. */
  readonly prepared?: { readonly input: BatchInput; readonly computation: Computation };
  /** Throws when the run must not become current any more; asked right before it does. */
  readonly fence?: () => Promise<void>;
  readonly onProgress?: (progress: BatchProgress) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * `published`: a new run is current. `confirmed`: the run that was current provisionally is final
 * now, with the same rows. `unchanged`: there was nothing to do.
 */
export interface RunReport {
  readonly period: Period;
  readonly of: Signal;
  readonly outcome: 'published' | 'confirmed' | 'unchanged';
  /** A sentence for the user. */
  readonly message: string;
  /** The run that is current now, if any. */
  readonly run: PublishedRun | undefined;
  /** Rows of the signal's first table: of traces, groups of (tenant, service, operation, kind). */
  readonly groups: number;
  /** Shards whose partials an earlier, unfinished attempt had left. */
  readonly shardsReused: number;
  /** Ids of older runs whose rows were removed. */
  readonly runsDropped: readonly string[];
}

/**
 * Brings the published figures of one period up to date. Throws `TidemarkError`: BATCH_FAILED for a period
 * that has not ended, a shard that cannot be computed, or a stop by `signal`; BAD_SETTING for hours of a
 * signal that has no runs of them; and what the store and ClickHouse throw. After any of them, and after a
 * crash, readers see the run that was current before, and the next call goes on from there.
 */
export async function runBatch(options: BatchOptions): Promise<RunReport> {
  const { store, clickhouse, clock, period, of } = options;
  const lapMs = stopwatch(clock);
  publishedOf(of, period.kind);
  const progress = progressOf(options);
  progress('list');
  const input = options.prepared?.input ?? (await listInput(store, of, period));
  const { current, isFinal, decision } = await lookAtRun(options, input);
  const { action, message } = decision;
  if (action === 'refuse') throw new TidemarkError('BATCH_FAILED', message);
  if (action === 'nothing') return { ...nothing, period, of, message, run: current };
  if (action === 'confirm' && current !== undefined) {
    const cause = 'confirmed';
    const confirmed = { ...current, isFinal, cause, watermarkMs: input.watermarkMs } as const;
    await options.fence?.();
    const run = await confirmCurrent(clickhouse, current, confirmed, clock);
    if (run !== undefined) return { ...nothing, period, of, outcome: 'confirmed', message, run };
    const now = await currentRun(clickhouse, of, period);
    const why = `${period.name} (${of}) is not confirmed: another run became current meanwhile`;
    return { ...nothing, period, of, message: why, run: now };
  }
  return computeRun({ options, input, current, isFinal, lapMs, progress });
}

/** What is known of a run before anything is computed. */
export interface RunOutlook {
  readonly current: PublishedRun | undefined;
  readonly isFinal: boolean;
  readonly decision: RunDecision;
}

/** Whether a run of that input has to be computed. Throws what ClickHouse throws. */
export async function lookAtRun(options: BatchOptions, input: BatchInput): Promise<RunOutlook> {
  const { clickhouse, settings, clock, period, of, force = false } = options;
  const current = await currentRun(clickhouse, of, period);
  const isFinal = isComplete(period, input.watermarkMs, settings.TIDEMARK_ALLOWED_LATENESS_MS);
  const state = {
    period,
    signal: of,
    files: input.ownFiles,
    inputHash: input.inputHash,
    rowsRemoved: input.rowsRemoved,
    isFinal,
    hasEnded: clock() >= period.endMs,
    current,
  };
  return { current, isFinal, decision: decideRun(state, force) };
}

const nothing = {
  outcome: 'unchanged',
  groups: 0,
  shardsReused: 0,
  runsDropped: [],
} as const;

type Progress = (
  phase: BatchPhase,
  shardsDone?: number,
  shardCount?: number,
  rows?: number,
) => void;

interface Run {
  readonly options: BatchOptions;
  readonly input: BatchInput;
  readonly current: PublishedRun | undefined;
  readonly isFinal: boolean;
  /** The time since it was asked last, ms. */
  readonly lapMs: () => number;
  readonly progress: Progress;
}

async function computeRun(run: Run): Promise<RunReport> {
  const { options, input, lapMs, progress } = run;
  const { store, settings, period, of } = options;
  const batch = signalBatches[of];
  const kernel = await loadKernel(batch.kernel);
  const { codeVersion } = kernel;
  const computation =
    options.prepared?.computation ?? planComputation(input, { period, of, settings, codeVersion });
  const stored = await storedPartials(store, computation.name);
  const keyed = computation.shards.map((shard) => {
    return { shard, report: stored.get(partialKey(computation.name, shard)) };
  });
  const reused = keyed.flatMap(({ report }) => report ?? []);
  const missing = keyed.flatMap(({ shard, report }) => (report === undefined ? [shard] : []));
  if (stored.size > 0) await keepPartials(store, computation.name);
  const listMs = lapMs();
  const runner = options.runner ?? localRunner(settings, options.random);
  const computed = await runner({
    computation,
    shards: missing,
    kernel: kernel.module,
    ...watchShards(run, computation, missing.length),
  });
  const reports = [...reused, ...computed];
  const computeMs = lapMs();
  progress('merge', reports.length, reports.length);
  const results = await batch.merge(readersOf(store, reports), mergeOptions(settings, period));
  progress('publish', reports.length, reports.length);
  const times = { listMs, computeMs, mergeMs: lapMs() };
  const published = await publish(run, computation, results, { shards: reports.length, ...times });
  const runsDropped = await tidy(options, computation.name);
  return {
    period,
    of,
    outcome: 'published',
    message: publishedMessage(published),
    run: published,
    groups: results.groups,
    shardsReused: reused.length,
    runsDropped,
  };
}

/** What the runner tells while it computes `count` shards. */
function watchShards({ options, progress }: Run, { rows }: Computation, count: number) {
  const { log, signal, period, of } = options;
  let shardsDone = 0;
  progress('compute', 0, count, rows);
  return {
    onDone: (_: ShardReport, shardCount: number) => {
      shardsDone += 1;
      progress('compute', shardsDone, shardCount, rows);
    },
    onRetry: (shard: { readonly index: number }, reason: string) =>
      log.warn({ period: period.name, of, shard: shard.index, reason }, 'shard failed once'),
    signal,
  };
}

function publish(
  { options, input, current, isFinal }: Run,
  { name, codeVersion }: Computation,
  results: RunResults,
  cost: Pick<RunRecord, 'shards' | 'listMs' | 'computeMs' | 'mergeMs'>,
): Promise<PublishedRun> {
  const { clickhouse, clock, random, period, of } = options;
  const rowsRead = results.items + results.duplicates;
  const record: RunRecord = {
    signal: of,
    period,
    isFinal,
    watermarkMs: input.watermarkMs,
    inputHash: input.inputHash,
    codeVersion,
    commits: input.commitKeys.length,
    files: input.ownFiles,
    rowsRead,
    totalSpans: results.items,
    duplicateSpans: results.duplicates,
    conflictSpans: results.conflicts,
    lateSpans: current === undefined ? 0 : rowsRead - current.rowsRead,
    foldedOperations: results.folded ?? 0,
    elapsedMs: cost.listMs + cost.computeMs + cost.mergeMs,
    ...cost,
  };
  // The suffix keeps two attempts apart, even one that was killed while ClickHouse worked for it.
  const newRunId = () => `${name}-${hex32(random())}`;
  const previousMs = current?.publishedAtMs ?? 0;
  const { fence } = options;
  return publishRun(clickhouse, record, results, { clock, newRunId, previousMs, fence });
}

/** Removes what the run leaves behind. The run is published: a fault here is only worth a warning. */
async function tidy(options: BatchOptions, name: string): Promise<string[]> {
  const { store, clickhouse, clock, settings, log, period, of } = options;
  try {
    await deletePartials(store, name);
    const runsKept = settings.TIDEMARK_RUNS_KEPT;
    const { tables } = publishedOf(of, period.kind);
    const own = { store, random: options.random, period, signal: of, tables, clock, runsKept };
    return await dropOldRuns(clickhouse, own);
  } catch (error) {
    log.warn({ period: period.name, err: error }, 'cannot tidy up after the run');
    return [];
  }
}

function publishedMessage(run: PublishedRun): string {
  const finality = run.isFinal ? 'final' : 'provisional';
  const period = `${run.period.name} (${run.signal})`;
  const { items } = signalBatches[run.signal];
  if (run.rowsRead === 0) return `${period} has no ${items}; published as ${finality} and empty`;
  const late = run.lateSpans > 0 ? `, ${run.lateSpans} rows that the run before had not` : '';
  const folded = run.foldedOperations;
  const overflow = folded > 0 ? `; ${folded} operations are one in each service, __overflow__` : '';
  return (
    `${period} is published as ${finality}: ${run.totalSpans} ${items}, ` +
    `${run.duplicateSpans} duplicates removed${late}${overflow}`
  );
}

function progressOf({ period, of, onProgress }: BatchOptions): Progress {
  let rowsKnown = 0;
  return (phase, shardsDone = 0, shardCount = 0, rows = rowsKnown) => {
    rowsKnown = rows;
    onProgress?.({ period, of, phase, shardsDone, shardCount, rows });
  };
}

function stopwatch(clock: () => number): () => number {
  let sinceMs = clock();
  return () => {
    const nowMs = clock();
    const ms = Math.max(0, Math.round(nowMs - sinceMs));
    sinceMs = nowMs;
    return ms;
  };
}

function hex32(fraction: number): string {
  return Math.floor(fraction * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
}
