/**
 * The worker threads of a fleet's worker. Each computes shards of one computation at a time, and is turned to
 * another one when need be; who asks sees only that shards are computed.
 */
import type { Shard } from '../../schemas/shard.ts';
import { shardMsMax } from '../../schemas/limits/fleet.ts';
import { ShardThread, type ShardThreadOutcome } from '../pool/thread.ts';
import type { WorkerContext } from '../pool/worker.ts';
import type { Worker } from 'node:worker_threads';

export interface LanesOptions {
  /** Shards that are computed at the same time. The caller never asks for more. */
  readonly threads: number;
  readonly startThread: (context: WorkerContext) => Worker;
  /** A shard that takes longer, in ms, is ended. @default shardMsMax */
  readonly msMax?: number;
}

interface Lane {
  /** What its thread computes. */
  name: string;
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
   * Computes a shard on a thread that has `context`, or an equal one: `name` says which are. Never
   * rejects.
   */
  async compute(name: string, context: WorkerContext, shard: Shard): Promise<ShardThreadOutcome> {
    if (this.#isClosed) return { type: 'crashed', message: '(its worker was told to stop)' };
    const lane = this.#lane(name, context);
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
    if (!isLate && outcome.type !== 'crashed') this.#idle.push(lane);
    if (!isLate || outcome.type !== 'crashed') return outcome;
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

  /** An idle thread, of that name if there is one, or a new one. */
  #lane(name: string, context: WorkerContext): Lane {
    const at = this.#idle.findIndex((lane) => lane.name === name);
    const [idle] = this.#idle.splice(Math.max(0, at), 1);
    if (!idle) return { name, thread: new ShardThread(this.#options.startThread(context)) };
    if (idle.name !== name) idle.thread.turnTo(context);
    idle.name = name;
    return idle;
  }
}
