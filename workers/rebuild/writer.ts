/**
 * Writes protobuf messages from their end to their beginning: the length of a message is then known
 * when its turn comes, so nothing is measured beforehand or moved afterwards. Fields therefore are
 * written in reverse. It knows no message.
 */

/** Wire types (https://protobuf.dev/programming-guides/encoding/). */
const varintType = 0;
const fixed64Type = 1;
const bytesType = 2;
const fixed32Type = 5;

export class ReverseWriter {
  #bytes = new Uint8Array(256 * 1024);
  #view = new DataView(this.#bytes.buffer);
  /** Where the message begins; it ends with the buffer. */
  #at = this.#bytes.length;

  /** Bytes that stand. */
  get written(): number {
    return this.#bytes.length - this.#at;
  }

  /** What stands, in memory of its own; the writer is empty afterwards. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(this.#at);
    this.#at = this.#bytes.length;
    return taken;
  }

  /** Field of a varint, 0 <= value < 2^53. */
  varint(field: number, value: number): void {
    this.#varint(value);
    this.#varint(field * 8 + varintType);
  }

  /** Field of an int32 or an enum. */
  int32(field: number, value: number): void {
    if (value < 0) this.long(field, BigInt(value));
    else this.varint(field, value);
  }

  /** Field of a varint that is these 64 bits. */
  long(field: number, value: bigint): void {
    this.#long(value);
    this.#varint(field * 8 + varintType);
  }

  fixed64(field: number, value: bigint): void {
    this.#room(8);
    this.#at -= 8;
    this.#view.setBigInt64(this.#at, value, true);
    this.#varint(field * 8 + fixed64Type);
  }

  double(field: number, value: number): void {
    this.#room(8);
    this.#at -= 8;
    this.#view.setFloat64(this.#at, value, true);
    this.#varint(field * 8 + fixed64Type);
  }

  fixed32(field: number, value: number): void {
    this.#room(4);
    this.#at -= 4;
    this.#view.setUint32(this.#at, value, true);
    this.#varint(field * 8 + fixed32Type);
  }

  /** The next four write nothing for 0 and for what is missing: proto3 does not tell them apart. */
  varintUnless0(field: number, value: number | undefined): void {
    if (value) this.varint(field, value);
  }

  int32Unless0(field: number, value: number | undefined): void {
    if (value) this.int32(field, value);
  }

  fixed32Unless0(field: number, value: number | undefined): void {
    if (value) this.fixed32(field, value);
  }

  fixed64Unless0(field: number, value: bigint | undefined): void {
    if (value) this.fixed64(field, value);
  }

  /** Field of one of many ids. */
  id(field: number, ids: { bytes: Uint8Array; width: number }, index: number): void {
    this.bytes(field, ids.bytes, index * ids.width, (index + 1) * ids.width);
  }

  /** Field of the bytes [from, to). */
  bytes(field: number, source: Uint8Array, from: number, to: number): void {
    this.raw(source, from, to);
    this.#varint(to - from);
    this.#varint(field * 8 + bytesType);
  }

  /** Field whose content is what has been written since `written` was `mark`. */
  close(field: number, mark: number): void {
    this.#varint(this.written - mark);
    this.#varint(field * 8 + bytesType);
  }

  /** The bytes [from, to) alone: whole fields that are known already. */
  raw(source: Uint8Array, from: number, to: number): void {
    const count = to - from;
    this.#room(count);
    this.#at -= count;
    if (count > 32) {
      this.#bytes.set(source.subarray(from, to), this.#at);
      return;
    }
    // Most strings are short: a view would cost more than the copy.
    for (let index = 0; index < count; index += 1) {
      this.#bytes[this.#at + index] = source[from + index] ?? 0;
    }
  }

  /** A varint alone, for packed fields. */
  packedLong(value: bigint): void {
    this.#long(value);
  }

  /** Eight bytes alone, for packed fields. */
  packedFixed64(value: bigint): void {
    this.#room(8);
    this.#at -= 8;
    this.#view.setBigInt64(this.#at, value, true);
  }

  #long(value: bigint): void {
    const bits = BigInt.asUintN(64, value);
    if (bits <= 0x1f_ffff_ffff_ffffn) {
      this.#varint(Number(bits));
      return;
    }
    // The upper part first, because everything is written backwards: seven bits a byte, 42 below.
    const low = Number(bits & 0x3ff_ffff_ffffn);
    this.#varint(Number(bits >> 42n));
    this.#room(6);
    this.#at -= 6;
    let rest = low;
    for (let index = 0; index < 6; index += 1) {
      this.#bytes[this.#at + index] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
  }

  #varint(value: number): void {
    this.#room(8);
    if (value < 128) {
      this.#bytes[--this.#at] = value;
      return;
    }
    let count = 1;
    for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) count += 1;
    this.#at -= count;
    let rest = value;
    for (let index = 0; index < count - 1; index += 1) {
      this.#bytes[this.#at + index] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at + count - 1] = rest;
  }

  #room(bytes: number): void {
    if (bytes <= this.#at) return;
    const { written } = this;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, written + bytes));
    grown.set(this.#bytes.subarray(this.#at), grown.length - written);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
    this.#at = grown.length - written;
  }
}
