/**
 * How the scheduler is, for its probes: when it last did something, and what it cannot do now. The scheduler
 * writes it down; nothing here decides what is computed.
 */
import { schedulerTurnMsMax } from '../../schemas/limits/batch.ts';

export class Pulse {
  readonly #now: () => number;
  readonly #faults = new Map<string, string>();
  #lastMs: number;
  #isReady = false;
  #isStopping = false;

  /** `now` gives milliseconds of a clock that only goes forward. */
  constructor(now: () => number) {
    this.#now = now;
    this.#lastMs = now();
  }

  /** It is at work, or waits by design. */
  beat(): void {
    this.#lastMs = this.#now();
  }

  /** It knows who leads. */
  ready(): void {
    this.#isReady = true;
  }

  stopping(): void {
    this.#isStopping = true;
  }

  /** What `name` cannot do now, `undefined` when it can again. True when that is new. */
  fault(name: string, message: string | undefined): boolean {
    const isNew = this.#faults.get(name) !== message;
    if (message === undefined) this.#faults.delete(name);
    else this.#faults.set(name, message);
    return isNew;
  }

  get faults(): string[] {
    return [...this.#faults].map(([name, message]) => `${name}: ${message}`);
  }

  /** Why a restart would help; empty when the process is well. */
  stuck(): string[] {
    const silentMs = this.#now() - this.#lastMs;
    if (silentMs <= schedulerTurnMsMax) return [];
    return [`the scheduler has done nothing for ${Math.round(silentMs / 1000)} s`];
  }

  /** What keeps it from its work. One that waits for another's lease is ready. */
  unready(): string[] {
    const stopping = this.#isStopping ? ['the scheduler is stopping'] : [];
    return this.#isReady ? stopping : [...stopping, 'the lease has not been read yet'];
  }
}
