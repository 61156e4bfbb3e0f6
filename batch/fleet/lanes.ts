/**
 * The worker threads of a fleet's worker. Each computes shards of one computation at a time, and a shard of
 * another computation starts another thread; who asks sees only that shards are computed.
 */
import type { Shard } from '../../schemas/shard.ts';
import { shardMsMax } from '../../schemas/limits/fleet.ts';
import { ShardThread, type ShardThreadOutcome } from '../thread.ts';
import type { WorkerContext } from '../worker.ts';
import type { Worker } from 'node:worker_threads';

export interface LanesOptions {
  /** Shards that are computed at the same time. The caller never asks for more. */
  readonly threads: number;
  readonly startThread: (context: WorkerContext) => Worker;
  /** A shard that takes longer, in ms, is ended. @default shardMsMax */
  readonly msMax?: number;
}

interface Lane {
  /** What its thread was started for. */
  readonly name: string;
  readonly thread: ShardThread;
}

export class Lanes {
  readonly #options: LanesOptions;
  readonly #idle: Lane[] = [];
  readonly #busy = new Set<Lane>();
  #isClosed = false;

  constructor(options: LanesOptions) {
    this.#options = options;
  }

  /**
   * Computes a shard on a thread that was started with `context`, or with an equal one: `name` says
   * which are. Never rejects.
   */
  async compute(name: string, context: WorkerContext, shard: Shard): Promise<ShardThreadOutcome> {
    const lane = await this.#lane(name, context);
    if (this.#isClosed) {
      await lane.thread.stop();
      return { type: 'crashed', message: '(its worker was told to stop)' };
    }
    this.#busy.add(lane);
    const { msMax = shardMsMax } = this.#options;
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
      void lane.thread.stop();
    }, msMax);
    const outcome = await lane.thread.compute(shard);
    clearTimeout(late);
    this.#busy.delete(lane);
    if (outcome.type !== 'crashed') this.#idle.push(lane);
    if (!isLate) return outcome;
    return { type: 'failed', message: `it took longer than ${msMax} ms`, retryable: true };
  }

  /** Whether its threads were ended on purpose. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Ends all threads; shards that are being computed have crashed then. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const lanes = [...this.#idle.splice(0), ...this.#busy];
    await Promise.all(lanes.map(({ thread }) => thread.stop()));
  }

  /** An idle thread of that name, or a new one in the place of an idle one of another name. */
  async #lane(name: string, context: WorkerContext): Promise<Lane> {
    const at = this.#idle.findIndex((lane) => lane.name === name);
    const [own] = at === -1 ? [] : this.#idle.splice(at, 1);
    if (own) return own;
    const isFull = this.#idle.length + this.#busy.size >= this.#options.threads;
    if (isFull) await this.#idle.shift()?.thread.stop();
    return { name, thread: new ShardThread(this.#options.startThread(context)) };
  }
}
