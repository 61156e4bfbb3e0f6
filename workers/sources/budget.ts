/**
 * The bound on what all Kafka partitions of one archiver hold in memory together. Short of it
 * fetching rests, at it all pause; and before either, whoever holds most is to flush, so that
 * fetching goes on meanwhile. Holds nothing itself.
 */

export interface Holder {
  /** Bytes held now. */
  readonly heldBytes: number;
  /** A flush of what it holds is under way. */
  readonly isFlushing: boolean;
  /** All pause now, or none has to any more: fetch accordingly. */
  settle(): void;
  /** It is time to flush. */
  wake(): void;
}

/** The part of the bound that is left for a fetch under way when fetching rests. */
const restShare = 1 / 8;

export class Budget {
  readonly #bytesMax: number;
  readonly #restBytes: number;
  readonly #holders = new Set<Holder>();
  #isTight = false;
  #isShut = false;
  #room = new AbortController();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#restBytes = bytesMax * restShare;
  }

  /** Bytes that all hold together. */
  get heldBytes(): number {
    let bytes = 0;
    for (const holder of this.#holders) bytes += holder.heldBytes;
    return bytes;
  }

  /** True when no further fetch should begin; then `room` aborts when one may. */
  get isTight(): boolean {
    return this.#isTight;
  }

  get room(): AbortSignal {
    return this.#room.signal;
  }

  /** True when all pause: new holders must not fetch either. */
  get isShut(): boolean {
    return this.#isShut;
  }

  add(holder: Holder): void {
    this.#holders.add(holder);
  }

  remove(holder: Holder): void {
    this.#holders.delete(holder);
    this.update();
  }

  /** Whether this holder has to make room for the others. */
  isPressed(holder: Holder): boolean {
    return holder === this.#next();
  }

  /** Has all pause until there is room, if there is none: for whoever cannot rest any longer. */
  shut(): void {
    this.#settle(this.#isTight);
  }

  /** To be called after what anybody holds, or flushes, has changed. */
  update(): void {
    const { heldBytes } = this;
    const wasTight = this.#isTight;
    this.#isTight = heldBytes >= this.#bytesMax - this.#restBytes;
    if (wasTight && !this.#isTight) {
      this.#room.abort();
      this.#room = new AbortController();
    }
    this.#settle(heldBytes >= this.#bytesMax || (this.#isShut && this.#isTight));
    this.#next()?.wake();
  }

  #settle(isShut: boolean): void {
    if (isShut === this.#isShut) return;
    this.#isShut = isShut;
    for (const holder of this.#holders) holder.settle();
  }

  /**
   * Who is to flush: the largest, once there is no room for as much again, which is fetched while it
   * flushes. With others under way it waits until half of the bound is not being flushed: a slow
   * store would else be given ever smaller files.
   */
  #next(): Holder | undefined {
    let largest: Holder | undefined;
    let waitingBytes = 0;
    for (const holder of this.#holders) {
      if (holder.isFlushing) continue;
      waitingBytes += holder.heldBytes;
      if (holder.heldBytes > (largest?.heldBytes ?? 0)) largest = holder;
    }
    if (!largest || waitingBytes < this.#bytesMax / 2) return undefined;
    const room = Math.max(largest.heldBytes, this.#restBytes);
    return this.heldBytes + room >= this.#bytesMax ? largest : undefined;
  }
}
