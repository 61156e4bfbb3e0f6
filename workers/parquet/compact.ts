/**
 * Writes structures in Thrift's compact protocol (thrift-compact-protocol.md), as far as Parquet's
 * metadata needs it. Reads nothing.
 */

/** Types of fields and of list elements. */
const types = { true: 1, false: 2, i8: 3, i32: 5, i64: 6, binary: 8, list: 9, struct: 12 } as const;

/** The value of a field; `undefined` fields are left out. */
export type Value =
  | { readonly i8: number }
  | { readonly i32: number }
  | { readonly i64: number | bigint }
  | { readonly bool: boolean }
  | { readonly text: string }
  | { readonly bytes: Uint8Array }
  | { readonly struct: Struct }
  | { readonly structs: readonly Struct[] }
  | { readonly texts: readonly string[] }
  | { readonly i32s: readonly number[] }
  | { readonly i64s: readonly number[] }
  | { readonly bools: readonly boolean[] }
  | { readonly bytesList: readonly Uint8Array[] };

/** Fields by their ids. */
export type Struct = Readonly<Record<number, Value | undefined>>;

/** The bytes of a structure. */
export function encodeStruct(struct: Struct): Uint8Array {
  const writer = new Writer();
  writer.struct(struct);
  return new Uint8Array(writer.bytes);
}

class Writer {
  readonly bytes: number[] = [];

  struct(fields: Struct): void {
    let last = 0;
    // Keys that are numbers come in ascending order.
    for (const [key, value] of Object.entries(fields)) {
      if (value === undefined) continue;
      const id = Number(key);
      const type = typeOf(value);
      if (id - last <= 15) {
        this.bytes.push(((id - last) << 4) | type);
      } else {
        this.bytes.push(type);
        this.#zigzag(id);
      }
      last = id;
      this.#value(value);
    }
    this.bytes.push(0);
  }

  #value(value: Value): void {
    if ('i8' in value) this.bytes.push(value.i8 & 255);
    else if ('i32' in value) this.#zigzag(value.i32);
    else if ('i64' in value) this.#zigzag(value.i64);
    else if ('text' in value) this.#binary(Buffer.from(value.text));
    else if ('bytes' in value) this.#binary(value.bytes);
    else if ('struct' in value) this.struct(value.struct);
    else if (!('bool' in value)) this.#list(value);
  }

  #list(value: Value): void {
    if ('structs' in value) this.#each(types.struct, value.structs, (item) => this.struct(item));
    if ('texts' in value)
      this.#each(types.binary, value.texts, (item) => this.#binary(Buffer.from(item)));
    if ('bytesList' in value)
      this.#each(types.binary, value.bytesList, (item) => this.#binary(item));
    if ('i32s' in value) this.#each(types.i32, value.i32s, (item) => this.#zigzag(item));
    if ('i64s' in value) this.#each(types.i64, value.i64s, (item) => this.#zigzag(item));
    if ('bools' in value)
      this.#each(types.true, value.bools, (item) => this.bytes.push(item ? 1 : 2));
  }

  #each<T>(type: number, items: readonly T[], write: (item: T) => unknown): void {
    if (items.length < 15) {
      this.bytes.push((items.length << 4) | type);
    } else {
      this.bytes.push(0xf0 | type);
      this.#varint(items.length);
    }
    for (const item of items) write(item);
  }

  #binary(bytes: Uint8Array): void {
    this.#varint(bytes.length);
    for (const byte of bytes) this.bytes.push(byte);
  }

  #zigzag(value: number | bigint): void {
    if (typeof value === 'number' && value >= 0 && value < 2 ** 30) {
      this.#varint(value * 2);
      return;
    }
    const wide = BigInt(value);
    let rest = BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n));
    for (; rest > 127n; rest >>= 7n) this.bytes.push(Number(rest & 127n) | 128);
    this.bytes.push(Number(rest));
  }

  /** Of a number below 2^31. */
  #varint(value: number): void {
    let rest = value;
    for (; rest > 127; rest >>= 7) this.bytes.push((rest & 127) | 128);
    this.bytes.push(rest);
  }
}

function typeOf(value: Value): number {
  if ('i8' in value) return types.i8;
  if ('i32' in value) return types.i32;
  if ('i64' in value) return types.i64;
  if ('bool' in value) return value.bool ? types.true : types.false;
  if ('text' in value || 'bytes' in value) return types.binary;
  return 'struct' in value ? types.struct : types.list;
}
