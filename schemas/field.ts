/**
 * Finds the fields of protobuf messages on the wire, one after the other. It makes no object per
 * field: a request may have a hundred thousand. It never decodes what a field holds.
 */

/** The field that was read last: all of it is `[from, to)`, its contents begin at `contents`. */
export class FieldReader {
  number = 0;
  wireType = 0;
  from = 0;
  contents = 0;
  to = 0;
  #value = 0;
  #valueTo = 0;

  /** Reads the field that begins at `from`. False when there is none that ends by `end`. */
  read(bytes: Uint8Array, from: number, end: number): boolean {
    if (!this.#varint(bytes, from, end)) return false;
    const key = this.#value;
    if (key < 8 || key > 0xffff_ffff) return false;
    this.from = from;
    this.number = Math.floor(key / 8);
    this.wireType = key % 8;
    return this.#body(bytes, this.#valueTo, end, this.wireType, this.number) && this.to <= end;
  }

  /** Finds where contents begin and end, by wire type (protobuf encoding, "Message Structure"). */
  #body(bytes: Uint8Array, from: number, end: number, wireType: number, number: number): boolean {
    this.contents = from;
    switch (wireType) {
      case 0:
        this.to = this.#varint(bytes, from, end) ? this.#valueTo : Number.POSITIVE_INFINITY;
        return this.to <= end;
      case 1:
        this.to = from + 8;
        return true;
      case 2:
        if (!this.#varint(bytes, from, end)) return false;
        this.contents = this.#valueTo;
        this.to = this.#valueTo + this.#value;
        return true;
      case 3:
        return this.#group(bytes, from, end, number);
      case 5:
        this.to = from + 4;
        return true;
      default:
        return false;
    }
  }

  /** A group, which no OTLP message has, up to the key that ends it; groups in it are skipped. */
  #group(bytes: Uint8Array, from: number, end: number, number: number): boolean {
    const open = [number];
    for (let at = from; at < end;) {
      if (!this.#varint(bytes, at, end)) return false;
      const field = Math.floor(this.#value / 8);
      const wireType = this.#value % 8;
      at = this.#valueTo;
      if (wireType === 3) open.push(field);
      else if (wireType === 4) {
        if (open.pop() !== field) return false;
        if (open.length > 0) continue;
        this.contents = from;
        this.to = at;
        return true;
      } else {
        if (!this.#body(bytes, at, end, wireType, field)) return false;
        at = this.to;
      }
    }
    return false;
  }

  /** A varint of up to ten bytes; values past 2^53 are not exact, and longer than any request. */
  #varint(bytes: Uint8Array, from: number, end: number): boolean {
    let value = 0;
    let scale = 1;
    for (let at = from; at < end && at < from + 10; at += 1) {
      const byte = bytes[at] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) {
        this.#value = value;
        this.#valueTo = at + 1;
        return true;
      }
      scale *= 128;
    }
    return false;
  }
}
