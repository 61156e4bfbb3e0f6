/**
 * One worker thread that computes shards, one at a time, as whoever starts it sees it. Tells how each
 * ended, be it by the thread's death; never tries again.
 */
import { Worker } from 'node:worker_threads';
import { batchYoungMb, rowGroupsInFlight } from '../../schemas/limits/batch.ts';
import type { Shard, WorkerReply } from '../../schemas/shard.ts';
import type { WorkerContext } from './worker.ts';

/** Starts a thread that answers each posted `Shard` with `WorkerReply` messages. */
export function startThread(workerData: WorkerContext): Worker {
  const resourceLimits = { maxYoungGenerationSizeMb: batchYoungMb };
  return new Worker(new URL('./worker.ts', import.meta.url), { workerData, resourceLimits });
}

/** How a shard ended. `crashed`: its thread died; what was to be said of it is in the message. */
export type ShardThreadOutcome =
  Exclude<WorkerReply, { type: 'file' }> | { readonly type: 'crashed'; readonly message: string };

/** One worker thread and the shard that it computes. */
export class ShardThread {
  readonly #worker: Worker;
  readonly #files: string[] = [];
  #settle: ((outcome: ShardThreadOutcome) => void) | undefined;
  #lastError: unknown;
  #isOver = false;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (reply: WorkerReply) => this.#onReply(reply));
    worker.on('messageerror', (error) => this.#crash(error));
    worker.on('error', (error) => {
      this.#lastError = error;
    });
    worker.on('exit', (code) => {
      this.#isOver = true;
      this.#crash(this.#lastError ?? `exit code ${code}`);
    });
  }

  /** What became of the shard; never rejects. One shard at a time. */
  compute(shard: Shard): Promise<ShardThreadOutcome> {
    return new Promise((resolve) => {
      this.#files.length = 0;
      this.#settle = resolve;
      // It may have died while it was idle.
      if (this.#isOver) this.#crash(this.#lastError ?? 'it had ended before');
      this.#worker.postMessage(shard, []);
    });
  }

  /** Says what the shards belong to from now on; its store stays the one that it was started with. */
  turnTo(context: WorkerContext): void {
    this.#worker.postMessage(context, []);
  }

  /** Ends the thread; a shard that it computes has crashed then. */
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
