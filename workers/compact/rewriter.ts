/**
 * Has files rewritten by a thread, one task at a time, and starts another thread when one dies: a
 * damaged file can stop the Parquet reader for good. Nothing of a task that failed is left behind.
 */
import type { Worker } from 'node:worker_threads';
import { TidemarkError } from '../../schemas/errors.ts';
import type { ObjectStore } from '../clients/store/objects.ts';
import { fromFault } from '../flush/message.ts';
import type { InputFile } from './read.ts';
import type { RewriteReply, RewriteRequest, Rewritten, RewriteTask } from './task.ts';

export interface RewriterOptions {
  readonly store: ObjectStore;
  /** Starts a thread that answers as `thread.ts` does. */
  readonly startThread: () => Worker;
  /** Ends the thread, and with it what it is at. */
  readonly signal?: AbortSignal | undefined;
}

export class Rewriter {
  readonly #options: RewriterOptions;
  #thread: Worker | undefined;

  constructor(options: RewriterOptions) {
    this.#options = options;
  }

  /**
   * Merges files into new ones; see `rewriteFiles`. Throws what that throws, and retryable
   * THREAD_ENDED when the thread died or was told to stop. After an error, and when the task's number
   * was taken meanwhile, what had been stored is deleted again.
   */
  async rewrite(task: RewriteTask): Promise<Rewritten> {
    const stored: string[] = [];
    let result: Rewritten | undefined;
    try {
      const reply = await this.#ask({ type: 'rewrite', task }, (key) => stored.push(key));
      if (reply.type === 'rewritten') ({ result } = reply);
      if (result) return result;
      throw new Error(`Bug: the rewriting thread answered "${reply.type}"`);
    } finally {
      // Its number is still free and its files are named by nobody: only we could have done that.
      if (result === undefined || result.overtaken) await this.#options.store.delete(stored);
    }
  }

  /** How many rows a file has of each tenant. Throws as `rewrite` does. */
  async tenants(file: InputFile): Promise<ReadonlyMap<string, number>> {
    const reply = await this.#ask({ type: 'tenants', file }, () => undefined);
    if (reply.type === 'tenants') return reply.rows;
    throw new Error(`Bug: the rewriting thread answered "${reply.type}"`);
  }

  async close(): Promise<void> {
    await this.#thread?.terminate();
    this.#thread = undefined;
  }

  async #ask(
    request: RewriteRequest,
    onStoring: (key: string) => void,
  ): Promise<Exclude<RewriteReply, { type: 'storing' | 'failed' }>> {
    const { startThread, signal } = this.#options;
    const thread = (this.#thread ??= startThread());
    const answered = Promise.withResolvers<RewriteReply>();
    const onMessage = (reply: RewriteReply) => {
      if (reply.type === 'storing') onStoring(reply.key);
      else answered.resolve(reply);
    };
    const onEnd = (cause: unknown) => answered.reject(ended(cause));
    const onAbort = () => onEnd('it was told to stop');
    thread.on('message', onMessage).on('error', onEnd).on('exit', onEnd);
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted === true) onAbort();
    try {
      thread.postMessage(request, []);
      const reply = await answered.promise;
      if (reply.type === 'failed') throw fromFault(reply.fault);
      return reply as Exclude<RewriteReply, { type: 'storing' | 'failed' }>;
    } catch (error) {
      // It may be in the middle of something, and what it stores then would stay behind.
      await this.close();
      throw error;
    } finally {
      thread.off('message', onMessage).off('error', onEnd).off('exit', onEnd);
      signal?.removeEventListener('abort', onAbort);
    }
  }
}

function ended(cause: unknown): TidemarkError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `Cannot rewrite files: the thread ended (${reason})`;
  return new TidemarkError('THREAD_ENDED', message, { cause, retryable: true });
}
