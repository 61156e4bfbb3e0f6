/**
 * Says what a run computes, before any of it is computed: its name and its shards. A pure function of
 * input, settings and code; with TIDEMARK_BATCH_THREADS set, every machine says the same.
 */
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { Signal } from '../../schemas/archive.ts';
import {
  batchKernelsBytesMin,
  batchProcessBytes,
  shardRowsMin,
} from '../../schemas/limits/batch.ts';
import type { Period } from '../../schemas/period.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { Shard } from '../../schemas/shard.ts';
import type { BatchInput } from './input.ts';
import { planShards, shardRowsMax } from './plan.ts';
import { signalBatches } from '../signals.ts';
import type { MergeOptions } from '../work.ts';

export interface Computation {
  /**
   * Names what the figures are a function of; another attempt at the same has the same name and finds its
   * partials.
   */
  readonly name: string;
  readonly period: Period;
  readonly of: Signal;
  /** Of the code that computes it; results of another one are not to be mixed in. */
  readonly codeVersion: string;
  readonly shards: readonly Shard[];
  /** Rows of all its files. */
  readonly rows: number;
}

export interface ComputationOptions {
  readonly period: Period;
  readonly of: Signal;
  readonly settings: Settings;
  readonly codeVersion: string;
  /** Shards for parallel work. @default what the settings ask for */
  readonly shardsWanted?: number;
}

/** What has to be computed of an input. No files give no shards. */
export function planComputation(
  { files, inputHash }: Pick<BatchInput, 'files' | 'inputHash'>,
  { period, of, settings, codeVersion, shardsWanted }: ComputationOptions,
): Computation {
  const given = JSON.stringify(mergeOptions(settings, period));
  const content = [of, period.name, inputHash, codeVersion, given].join('\n');
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 12);
  const shards = planShards(files, {
    rowsMax: rowsMaxOf(settings, of),
    shardsWanted: shardsWanted ?? shardsWantedOf(settings),
    rowsMin: shardRowsMin,
  });
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  return { name: `${period.name}-${hash}`, period, of, codeVersion, shards, rows };
}

/** Rows that a shard of the signal may have. */
export function rowsMaxOf(settings: Settings, of: Signal): number {
  return shardRowsMax(kernelMemoryOf(settings), signalBatches[of].memory);
}

/** Memory of the kernels of one thread: an equal part of what the process may take for kernels. */
export function kernelMemoryOf(settings: Settings): number {
  const memoryBytes = settings.TIDEMARK_BATCH_MEMORY_BYTES;
  const own = Math.min(batchProcessBytes, Math.max(0, memoryBytes - batchKernelsBytesMin));
  return Math.floor((memoryBytes - own) / threadsOf(settings));
}

/** One a thread, or so many that a fleet can share them out. */
function shardsWantedOf(settings: Settings): number {
  const isFleet = settings.TIDEMARK_BATCH_FLEET === 'on';
  return isFleet ? settings.TIDEMARK_TASK_PARTITIONS : threadsOf(settings);
}

/** Threads that compute on one machine. */
export function threadsOf(settings: Settings): number {
  return settings.TIDEMARK_BATCH_THREADS || availableParallelism();
}

/** What the merge has to know beside the partials. */
export function mergeOptions(settings: Settings, { kind }: Period): MergeOptions {
  return {
    seriesMax: settings.TIDEMARK_BATCH_SERIES_MAX,
    edgesMax: settings.TIDEMARK_BATCH_EDGES_MAX,
    operationsMax: settings.TIDEMARK_BATCH_OPERATIONS_MAX,
    kind,
  };
}
