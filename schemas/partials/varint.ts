/**
 * Writes and reads the little bytes of our own headers: varints (seven bits a byte, least first),
 * 64-bit words and names. The reader trusts nothing: whatever is not well formed is a fault.
 */
import { TidemarkError } from '../errors.ts';

/** Bytes that grow; the first `blank` are left for the caller to fill. */
export class VarintWriter {
  #buffer: Uint8Array;
  #at: number;

  constructor(blank: number) {
    this.#buffer = new Uint8Array(blank + 65_536);
    this.#at = blank;
  }

  /** All that was written, the blank included; a view. */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#at);
  }

  /** A whole number in [0, 2^53). */
  varint(value: number): void {
    this.#room(8);
    while (value >= 128) {
      this.#buffer[this.#at++] = (value % 128) | 128;
      value = Math.floor(value / 128);
    }
    this.#buffer[this.#at++] = value;
  }

  /** The lower 64 bits of `value`. */
  long(value: bigint): void {
    this.#room(8);
    new DataView(this.#buffer.buffer).setBigUint64(this.#at, BigInt.asUintN(64, value), true);
    this.#at += 8;
  }

  /** The bits of a double. */
  double(value: number): void {
    this.#room(8);
    new DataView(this.#buffer.buffer).setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** The length and bytes of its UTF-8. */
  name(name: string): void {
    const utf8 = new TextEncoder().encode(name);
    this.varint(utf8.length);
    this.#room(utf8.length);
    this.#buffer.set(utf8, this.#at);
    this.#at += utf8.length;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#at + bytes));
    grown.set(this.#buffer);
    this.#buffer = grown;
  }
}

/** Bytes that `varint` writes for a value. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads what `VarintWriter` wrote. Every method throws `TidemarkError` CORRUPT_ARCHIVE. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  /** Bytes that are not yet read. */
  get rest(): number {
    return this.#bytes.length - this.#at;
  }

  varint(): number {
    const first = this.#bytes[this.#at];
    if (first !== undefined && first < 128) {
      this.#at += 1;
      return first;
    }
    let value = 0;
    for (let scale = 1; scale < 2 ** 56; scale *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value += (byte & 127) * scale;
      if (byte < 128) return this.#safe(value);
    }
    return this.fail('a number does not end');
  }

  /** A varint that is a count of things of at least `bytesEach`, which still have to come. */
  count(bytesEach: number): number {
    const value = this.varint();
    return value * bytesEach <= this.rest ? value : this.fail('a count passes the end');
  }

  long(): bigint {
    if (this.rest < 8) return this.fail('it ends inside a number');
    this.#at += 8;
    return this.#view.getBigUint64(this.#at - 8, true);
  }

  double(): number {
    if (this.rest < 8) return this.fail('it ends inside a number');
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8, true);
  }

  /** Bytes after their length: a view. */
  bytes(): Uint8Array {
    const length = this.count(1);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  name(): string {
    const utf8 = this.bytes();
    try {
      return decoder.decode(utf8);
    } catch (cause) {
      return this.fail('a name is not UTF-8', cause);
    }
  }

  /** Throws, saying what is wrong and where. */
  fail(what: string, cause?: unknown): never {
    const where = `byte ${Math.min(this.#at, this.#bytes.length)} of its header`;
    throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot read a partial: ${what} (${where})`, {
      cause,
    });
  }

  #safe(value: number): number {
    return Number.isSafeInteger(value) ? value : this.fail('a number passes 2^53');
  }
}
