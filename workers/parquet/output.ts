/**
 * The bytes of a file in the making. They are gathered in memory that stays from one file to the next:
 * new memory for each page, or for each doubling, would cost more than what is copied there.
 */

/** One file is made at a time: how many were begun. */
let begun = 0;
let memory = new Uint8Array();

export class Output {
  /** Bytes added. */
  length = 0;
  readonly #number: number;

  /** Whatever was being made is given up. */
  constructor() {
    begun += 1;
    this.#number = begun;
  }

  /** Copies the bytes behind those added before. Returns where they begin. */
  add(bytes: Uint8Array): number {
    if (this.#number !== begun) throw new Error('Bug: two files are made at once');
    const at = this.length;
    this.length += bytes.length;
    if (this.length > memory.length) {
      const grown = new Uint8Array(2 * this.length);
      grown.set(memory.subarray(0, at));
      memory = grown;
    }
    memory.set(bytes, at);
    return at;
  }

  /** All of them, in memory of their own. */
  finish(): Uint8Array {
    return memory.slice(0, this.length);
  }
}
