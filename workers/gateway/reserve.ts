/** Bounds the bytes that all requests of the gateway hold together. Refuses; never waits. */
import type { Reservation } from './record.ts';

/** A budget that requests take their memory from. */
export class InFlight {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A request's share, empty at first. `release` gives all of it back, however often it is called. */
  open(): Reservation & { release(): void } {
    let held = 0;
    const shrink = (bytes: number): void => {
      const given = Math.min(bytes, held);
      held -= given;
      this.#bytes -= given;
    };
    return {
      grow: (bytes) => {
        if (this.#bytes + bytes > this.#bytesMax) return false;
        this.#bytes += bytes;
        held += bytes;
        return true;
      },
      shrink,
      release: () => shrink(held),
    };
  }
}
