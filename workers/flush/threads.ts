/**
 * Encodes flushes on worker threads, so that the archiver's own thread goes on fetching and speaking
 * to Kafka. Each thread has one flush at a time and columns of its own. A thread that dies fails its
 * flush, which whoever asked for it tries again. Knows nothing of what a flush is.
 */
import type { Worker } from 'node:worker_threads';
import type { Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { takeBytesMax } from '../../schemas/limits/archive.ts';
import type { PendingFile } from './commit.ts';
import type { EncoderLender } from '../context.ts';
import type { Added, AddOptions, FlushEncoder, RawRecord, StageTimes } from './encode.ts';
import { fromFault, pack } from './message.ts';
import type { ThreadReply, ThreadRequest } from './message.ts';

/** Larger buffers, those of single large records, are not kept. */
const spareBytesMax = 2 * takeBytesMax;

export interface ThreadsOptions {
  /** Flushes that are encoded at the same time. */
  readonly threads: number;
  /** Starts a thread that answers as `thread.ts` does. */
  readonly startThread: () => Worker;
}

export class EncoderThreads implements EncoderLender {
  readonly #options: ThreadsOptions;
  readonly #idle: Thread[] = [];
  readonly #all = new Set<Thread>();
  /** Who waits for a thread, in the order of asking. */
  readonly #waiting: (() => void)[] = [];
  #lent = 0;

  constructor(options: ThreadsOptions) {
    this.#options = options;
  }

  /**
   * Runs `task` with an empty flush in a thread of its own, once there is one. Throws what it throws;
   * THREAD_ENDED, retryable, when the thread died.
   */
  async use<T>(signal: Signal, task: (encoder: FlushEncoder) => Promise<T>): Promise<T> {
    await this.#turn();
    const thread = this.#take(signal);
    try {
      return await task(new RemoteEncoder(thread, signal));
    } finally {
      this.#giveBack(thread);
    }
  }

  /** Ends all threads, whatever they do. */
  async close(): Promise<void> {
    await Promise.all([...this.#all].map((thread) => thread.end()));
  }

  async #turn(): Promise<void> {
    if (this.#lent >= this.#options.threads) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    } else {
      this.#lent += 1;
    }
  }

  /** Best a thread that has columns of this signal already. */
  #take(signal: Signal): Thread {
    const last = this.#idle.findLastIndex((thread) => thread.signal === signal);
    const [kept] = this.#idle.splice(last, 1);
    const thread = kept ?? new Thread(this.#options.startThread());
    this.#all.add(thread);
    thread.signal = signal;
    return thread;
  }

  #giveBack(thread: Thread): void {
    thread.post({ type: 'reset' });
    if (thread.isAlive) this.#idle.push(thread);
    else this.#all.delete(thread);
    const next = this.#waiting.shift();
    if (next) next();
    else this.#lent -= 1;
  }
}

/** One thread and the request that it answers. */
class Thread {
  /** What it encoded last. */
  signal: Signal | undefined;
  /** Where the next records go: memory that is new costs more than what is copied there. */
  spare: ArrayBuffer | undefined;
  isAlive = true;
  readonly #worker: Worker;
  #pending: PromiseWithResolvers<ThreadReply> | undefined;
  #lastError: unknown;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (reply: ThreadReply) => this.#settle((pending) => pending.resolve(reply)));
    worker.on('messageerror', (error) => this.#die(error));
    worker.on('error', (error) => {
      this.#lastError = error;
    });
    worker.on('exit', (code) => this.#die(this.#lastError ?? `exit code ${code}`));
  }

  post(request: ThreadRequest, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, [...transfer]);
  }

  /** Throws THREAD_ENDED, and what the thread found. */
  async ask(request: ThreadRequest, transfer: readonly ArrayBuffer[] = []): Promise<ThreadReply> {
    if (!this.isAlive) throw ended(this.#lastError);
    if (this.#pending) throw new Error('Bug: an encoding thread was asked twice');
    this.#pending = Promise.withResolvers<ThreadReply>();
    const { promise } = this.#pending;
    this.post(request, transfer);
    const reply = await promise;
    if (reply.type === 'failed') throw fromFault(reply.fault);
    return reply;
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #die(cause: unknown): void {
    this.isAlive = false;
    this.#lastError = cause;
    this.#settle((pending) => pending.reject(ended(cause)));
  }

  #settle(how: (pending: PromiseWithResolvers<ThreadReply>) => void): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending) how(pending);
  }
}

function ended(cause: unknown): TidemarkError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `Cannot encode a flush: its thread died (${reason})`;
  return new TidemarkError('THREAD_ENDED', message, { cause, retryable: true });
}

/** A flush in a thread. */
class RemoteEncoder implements FlushEncoder {
  times: StageTimes = { decodeMs: 0, sortMs: 0, encodeMs: 0 };
  readonly #thread: Thread;
  readonly #signal: Signal;

  constructor(thread: Thread, signal: Signal) {
    this.#thread = thread;
    this.#signal = signal;
  }

  async add(given: readonly RawRecord[], options: AddOptions): Promise<Added> {
    const { records, bytes } = pack(given, this.#thread.spare);
    this.#thread.spare = undefined;
    const { topic, partitionNumber, rowsMax, pastMaxMs, futureMaxMs, oversized } = options;
    // What is not named here, such as a signal to stop, cannot be sent.
    const own = { topic, partitionNumber, rowsMax, pastMaxMs, futureMaxMs, oversized };
    const request = { type: 'add', signal: this.#signal, records, bytes, options: own } as const;
    const reply = await this.#thread.ask(request, [bytes.buffer]);
    if (reply.type !== 'added') throw new Error(`Bug: a thread answered "${reply.type}"`);
    this.times = reply.times;
    if (reply.spare.byteLength <= spareBytesMax) this.#thread.spare = reply.spare;
    const { dead, ...added } = reply.added;
    return { ...added, dead: dead.map(({ index, fault }) => ({ index, error: fromFault(fault) })) };
  }

  async *files(): AsyncGenerator<PendingFile, void, undefined> {
    for (;;) {
      const reply = await this.#thread.ask({ type: 'next', signal: this.#signal });
      if (reply.type === 'done') return;
      if (reply.type !== 'file') throw new Error(`Bug: a thread answered "${reply.type}"`);
      this.times = reply.times;
      yield reply.file;
    }
  }
}
