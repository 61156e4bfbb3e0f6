/**
 * The conductor of the batch: list → plan → compute → merge → publish, for one signal of one day. It
 * does none of that itself; it knows the order, and when there is nothing to do.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { shardRowsMin } from '../schemas/limits/batch.ts';
import type { Settings } from '../schemas/settings.ts';
import { partialKey, partialPrefix, type Shard, type ShardReport } from '../schemas/shard.ts';
import type { ClickHouse } from '../workers/clients/clickhouse.ts';
import type { ObjectStore } from '../workers/clients/objects.ts';
import { listInput, type BatchInput } from './input.ts';
import { planShards, shardRowsMax } from './plan.ts';
import { runShards } from './pool.ts';
import { dropOldRuns, makeCurrent, publishRun, type RunRecord } from './publish.ts';
import type { PartialReader } from './ranges.ts';
import { currentRuns, type PublishedRun } from './runs.ts';
import { dayMs, decideRun, isComplete, startOfDay } from './schedule.ts';
import { signalBatches } from './signals.ts';
import type { MergeOptions, RunResults } from './work.ts';
import type { WorkerContext } from './worker.ts';
import manifest from '../package.json' with { type: 'json' };

/** The part of a pino logger that the batch uses. */
export interface BatchLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export type BatchPhase = 'list' | 'compute' | 'merge' | 'publish';

export interface BatchProgress {
  readonly date: string;
  /** The signal that is computed. */
  readonly of: Signal;
  readonly phase: BatchPhase;
  readonly shardsDone: number;
  readonly shardCount: number;
  /** Rows of the day in the archive, duplicates included. */
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
  /** The day, UTC: `2026-11-21`. */
  readonly date: string;
  /** The signal to compute; `signal` below is the platform's word for being told to stop. */
  readonly of: Signal;
  /** Computes and publishes again what is published, and a day that has not ended. */
  readonly force?: boolean;
  readonly onProgress?: (progress: BatchProgress) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * `published`: a new run is current. `confirmed`: the run that was current provisionally is final
 * now, with the same rows. `unchanged`: there was nothing to do.
 */
export interface RunReport {
  readonly date: string;
  readonly of: Signal;
  readonly outcome: 'published' | 'confirmed' | 'unchanged';
  /** A sentence for the user. */
  readonly message: string;
  /** The run that is current now, if any. */
  readonly run: PublishedRun | undefined;
  /** Rows of the signal's first table: of traces, groups of (tenant, service, operation). */
  readonly groups: number;
  /** Shards whose partials an earlier, unfinished attempt had left. */
  readonly shardsReused: number;
  /** Ids of older runs whose rows were removed. */
  readonly runsDropped: readonly string[];
}

/**
 * Brings the published figures of one day up to date. Throws `TidemarkError`: BATCH_FAILED for a day
 * that has not ended, a shard that cannot be computed, or a stop by `signal`; BAD_SETTING for a date
 * that is none; and what the store and ClickHouse throw. After any of them, and after a crash, readers
 * see the run that was current before, and the next call goes on from there.
 */
export async function runBatch(options: BatchOptions): Promise<RunReport> {
  const { store, clickhouse, settings, clock, date, of } = options;
  const startedMs = clock();
  const startMs = startOfDay(date);
  const progress = progressOf(options);
  progress('list');
  const input = await listInput(store, of, date);
  const current = (await currentRuns(clickhouse, of, date, date)).get(date);
  const isFinal = isComplete(date, input.watermarkMs, settings.TIDEMARK_ALLOWED_LATENESS_MS);
  const state = {
    date,
    signal: of,
    files: input.dayFiles,
    inputHash: input.inputHash,
    rowsRemoved: input.rowsRemoved,
    isFinal,
    hasEnded: clock() >= startMs + dayMs,
    current,
  };
  const { action, message } = decideRun(state, options.force ?? false);
  if (action === 'refuse') throw new TidemarkError('BATCH_FAILED', message);
  if (action === 'nothing') return { ...nothing, date, of, message, run: current };
  if (action === 'confirm' && current !== undefined) {
    const confirmed = { ...current, isFinal, watermarkMs: input.watermarkMs };
    const previousMs = current.publishedAtMs;
    const run = await makeCurrent(clickhouse, confirmed, { clock, previousMs });
    return { ...nothing, date, of, outcome: 'confirmed', message, run };
  }
  return computeRun({ options, input, current, isFinal, startedMs, progress });
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

interface Computation {
  readonly options: BatchOptions;
  readonly input: BatchInput;
  readonly current: PublishedRun | undefined;
  readonly isFinal: boolean;
  readonly startedMs: number;
  readonly progress: Progress;
}

async function computeRun(computation: Computation): Promise<RunReport> {
  const { options, input, progress } = computation;
  const { store, settings, date, of } = options;
  const batch = signalBatches[of];
  const kernel = await loadKernel(batch.kernel);
  const name = computationName(computation, kernel.codeVersion);
  const shards = planShards(input.files, {
    rowsMax: rowsMaxOf(options),
    shardsWanted: threadsOf(settings),
    rowsMin: shardRowsMin,
  });
  const stored = await storedPartials(store, name);
  const reused = shards.flatMap((shard) => stored.get(partialKey(name, shard)) ?? []);
  const missing = shards.filter((shard) => !stored.has(partialKey(name, shard)));
  const computed = await computeShards(computation, missing, name, kernel.module);
  const reports = [...reused, ...computed];
  progress('merge', reports.length, reports.length);
  const results = await batch.merge(readersOf(store, reports), mergeOptions(settings));
  progress('publish', reports.length, reports.length);
  const run = await publish(computation, name, results, reports.length, kernel.codeVersion);
  const runsDropped = await tidy(options, name);
  return {
    date,
    of,
    outcome: 'published',
    message: publishedMessage(run),
    run,
    groups: results.groups,
    shardsReused: reused.length,
    runsDropped,
  };
}

function rowsMaxOf({ settings, of }: BatchOptions): number {
  return shardRowsMax(settings.TIDEMARK_BATCH_MEMORY_BYTES, signalBatches[of].rowBytes);
}

function mergeOptions(settings: Settings): MergeOptions {
  return { seriesMax: settings.TIDEMARK_BATCH_SERIES_MAX };
}

function threadsOf(settings: Settings): number {
  return settings.TIDEMARK_BATCH_THREADS || availableParallelism();
}

interface Kernel {
  readonly module: WebAssembly.Module;
  /** Of the package, and of the kernel that this checkout was built with. */
  readonly codeVersion: string;
}

async function loadKernel(name: string): Promise<Kernel> {
  const url = new URL(`../aggregator-as/build/${name}.wasm`, import.meta.url);
  const bytes = await readFile(url);
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 8);
  const module = await WebAssembly.compile(bytes);
  return { module, codeVersion: `${manifest.version}+${hash}` };
}

/** Names what the figures are a function of; another attempt at the same finds its partials. */
function computationName({ options, input }: Computation, codeVersion: string): string {
  const { date, of, settings } = options;
  const given = JSON.stringify(mergeOptions(settings));
  const content = [of, date, input.inputHash, codeVersion, given].join('\n');
  return `${date}-${createHash('sha256').update(content).digest('hex').slice(0, 12)}`;
}

/** Partials that an attempt at the same computation left behind, by key. */
async function storedPartials(
  store: ObjectStore,
  name: string,
): Promise<ReadonlyMap<string, ShardReport>> {
  const reports = new Map<string, ShardReport>();
  for await (const page of store.list(partialPrefix(name))) {
    for (const { key, bytes } of page) reports.set(key, { key, bytes });
  }
  return reports;
}

function computeShards(
  { options, progress, input }: Computation,
  shards: readonly Shard[],
  name: string,
  kernel: WebAssembly.Module,
): Promise<ShardReport[]> {
  const { settings, log, signal, date, of } = options;
  const context: WorkerContext = {
    store: settings,
    computation: name,
    of,
    work: {
      kernel,
      memoryBytes: settings.TIDEMARK_BATCH_MEMORY_BYTES,
      hashSeed: BigInt(Math.floor(options.random() * 2 ** 48)),
      periodMs: startOfDay(date),
      ...mergeOptions(settings),
    },
    rowsMax: rowsMaxOf(options),
  };
  const rows = input.files.reduce((sum, file) => sum + file.rows, 0);
  let shardsDone = 0;
  progress('compute', 0, shards.length, rows);
  return runShards(shards, {
    threads: threadsOf(settings),
    startThread: () => new Worker(new URL('./worker.ts', import.meta.url), { workerData: context }),
    onDone: (_, shardCount) => {
      shardsDone += 1;
      progress('compute', shardsDone, shardCount, rows);
    },
    onRetry: (shard, reason) =>
      log.warn({ date, of, shard: shard.index, reason }, 'shard failed once'),
    signal,
  });
}

function readersOf(store: ObjectStore, reports: readonly ShardReport[]): PartialReader[] {
  return reports.map(({ key, bytes }) => ({
    byteLength: bytes,
    read: async (start, end) => {
      const found = await store.get(key, { range: { start, end } });
      if (found !== undefined) return found;
      throw new TidemarkError('BATCH_FAILED', `Cannot merge: the partial "${key}" is gone`, {
        retryable: true,
      });
    },
  }));
}

function publish(
  { options, input, current, isFinal, startedMs }: Computation,
  name: string,
  results: RunResults,
  shards: number,
  codeVersion: string,
): Promise<PublishedRun> {
  const { clickhouse, clock, random, date, of } = options;
  const rowsRead = results.items + results.duplicates;
  const record: RunRecord = {
    signal: of,
    date,
    isFinal,
    watermarkMs: input.watermarkMs,
    inputHash: input.inputHash,
    codeVersion,
    commits: input.commitKeys.length,
    files: input.dayFiles,
    rowsRead,
    totalSpans: results.items,
    duplicateSpans: results.duplicates,
    conflictSpans: results.conflicts,
    lateSpans: current === undefined ? 0 : rowsRead - current.rowsRead,
    shards,
    elapsedMs: Math.round(clock() - startedMs),
  };
  // The suffix keeps two attempts apart, even one that was killed while ClickHouse worked for it.
  const newRunId = () => `${name}-${hex32(random())}`;
  const previousMs = current?.publishedAtMs ?? 0;
  return publishRun(clickhouse, record, results, { clock, newRunId, previousMs });
}

/** Removes what the run leaves behind. The run is published: a fault here is only worth a warning. */
async function tidy(options: BatchOptions, name: string): Promise<string[]> {
  const { store, clickhouse, clock, settings, log, date, of } = options;
  try {
    for await (const page of store.list(partialPrefix(name))) {
      await store.delete(page.map((entry) => entry.key));
    }
    const runsKept = settings.TIDEMARK_RUNS_KEPT;
    const { tables } = signalBatches[of];
    return await dropOldRuns(clickhouse, { date, signal: of, tables, clock, runsKept });
  } catch (error) {
    log.warn({ date, err: error }, 'cannot tidy up after the run');
    return [];
  }
}

function publishedMessage(run: PublishedRun): string {
  const finality = run.isFinal ? 'final' : 'provisional';
  const day = `${run.date} (${run.signal})`;
  const { items } = signalBatches[run.signal];
  if (run.rowsRead === 0) return `${day} has no ${items}; published as ${finality} and empty`;
  const late = run.lateSpans > 0 ? `, ${run.lateSpans} rows that the run before had not` : '';
  return (
    `${day} is published as ${finality}: ${run.totalSpans} ${items}, ` +
    `${run.duplicateSpans} duplicates removed${late}`
  );
}

function progressOf({ date, of, onProgress }: BatchOptions): Progress {
  let rowsKnown = 0;
  return (phase, shardsDone = 0, shardCount = 0, rows = rowsKnown) => {
    rowsKnown = rows;
    onProgress?.({ date, of, phase, shardsDone, shardCount, rows });
  };
}

function hex32(fraction: number): string {
  return Math.floor(fraction * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
}
