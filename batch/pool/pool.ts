/**
 * Runs shards on worker threads of this machine, each with a WASM instance of its own. A shard that fails
 * or whose thread dies is tried again, one that is too large is replaced by its parts; the pool
 * knows nothing of what a shard computes.
 */
import type { Worker } from 'node:worker_threads';
import { shardSplitsMax, shardTriesMax } from '../../schemas/limits/batch.ts';
import type { Shard, ShardReport } from '../../schemas/shard.ts';
import { shardFailed, stopped } from './fault.ts';
import { ShardThread, type ShardThreadOutcome } from './thread.ts';

export interface PoolOptions {
  readonly threads: number;
  /** Starts a thread that answers each posted `Shard` with `WorkerReply` messages. */
  readonly startThread: () => Worker;
  /** Hears of each shard that is done, and how many there are in all by now. */
  readonly onDone?: (report: ShardReport, shardCount: number) => void;
  /** Hears of each try that failed and will be repeated. */
  readonly onRetry?: (shard: Shard, reason: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reports of all shards, in the order of their keys. Throws `TidemarkError` BATCH_FAILED, naming the
 * shard and the reason, once a shard has failed for good, and when `signal` aborts. No thread is left
 * behind either way.
 */
export async function runShards(
  shards: readonly Shard[],
  options: PoolOptions,
): Promise<ShardReport[]> {
  const pool = new Pool(shards, options);
  try {
    return await pool.run();
  } finally {
    await pool.close();
  }
}

interface Job {
  readonly shard: Shard;
  readonly tries: number;
  readonly splits: number;
}

class Pool {
  readonly #options: PoolOptions;
  readonly #queue: Job[];
  readonly #idle: ShardThread[] = [];
  readonly #threads = new Set<ShardThread>();
  readonly #reports: ShardReport[] = [];
  readonly #done = Promise.withResolvers<void>();
  #running = 0;
  #closed = false;
  #shardCount: number;

  constructor(shards: readonly Shard[], options: PoolOptions) {
    this.#options = options;
    this.#queue = shards.map((shard) => ({ shard, tries: 1, splits: 0 }));
    this.#shardCount = shards.length;
  }

  async run(): Promise<ShardReport[]> {
    const { signal } = this.#options;
    const onAbort = () => this.#done.reject(stopped(signal?.reason));
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted === true) onAbort();
    else this.#pump();
    try {
      await this.#done.promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
    return this.#reports.toSorted((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#threads].map((thread) => thread.stop()));
  }

  #pump(): void {
    while (this.#queue.length > 0 && this.#running < this.#options.threads) {
      const job = this.#queue.shift();
      if (job !== undefined) this.#work(job).catch((error: unknown) => this.#done.reject(error));
    }
    if (this.#running === 0) this.#done.resolve();
  }

  async #work(job: Job): Promise<void> {
    this.#running += 1;
    const thread = this.#idle.pop() ?? new ShardThread(this.#options.startThread());
    this.#threads.add(thread);
    const outcome = await thread.compute(job.shard);
    this.#running -= 1;
    if (this.#closed) return;
    if (outcome.type === 'crashed') this.#threads.delete(thread);
    else this.#idle.push(thread);
    this.#settle(job, outcome);
    this.#pump();
  }

  #settle(job: Job, outcome: ShardThreadOutcome): void {
    switch (outcome.type) {
      case 'done':
        this.#reports.push(outcome.report);
        this.#options.onDone?.(outcome.report, this.#shardCount);
        break;
      case 'split':
        this.#split(job, outcome.shards);
        break;
      case 'crashed':
        this.#again(job, `its thread died ${outcome.message}`, true);
        break;
      case 'failed':
        this.#again(job, outcome.message, outcome.retryable);
        break;
    }
  }

  #split(job: Job, parts: readonly Shard[]): void {
    const splits = job.splits + 1;
    if (splits > shardSplitsMax) {
      throw shardFailed(job, `it is still too large after ${shardSplitsMax} splits`);
    }
    this.#queue.unshift(...parts.map((shard) => ({ shard, tries: 1, splits })));
    this.#shardCount += parts.length - 1;
  }

  #again(job: Job, reason: string, retryable: boolean): void {
    if (!retryable || job.tries >= shardTriesMax) throw shardFailed(job, reason);
    this.#options.onRetry?.(job.shard, reason);
    this.#queue.push({ ...job, tries: job.tries + 1 });
  }
}
