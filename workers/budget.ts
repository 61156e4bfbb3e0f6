/**
 * The bound on what all Kafka partitions of one archiver hold in memory together. Once it is
 * reached nobody fetches more, and whoever holds most is to flush first. Holds nothing itself.
 */

export interface Holder {
  /** Bytes held now. */
  readonly heldBytes: number;
  /** The bound was reached, or is no more: fetch accordingly. */
  settle(): void;
  /** It is time to flush. */
  wake(): void;
}

export class Budget {
  readonly #bytesMax: number;
  readonly #holders = new Set<Holder>();
  #isReached = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that all hold together. */
  get heldBytes(): number {
    let bytes = 0;
    for (const holder of this.#holders) bytes += holder.heldBytes;
    return bytes;
  }

  /** True when the bound is reached: new holders must not fetch either. */
  get isReached(): boolean {
    return this.#isReached;
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
    return this.#isReached && holder === this.#largest();
  }

  /** To be called after what anybody holds has changed. */
  update(): void {
    const isReached = this.heldBytes >= this.#bytesMax;
    const hasChanged = isReached !== this.#isReached;
    this.#isReached = isReached;
    for (const holder of hasChanged ? this.#holders : []) holder.settle();
    if (isReached) this.#largest()?.wake();
  }

  #largest(): Holder | undefined {
    let largest: Holder | undefined;
    for (const holder of this.#holders) {
      if (holder.heldBytes > (largest?.heldBytes ?? 0)) largest = holder;
    }
    return largest;
  }
}
