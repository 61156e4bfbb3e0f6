/**
 * Cuts a stream of concatenated JSON objects into its objects as their bytes arrive. Looks at
 * strings and brackets only: whether an object is valid is the parser's business.
 */
import { RestError } from '../../schemas/errors.ts';

const [quote, backslash, open, close] = [0x22, 0x5c, 0x7b, 0x7d];

/** Holds at most one object that is not complete. */
export class Splitter {
  readonly #bytesMax: number;
  #pending: Buffer = Buffer.alloc(0);
  /** Where looking goes on in `#pending`. */
  #at = 0;
  #depth = 0;
  #isInString = false;

  /** Objects larger than `bytesMax` are refused. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Whether the stream may end here. */
  get isComplete(): boolean {
    return this.#pending.length === 0;
  }

  /**
   * The objects that are complete with these bytes, in order. Throws `RestError` 400 for bytes
   * outside of an object and 413 for an object that is too large, after the objects before it.
   */
  *push(bytes: Buffer): Generator<Buffer> {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    for (;;) {
      if (this.#depth === 0) this.#skipSpace();
      const end = this.#findEnd();
      if (end > this.#bytesMax || (end === -1 && this.#pending.length > this.#bytesMax)) {
        throw new RestError(413, 413, `A record is larger than ${this.#bytesMax} bytes`);
      }
      if (end === -1) return;
      const object = this.#pending.subarray(0, end);
      this.#pending = this.#pending.subarray(end);
      this.#at = 0;
      yield object;
    }
  }

  #skipSpace(): void {
    let at = 0;
    while (isSpace(this.#pending[at])) at += 1;
    this.#pending = this.#pending.subarray(at);
    if (this.#pending.length > 0 && this.#pending[0] !== open) {
      throw new RestError(400, 400, 'The stream has something that is no JSON object');
    }
  }

  /** Index behind the object that `#pending` begins with, or -1 while it is not complete. */
  #findEnd(): number {
    const pending = this.#pending;
    while (this.#at < pending.length) {
      if (this.#isInString) {
        if (!this.#leaveString()) return -1;
        continue;
      }
      const byte = pending[this.#at];
      this.#at += 1;
      if (byte === quote) this.#isInString = true;
      else if (byte === open) this.#depth += 1;
      else if (byte === close) this.#depth -= 1;
      if (byte === close && this.#depth === 0) return this.#at;
    }
    return -1;
  }

  /** Goes behind the string's end; false when it is not there yet. Long base64 is the usual case. */
  #leaveString(): boolean {
    const pending = this.#pending;
    const end = pending.indexOf(quote, this.#at);
    if (end === -1) {
      this.#at = pending.length;
      return false;
    }
    this.#at = end + 1;
    let backslashes = 0;
    while (pending[end - 1 - backslashes] === backslash) backslashes += 1;
    if (backslashes % 2 === 0) this.#isInString = false;
    return true;
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
