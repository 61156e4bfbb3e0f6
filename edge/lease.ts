/**
 * Counts the bytes of requests that one isolate holds at once, so that it answers 503 before the
 * runtime ends it. It never waits: a request that does not fit is refused at once.
 */
import { TidemarkError } from '../schemas/errors.ts';

/** The count of one isolate. */
export class Ledger {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that all open leases hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Opens a lease for one request. Call its `release` when the request is answered. */
  lease(): Lease {
    let held = 0;
    return {
      take: (bytes) => {
        // A request that is alone is always admitted: its own limits bound it.
        const others = this.#bytes - held;
        if (others > 0 && this.#bytes + bytes > this.#bytesMax) throw overloaded(this.#bytesMax);
        this.#bytes += bytes;
        held += bytes;
      },
      give: (bytes) => {
        this.#bytes -= bytes;
        held -= bytes;
      },
      release: () => {
        this.#bytes -= held;
        held = 0;
      },
    };
  }
}

/** What one request holds. */
export interface Lease {
  /** Adds bytes. Throws OVERLOADED, retryable, when the isolate holds too much already. */
  readonly take: (bytes: number) => void;
  /** Gives bytes back that were taken before. */
  readonly give: (bytes: number) => void;
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
