/**
 * What a worker does with one task: sees whether its result is still wanted and still missing, computes
 * the shard, and stores what became of it. Run twice, or by two workers at once, it gives the same partial.
 * Never tries a shard again: the coordinator does.
 */
import { hostname } from 'node:os';
import type { Signal } from '../../schemas/archive.ts';
import { attemptSilentMs, shardStartsMax } from '../../schemas/limits/fleet.ts';
import { parsePeriod } from '../../schemas/period.ts';
import { partialKey, type Shard } from '../../schemas/shard.ts';
import type { Settings } from '../../schemas/settings.ts';
import {
  failureKey,
  parseId,
  splitKey,
  startKey,
  startPrefix,
  type ShardTask,
  type StoredShard,
} from '../../schemas/task.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { workerContext } from '../pool/runner.ts';
import type { ShardThreadOutcome } from '../pool/thread.ts';
import type { MergeOptions } from '../work.ts';
import type { Lanes } from './lanes.ts';
import { attemptState, loadShard, partOf, putOnce } from './stored.ts';
import type { FleetCode } from './version.ts';

/**
 * How a task ended. `present`: somebody had ended it before. `abandoned`: nobody waits for it any more.
 * `foreign`: it is for workers of another code. `returned`: this worker was told to stop, so the task is
 * another one's.
 */
export type TaskEnd =
  'done' | 'split' | 'failed' | 'present' | 'abandoned' | 'foreign' | 'returned';

export interface ExecuteOptions {
  readonly store: ObjectStore;
  readonly settings: Settings;
  readonly code: FleetCode;
  readonly lanes: Pick<Lanes, 'compute' | 'isClosed'>;
  /** Current time, ms since 1970. */
  readonly now: () => number;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Name of this worker, for people. */
  readonly worker: string;
}

/** What became of a task, and of which signal it was where that is known. */
export interface TaskReport {
  readonly end: TaskEnd;
  readonly signal?: Signal;
  /** Why it failed. */
  readonly reason?: string;
}

/** Executes tasks, any number at the same time. */
export class Executor {
  readonly #options: ExecuteOptions;
  /** What this process is computing, by key: a task may be given to it twice. */
  readonly #busy = new Map<string, Promise<unknown>>();

  constructor(options: ExecuteOptions) {
    this.#options = options;
  }

  /**
   * Does what is left to do for the task. Throws `TidemarkError` while the store cannot be asked; the call
   * may be made again.
   */
  async run(task: ShardTask): Promise<TaskReport> {
    const { store, code } = this.#options;
    if (task.codeVersion !== code.version) return { end: 'foreign' };
    if (!(await this.#isWanted(task))) return { end: 'abandoned' };
    const stored = await loadShard(store, task.shardKey);
    if (stored === undefined) return { end: 'abandoned' };
    const range = { idFrom: parseId(task.idFrom), idTo: parseId(task.idTo) };
    const shard = partOf(stored.shard, range);
    const key = partialKey(task.computation, shard);
    for (let other = this.#busy.get(key); other; other = this.#busy.get(key)) {
      await other.catch(() => undefined);
    }
    const running = this.#begin(task, stored, shard);
    this.#busy.set(key, running);
    try {
      return { ...(await running), signal: stored.signal };
    } finally {
      this.#busy.delete(key);
    }
  }

  /** A coordinator that says nothing for long is dead; its successor makes tasks of its own. */
  async #isWanted(task: ShardTask): Promise<boolean> {
    const state = await attemptState(this.#options.store, task);
    return state !== undefined && this.#options.now() - state.aliveMs <= attemptSilentMs;
  }

  async #begin(task: ShardTask, stored: StoredShard, shard: Shard): Promise<TaskReport> {
    const { store, worker, now } = this.#options;
    const keys = await keysOf(store, task, shard);
    const results = [partialKey(task.computation, shard), splitKey(task.computation, shard)];
    if ([...results, failureKey(shard, task)].some((key) => keys.has(key))) {
      return { end: 'present' };
    }
    const begun = [...keys].filter((key) => key.startsWith(startPrefix(shard, task))).length;
    if (begun >= shardStartsMax) {
      const reason = `it was begun ${begun} times and never ended: it may kill its worker`;
      return this.#fail(task, shard, { reason, retryable: true });
    }
    const startedAt = new Date(now()).toISOString();
    const start = startKey(shard, task, `${begun}-${hex(this.#options.random())}`);
    await store.put(start, JSON.stringify({ version: 1, worker, host: hostname(), startedAt }));
    const report = await this.#compute(task, stored, shard);
    // What is left behind only makes a list longer.
    await store.delete([start]).catch(() => undefined);
    return report;
  }

  async #compute(task: ShardTask, stored: StoredShard, shard: Shard): Promise<TaskReport> {
    const { lanes } = this.#options;
    const outcome = await lanes.compute(task.computation, this.#contextOf(stored), shard);
    // The thread has stored the partial, or the parts, before it said so.
    if (outcome.type === 'done' || outcome.type === 'split') return { end: outcome.type };
    // Threads that end because the worker does have not failed.
    if (outcome.type === 'crashed' && lanes.isClosed) return { end: 'returned' };
    return this.#fail(task, shard, failureOf(outcome));
  }

  #contextOf({ computation, signal, period, merge }: StoredShard) {
    const { settings, random, code } = this.#options;
    return workerContext({
      settings,
      random,
      kernel: code.kernels[signal].module,
      computation: { name: computation, of: signal, period: parsePeriod(period) },
      // As the coordinator's `mergeOptions` gave them: the computation's name is made of these.
      merge: merge as unknown as MergeOptions,
    });
  }

  async #fail(
    task: ShardTask,
    shard: Shard,
    { reason, retryable }: { readonly reason: string; readonly retryable: boolean },
  ): Promise<TaskReport> {
    const { store, worker, now } = this.#options;
    const failedAt = new Date(now()).toISOString();
    const text = JSON.stringify({ version: 1, worker, reason, retryable, failedAt });
    await putOnce(store, failureKey(shard, task), text);
    return { end: 'failed', reason };
  }
}

function failureOf(outcome: Exclude<ShardThreadOutcome, { type: 'done' | 'split' }>) {
  if (outcome.type === 'failed') return { reason: outcome.message, retryable: outcome.retryable };
  return { reason: `its thread died ${outcome.message}`, retryable: true };
}

/** All that lies in the store of one shard. */
async function keysOf(store: ObjectStore, task: ShardTask, shard: Shard): Promise<Set<string>> {
  const keys = new Set<string>();
  const prefix = partialKey(task.computation, shard).replace(/bin$/, '');
  for await (const page of store.list(prefix)) for (const { key } of page) keys.add(key);
  return keys;
}

function hex(fraction: number): string {
  return Math.floor(fraction * 2 ** 32).toString(16);
}
