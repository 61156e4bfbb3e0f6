/**
 * Stops calls to a sink that keeps failing, so that requests do not wait for its time-outs, and
 * tries it again with single calls. It makes no call itself; what is not sent goes to the spool.
 */
import { breakerFailuresMax, breakerOpenMs, breakerOpenMsMax } from '../schemas/limits.ts';

/**
 * The state of one sink as one isolate sees it. Closed: every call is made. Open, after
 * `breakerFailuresMax` failures in a row: none is. Half open, after a pause that doubles each time:
 * one call is made, and its outcome closes the breaker or opens it again.
 */
export class Breaker {
  readonly #now: () => number;
  readonly #probeMsMax: number;
  #failures = 0;
  /** Undefined while closed. */
  #openUntilMs: number | undefined;
  #openMs = breakerOpenMs;
  #probeSinceMs: number | undefined;

  /**
   * `now` gives milliseconds. A probe that has not been reported after `probeMsMax` was ended with
   * its request by the runtime, and does not hold up the next.
   */
  constructor(now: () => number, probeMsMax: number) {
    this.#now = now;
    this.#probeMsMax = probeMsMax;
  }

  /** Whether calls are being held back now. Asks for no call. */
  get isOpen(): boolean {
    return this.#openUntilMs !== undefined && !this.#mayProbe(this.#openUntilMs);
  }

  /** Whether a call may be made. After `true`, report `succeeded` or `failed`. */
  admit(): boolean {
    if (this.#openUntilMs === undefined) return true;
    if (!this.#mayProbe(this.#openUntilMs)) return false;
    this.#probeSinceMs = this.#now();
    return true;
  }

  /** The sink took something: it is well, whenever the call began. */
  succeeded(): void {
    this.#failures = 0;
    this.#openUntilMs = undefined;
    this.#probeSinceMs = undefined;
    this.#openMs = breakerOpenMs;
  }

  /** The sink took nothing. Returns whether this opened the breaker. */
  failed(): boolean {
    this.#failures += 1;
    const isProbe = this.#probeSinceMs !== undefined;
    // Calls that began before the breaker opened say nothing new.
    if (this.#openUntilMs !== undefined && !isProbe) return false;
    if (!isProbe && this.#failures < breakerFailuresMax) return false;
    if (isProbe) this.#openMs = Math.min(breakerOpenMsMax, this.#openMs * 2);
    this.#openUntilMs = this.#now() + this.#openMs;
    this.#probeSinceMs = undefined;
    return true;
  }

  #mayProbe(openUntilMs: number): boolean {
    const now = this.#now();
    if (now < openUntilMs) return false;
    return this.#probeSinceMs === undefined || now >= this.#probeSinceMs + this.#probeMsMax;
  }
}
