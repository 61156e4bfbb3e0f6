/**
 * A clock for tests that stands still until it is moved, and the sleepers on it. Moving it wakes them one
 * after the other, each at its own time, and waits in between until the program has nothing more to do.
 */
import { setTimeout as pause } from 'node:timers/promises';

interface Sleeper {
  readonly untilMs: number;
  readonly wake: () => void;
}

export class ManualClock {
  #nowMs: number;
  readonly #startMs: number;
  readonly #sleepers = new Set<Sleeper>();
  /** Things that are under way and may wake sleepers or add some. */
  #busy = 0;

  constructor(startMs: number) {
    this.#nowMs = startMs;
    this.#startMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs - this.#startMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const sleeper: Sleeper = {
        untilMs: this.#nowMs + ms,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', sleeper.wake);
          resolve();
        },
      };
      signal?.addEventListener('abort', sleeper.wake);
      this.#sleepers.add(sleeper);
    });
  }

  /** `target` with methods whose promises keep the clock from being moved. */
  watch<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (object, name) => {
        const value: unknown = Reflect.get(object, name, object);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          const result: unknown = Reflect.apply(value, object, args);
          if (result instanceof Promise) return this.#during(() => result);
          return isIterable(result) ? this.#each(result) : result;
        };
      },
    });
  }

  async #during<R>(task: () => Promise<R>): Promise<R> {
    this.#busy += 1;
    try {
      return await task();
    } finally {
      this.#busy -= 1;
    }
  }

  /** The same values, each waited for under watch. */
  async *#each(values: AsyncIterable<unknown>): AsyncIterable<unknown> {
    const iterator = values[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { done, value } = await this.#during(() => iterator.next());
        if (done === true) return;
        yield value;
      }
    } finally {
      await iterator.return?.();
    }
  }

  /** Resolves when at least `sleepers` sleep and nothing is under way. */
  async idle(sleepers: number): Promise<void> {
    for (let quiet = 0; quiet < 3;) {
      await pause(1);
      quiet = this.#sleepers.size >= sleepers && this.#busy === 0 ? quiet + 1 : 0;
    }
  }

  /** Moves to a time, in the steps at which somebody wakes. */
  async moveTo(ms: number, sleepers: number): Promise<void> {
    await this.idle(sleepers);
    for (;;) {
      const next = [...this.#sleepers].toSorted((a, b) => a.untilMs - b.untilMs)[0];
      if (!next || next.untilMs > ms) break;
      this.#nowMs = Math.max(this.#nowMs, next.untilMs);
      next.wake();
      await this.idle(sleepers);
    }
    this.#nowMs = ms;
  }

  /** Sets it without waking anybody, as a machine that was asleep. */
  set(ms: number): void {
    this.#nowMs = ms;
  }
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
