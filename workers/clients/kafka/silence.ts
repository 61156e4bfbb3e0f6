/**
 * How long a group's member has waited for an answer to its fetches, as it is told; for probes. Decides nothing,
 * and asks nobody.
 */
import { kafkaSilentMsMax } from '../../../schemas/limits/kafka.ts';
import type { Reading } from './consumer.ts';

export class Silence {
  readonly #now: () => number;
  /** When a fetch was answered last, or the first became due; `undefined` while none is. */
  #sinceMs: number | undefined;

  /** `now` gives the time in ms since 1970. */
  constructor(now: () => number) {
    this.#now = now;
  }

  hear(reading: Reading): void {
    this.#sinceMs = reading === 'rests' ? undefined : this.#now();
  }

  /** What is wrong, for people, when it lasts for so long that the member does not mend it itself. */
  complaint(): string | undefined {
    if (this.#sinceMs === undefined) return undefined;
    const ms = this.#now() - this.#sinceMs;
    if (ms <= kafkaSilentMsMax) return undefined;
    return `no fetch was answered for ${Math.round(ms / 1000)} s, although there are partitions to read`;
  }
}
