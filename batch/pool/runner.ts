/**
 * Computes the shards of a run and leaves their partials in the store. Where that happens is the one
 * thing that may be replaced: on threads of this machine, which is here, or by a fleet of others.
 */
import type { Settings } from '../../schemas/settings.ts';
import type { Shard, ShardReport } from '../../schemas/shard.ts';
import {
  kernelMemoryOf,
  mergeOptions,
  rowsMaxOf,
  threadsOf,
  type Computation,
} from '../plan/computation.ts';
import { runShards } from './pool.ts';
import { startThread } from './thread.ts';
import type { MergeOptions } from '../work.ts';
import type { WorkerContext } from './worker.ts';

export interface ShardRequest {
  readonly computation: Computation;
  /** The computation's shards that have no partial yet; perhaps none. */
  readonly shards: readonly Shard[];
  /** The module of the signal's kernel, as this checkout was built. */
  readonly kernel: WebAssembly.Module;
  /** Hears of each shard that is done, and how many there are in all by now: large ones are split. */
  readonly onDone: (report: ShardReport, shardCount: number) => void;
  /** Hears of each try that failed and will be repeated. */
  readonly onRetry: (shard: Shard, reason: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Stores the partial of each shard, or of the parts that it was split into, under its `partialKey`, and
 * returns reports of all, in the order of their keys. Throws `TidemarkError` BATCH_FAILED, naming the
 * shard and the reason, once one has failed for good, and when `signal` aborts.
 */
export type ShardRunner = (request: ShardRequest) => Promise<ShardReport[]>;

/** What a thread is given that computes shards of a computation. */
export interface WorkerContextOptions {
  readonly settings: Settings;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly computation: Pick<Computation, 'name' | 'of' | 'period'>;
  /** The module of the signal's kernel. */
  readonly kernel: WebAssembly.Module;
  /** What the computation's figures depend on. */
  readonly merge: MergeOptions;
}

/** The context of such a thread; memory and store are those of this machine's settings. */
export function workerContext(options: WorkerContextOptions): WorkerContext {
  const { settings, random, computation, kernel, merge } = options;
  const { name, of, period } = computation;
  return {
    store: settings,
    computation: name,
    of,
    work: {
      kernel,
      memoryBytes: kernelMemoryOf(settings),
      hashSeed: BigInt(Math.floor(random() * 2 ** 48)),
      periodMs: period.startMs,
      ...merge,
    },
    rowsMax: rowsMaxOf(settings, of),
  };
}

/** Runs shards on worker threads of this machine. `random` gives a number in [0, 1). */
export function localRunner(settings: Settings, random: () => number): ShardRunner {
  return ({ computation, shards, kernel, onDone, onRetry, signal }) => {
    const merge = mergeOptions(settings, computation.period);
    const workerData = workerContext({ settings, random, computation, kernel, merge });
    return runShards(shards, {
      threads: threadsOf(settings),
      startThread: () => startThread(workerData),
      onDone,
      onRetry,
      signal,
    });
  };
}
