/**
 * Runs shards on worker threads of this machine, each with a WASM instance of its own. A shard that fails
 * or whose thread dies is tried again, one that is too large is replaced by its parts; the pool
 * knows nothing of what a shard computes.
 */
import type { Worker } from 'node:worker_threads';
import { TidemarkError } from '../schemas/errors.ts';
import { rowGroupsInFlight, shardSplitsMax, shardTriesMax } from '../schemas/limits/batch.ts';
import type { Shard, ShardReport, WorkerReply } from '../schemas/shard.ts';

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

type Outcome = Exclude<WorkerReply, { type: 'file' }> | { type: 'crashed'; message: string };

class Pool {
  readonly #options: PoolOptions;
  readonly #queue: Job[];
  readonly #idle: Thread[] = [];
  readonly #threads = new Set<Thread>();
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
    const thread = this.#idle.pop() ?? new Thread(this.#options.startThread());
    this.#threads.add(thread);
    const outcome = await thread.compute(job.shard);
    this.#running -= 1;
    if (this.#closed) return;
    if (outcome.type === 'crashed') this.#threads.delete(thread);
    else this.#idle.push(thread);
    this.#settle(job, outcome);
    this.#pump();
  }

  #settle(job: Job, outcome: Outcome): void {
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
      throw failed(job, `it is still too large after ${shardSplitsMax} splits`);
    }
    this.#queue.unshift(...parts.map((shard) => ({ shard, tries: 1, splits })));
    this.#shardCount += parts.length - 1;
  }

  #again(job: Job, reason: string, retryable: boolean): void {
    if (!retryable || job.tries >= shardTriesMax) throw failed(job, reason);
    this.#options.onRetry?.(job.shard, reason);
    this.#queue.push({ ...job, tries: job.tries + 1 });
  }
}

/** One worker thread and the shard that it computes. */
class Thread {
  readonly #worker: Worker;
  readonly #files: string[] = [];
  #settle: ((outcome: Outcome) => void) | undefined;
  #lastError: unknown;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (reply: WorkerReply) => this.#onReply(reply));
    worker.on('messageerror', (error) => this.#crash(error));
    worker.on('error', (error) => {
      this.#lastError = error;
    });
    worker.on('exit', (code) => this.#crash(this.#lastError ?? `exit code ${code}`));
  }

  compute(shard: Shard): Promise<Outcome> {
    return new Promise((resolve) => {
      this.#files.length = 0;
      this.#settle = resolve;
      this.#worker.postMessage(shard, []);
    });
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  #onReply(reply: WorkerReply): void {
    if (reply.type === 'file') {
      this.#files.push(reply.key);
      if (this.#files.length > rowGroupsInFlight) this.#files.shift();
      return;
    }
    this.#settle?.(reply);
  }

  /** A damaged Parquet file stops its thread without a word, so the files it had in hand are named. */
  #crash(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const files = this.#files.length === 0 ? '' : ` over one of ${this.#files.join(', ')}`;
    this.#settle?.({ type: 'crashed', message: `(${reason})${files}` });
  }
}

function failed({ shard, tries }: Job, reason: string): TidemarkError {
  const range = `[${hex(shard.idFrom)}, ${hex(shard.idTo)})`;
  return new TidemarkError(
    'BATCH_FAILED',
    `Cannot compute shard ${shard.index}, ids ${range}, try ${tries} of ${shardTriesMax}: ` +
      reason,
  );
}

function stopped(cause: unknown): TidemarkError {
  return new TidemarkError('BATCH_FAILED', 'Cannot finish the batch: it was told to stop', {
    cause,
    retryable: true,
  });
}

function hex(id: bigint): string {
  return id.toString(16).padStart(32, '0');
}
