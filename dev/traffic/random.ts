/**
 * A seeded source of randomness: the same seed gives the same traffic on every machine. Never for
 * secrets.
 */

/** Chris Doty-Humphrey's sfc32 (PractRand), seeded through splitmix32. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    [this.#a, this.#b, this.#c] = [splitMix(seed, 1), splitMix(seed, 2), splitMix(seed, 3)];
    for (let round = 0; round < 12; round += 1) this.uint32();
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** From 0 (included) to 1 (excluded). */
  fraction(): number {
    return this.uint32() / 2 ** 32;
  }

  /** A whole number from 0 to `end - 1`. */
  below(end: number): number {
    return Math.floor(this.fraction() * end);
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** Log-normal: half of the values lie under `median`; `sigma` is that of the logarithm. */
  logNormal(median: number, sigma: number): number {
    return median * Math.exp(sigma * this.#normal());
  }

  /** `bytes` random bytes as lower-case hex, never all zero. `bytes` is a multiple of four. */
  hex(bytes: number): string {
    let text = '';
    for (let word = 0; word < bytes / 4; word += 1) {
      text += this.uint32().toString(16).padStart(8, '0');
    }
    return /[^0]/.test(text) ? text : this.hex(bytes);
  }

  /** Standard normal, by the polar form of Box and Muller. */
  #normal(): number {
    for (;;) {
      const [x, y] = [2 * this.fraction() - 1, 2 * this.fraction() - 1];
      const square = x * x + y * y;
      if (square > 0 && square < 1) return x * Math.sqrt((-2 * Math.log(square)) / square);
    }
  }
}

function splitMix(seed: number, step: number): number {
  let z = (seed + step * 0x9e3779b9) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) | 0;
}
