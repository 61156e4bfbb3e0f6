/**
 * Writes protobuf into one growing buffer. It never allocates past its bound and never checks
 * what is written: field numbers and types are the caller's.
 */
import { TidemarkError } from '../../schemas/errors.ts';

/** Wire types of protobuf (encoding specification, "Message Structure"). */
export const wireVarint = 0;
export const wireFixed64 = 1;
export const wireBytes = 2;
export const wireFixed32 = 5;

const utf8 = new TextEncoder();

/** A protobuf writer whose output never passes `bytesMax`. */
export class Wire {
  #bytes: Uint8Array;
  #at = 0;
  readonly #bytesMax: number;
  readonly #double = new DataView(new ArrayBuffer(8));

  /** `bytes` is a first guess of the output's size; `bytesMax` its bound. */
  constructor(bytes: number, bytesMax: number) {
    this.#bytes = new Uint8Array(Math.min(bytesMax, Math.max(16, bytes)));
    this.#bytesMax = bytesMax;
  }

  /** Bytes written so far; also the position of the next. */
  get length(): number {
    return this.#at;
  }

  /** The written bytes: a view, valid until the next write. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  /** Writes the key of a field: its number and wire type. */
  key(field: number, wireType: number): void {
    this.varint((field << 3) | wireType);
  }

  /** Writes a non-negative number below 2^32. */
  varint(value: number): void {
    this.#reserve(5);
    let rest = value >>> 0;
    while (rest > 127) {
      this.#bytes[this.#at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }

  /** Writes a 64-bit number, given as its two halves, as a varint. */
  varint64(low: number, high: number): void {
    this.#reserve(10);
    let lowRest = low >>> 0;
    let highRest = high >>> 0;
    while (highRest !== 0 || lowRest > 127) {
      this.#bytes[this.#at++] = (lowRest & 127) | 128;
      lowRest = ((lowRest >>> 7) | (highRest << 25)) >>> 0;
      highRest >>>= 7;
    }
    this.#bytes[this.#at++] = lowRest;
  }

  fixed32(value: number): void {
    this.#reserve(4);
    this.#put32(value);
  }

  /** Writes a 64-bit number, given as its two halves, in eight bytes. */
  fixed64(low: number, high: number): void {
    this.#reserve(8);
    this.#put32(low);
    this.#put32(high);
  }

  double(value: number): void {
    this.#double.setFloat64(0, value, true);
    this.fixed64(this.#double.getUint32(0, true), this.#double.getUint32(4, true));
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  /** Writes `source[from, to)`. Short runs are cheaper byte by byte than through a view. */
  copy(source: Uint8Array, from: number, to: number): void {
    this.#reserve(to - from);
    if (to - from > 48) {
      this.#bytes.set(source.subarray(from, to), this.#at);
      this.#at += to - from;
      return;
    }
    for (let at = from; at < to; at += 1) this.#bytes[this.#at++] = source[at] ?? 0;
  }

  /** Writes text with its length before it. */
  text(value: string): void {
    const bytes = utf8.encode(value);
    this.varint(bytes.length);
    this.copy(bytes, 0, bytes.length);
  }

  /**
   * Begins a run of bytes whose length is not known yet and leaves `prefixBytes` for it. Returns
   * what `close` needs.
   */
  open(prefixBytes: number): number {
    this.#reserve(prefixBytes);
    this.#at += prefixBytes;
    return this.#at;
  }

  /**
   * Ends the run that began at `start` and writes its length before it, moving the run when the
   * length takes other than `prefixBytes` bytes. Returns how many bytes the length took.
   */
  close(start: number, prefixBytes: number): number {
    const length = this.#at - start;
    const needed = varintBytes(length);
    if (needed !== prefixBytes) {
      const shift = needed - prefixBytes;
      if (shift > 0) this.#reserve(shift);
      this.#bytes.copyWithin(start + shift, start, this.#at);
      this.#at += shift;
    }
    const end = this.#at;
    this.#at = start - prefixBytes;
    this.varint(length);
    this.#at = end;
    return needed;
  }

  /** Takes back `[from, to)` of what was written. */
  remove(from: number, to: number): void {
    this.#bytes.copyWithin(from, to, this.#at);
    this.#at -= to - from;
  }

  #put32(value: number): void {
    this.#bytes[this.#at] = value & 255;
    this.#bytes[this.#at + 1] = (value >>> 8) & 255;
    this.#bytes[this.#at + 2] = (value >>> 16) & 255;
    this.#bytes[this.#at + 3] = value >>> 24;
    this.#at += 4;
  }

  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#bytes.length) return;
    if (needed > this.#bytesMax) {
      throw new TidemarkError(
        'BODY_TOO_LARGE',
        `Cannot convert the request: its protobuf form passes ${this.#bytesMax} bytes`,
      );
    }
    const larger = Math.min(this.#bytesMax, Math.max(needed, this.#bytes.length * 2));
    const bytes = new Uint8Array(larger);
    bytes.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = bytes;
  }
}

/** How many bytes a number below 2^32 takes as a varint. */
function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value >>> 7; rest !== 0; rest >>>= 7) bytes += 1;
  return bytes;
}
