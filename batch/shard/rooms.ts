/**
 * Memory for what is read of the store, used again and again by one thread: memory that is new for each
 * answer would be found by the collector late, and in places of the heap that nothing else fits into.
 */
import { roomStepBytes } from '../../schemas/limits/batch.ts';

export class Rooms {
  readonly #countMax: number;
  /** The smallest first. */
  readonly #free: Uint8Array<ArrayBuffer>[] = [];

  /** Keeps at most so many. */
  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** A room of at least so many bytes. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    const fit = this.#free.findIndex(({ length }) => length >= bytes);
    const [room] = fit < 0 ? [] : this.#free.splice(fit, 1);
    return room ?? new Uint8Array(Math.ceil(bytes / roomStepBytes) * roomStepBytes);
  }

  /** Takes back a room that nobody uses any more. The smallest of too many is given up. */
  give(room: Uint8Array<ArrayBuffer>): void {
    const place = this.#free.findIndex(({ length }) => length >= room.length);
    this.#free.splice(place < 0 ? this.#free.length : place, 0, room);
    if (this.#free.length > this.#countMax) this.#free.shift()?.buffer.transfer(0);
  }
}
