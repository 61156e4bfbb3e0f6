/**
 * Counts the bytes of requests that one isolate holds at once, so that it answers 503 before the
 * runtime ends it. It never waits: a request that does not fit is refused at once.
 */
import { TidemarkError } from '../schemas/errors.ts';
import { leaseMsMax } from '../schemas/limits.ts';

/** The count of one isolate. */
export class Ledger {
  readonly #bytesMax: number;
  readonly #now: () => number;
  /** Open leases, oldest first. */
  readonly #open = new Set<Holding>();
  #bytes = 0;

  /** `now` gives milliseconds. */
  constructor(bytesMax: number, now: () => number) {
    this.#bytesMax = bytesMax;
    this.#now = now;
  }

  /** Bytes that all open leases hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Opens a lease for one request. Call its `release` when the request is answered. */
  lease(): Lease {
    const holding = { bytes: 0, openedMs: this.#now() };
    this.#open.add(holding);
    return {
      take: (bytes) => {
        if (!this.#fits(holding, bytes)) {
          this.#forget();
          if (!this.#fits(holding, bytes)) throw overloaded(this.#bytesMax);
        }
        this.#add(holding, bytes);
      },
      check: (bytes) => {
        if (!this.#fits(holding, bytes)) throw overloaded(this.#bytesMax);
      },
      give: (bytes) => {
        this.#add(holding, -bytes);
      },
      within: (bytesMax, work) => {
        const room = this.#room(holding);
        try {
          return work(Math.min(bytesMax, room));
        } catch (error) {
          const isOurs = error instanceof TidemarkError && error.code === 'BODY_TOO_LARGE';
          throw isOurs && room < bytesMax ? overloaded(this.#bytesMax) : error;
        }
      },
      release: () => {
        this.#close(holding);
      },
    };
  }

  #fits(holding: Holding, bytes: number): boolean {
    return bytes <= this.#room(holding);
  }

  /** A request that is alone is always admitted: its own limits bound it. */
  #room(holding: Holding): number {
    if (this.#bytes === holding.bytes) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#bytesMax - this.#bytes);
  }

  /** Drops leases of requests that the runtime ended without a word: those are never released. */
  #forget(): void {
    const oldestMs = this.#now() - leaseMsMax;
    for (const holding of this.#open) {
      if (holding.openedMs < oldestMs) this.#close(holding);
    }
  }

  #add(holding: Holding, bytes: number): void {
    if (!this.#open.has(holding)) return;
    holding.bytes += bytes;
    this.#bytes += bytes;
  }

  #close(holding: Holding): void {
    if (this.#open.delete(holding)) this.#bytes -= holding.bytes;
  }
}

interface Holding {
  bytes: number;
  readonly openedMs: number;
}

/** What one request holds. */
export interface Lease {
  /** Adds bytes. Throws OVERLOADED, retryable, when the isolate holds too much already. */
  readonly take: (bytes: number) => void;
  /** Takes nothing, but throws as `take` would: before work whose result would be too much. */
  readonly check: (bytes: number) => void;
  /** Gives bytes back that were taken before. */
  readonly give: (bytes: number) => void;
  /**
   * Does work that makes at most so many bytes, or fewer when fewer may be taken now, and throws
   * BODY_TOO_LARGE past that. Where only other requests made it too much, that becomes OVERLOADED.
   */
  readonly within: <T>(bytesMax: number, work: (bytesMax: number) => T) => T;
  /** Gives everything back. Safe to call twice. */
  readonly release: () => void;
}

function overloaded(bytesMax: number): TidemarkError {
  return new TidemarkError(
    'OVERLOADED',
    `Cannot take the request now: others hold most of the ${bytesMax} bytes in flight`,
    { retryable: true },
  );
}
