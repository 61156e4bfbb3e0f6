/**
 * Reads structures in Thrift's compact protocol (thrift-compact-protocol.md), as Parquet's metadata uses it.
 * Fields that nobody asks for are skipped. It never reads past its bytes.
 */
import { TidemarkError } from '../../schemas/errors.ts';

/** Types of fields and of list elements. */
const types = {
  true: 1,
  false: 2,
  i8: 3,
  double: 7,
  binary: 8,
  list: 9,
  set: 10,
  map: 11,
  struct: 12,
};

/** Structures within structures; more than these are not Parquet's. */
const depthMax = 16;

export class ThriftReader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  /**
   * Hands the id of each field of a structure to `onField`, which reads its value, or returns false to have
   * it skipped. Throws `TidemarkError` CORRUPT_ARCHIVE, as all methods do.
   */
  struct(onField: (id: number) => boolean | undefined | void): void {
    let id = 0;
    for (;;) {
      const head = this.#byte();
      if (head === 0) return;
      const type = head & 15;
      const delta = head >> 4;
      id = delta === 0 ? this.int() : id + delta;
      if (onField(id) === false) this.#skip(type, 0);
    }
  }

  /** Hands each element of a list to `onElement`, which reads it. */
  list(onElement: () => void): void {
    const count = this.#listHead().count;
    for (let index = 0; index < count; index += 1) onElement();
  }

  /** A number of up to 53 bits. */
  int(): number {
    const value = this.#varint();
    // Zigzag: even numbers are positive.
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  binary(): Uint8Array {
    const length = this.#varint();
    const start = this.at;
    if (length > this.#bytes.length - start) throw corrupt();
    this.at = start + length;
    return this.#bytes.subarray(start, this.at);
  }

  text(): string {
    return Buffer.from(this.binary()).toString('utf8');
  }

  #byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) throw corrupt();
    this.at += 1;
    return byte;
  }

  #varint(): number {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 63; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw corrupt();
  }

  #listHead(): { count: number; type: number } {
    const head = this.#byte();
    const count = head >> 4 === 15 ? this.#varint() : head >> 4;
    if (count > this.#bytes.length) throw corrupt();
    return { count, type: head & 15 };
  }

  #skip(type: number, depth: number): void {
    if (depth > depthMax) throw corrupt();
    if (type === types.true || type === types.false) return;
    if (type === types.i8) this.at += 1;
    else if (type === types.double) this.at += 8;
    else if (type === types.binary) this.binary();
    else if (type === types.list || type === types.set) this.#skipList(depth);
    else if (type === types.struct) this.#skipStruct(depth);
    else if (type > types.i8 && type < types.double) this.#varint();
    else throw corrupt();
  }

  #skipList(depth: number): void {
    const { count, type } = this.#listHead();
    for (let index = 0; index < count; index += 1) {
      // In a list a truth value takes a byte.
      if (type === types.true || type === types.false) this.at += 1;
      else this.#skip(type, depth + 1);
    }
  }

  #skipStruct(depth: number): void {
    for (;;) {
      const head = this.#byte();
      if (head === 0) return;
      if (head >> 4 === 0) this.#varint();
      this.#skip(head & 15, depth + 1);
    }
  }
}

function corrupt(): TidemarkError {
  return new TidemarkError('CORRUPT_ARCHIVE', 'Cannot read the metadata of a Parquet file');
}
