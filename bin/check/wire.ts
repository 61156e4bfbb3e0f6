/**
 * The protobuf wire format, as far as a check needs it: writes single fields of any kind, right or
 * wrong, and reads answers strictly. Knows no message; shares no code with the edge that it checks.
 */

const varintType = 0;
const fixed64Type = 1;
const bytesType = 2;
const groupStart = 3;
const groupEnd = 4;
const fixed32Type = 5;

/** Longest varint (protobuf encoding guide, "Base 128 varints"). */
const varintBytesMax = 10;

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A varint; negative numbers are written as 64-bit two's complement, as `int32` and `int64` are. */
export function rawVarint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const raw: number[] = [];
  do {
    const more = rest > 127n ? 128 : 0;
    raw.push(Number(rest & 127n) | more);
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(raw);
}

export function varint(field: number, value: number | bigint): Uint8Array {
  return join(key(field, varintType), rawVarint(value));
}

export function fixed64(field: number, value: bigint): Uint8Array {
  const raw = new Uint8Array(8);
  new DataView(raw.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return join(key(field, fixed64Type), raw);
}

export function double(field: number, value: number): Uint8Array {
  return join(key(field, fixed64Type), rawDouble(value));
}

export function fixed32(field: number, value: number): Uint8Array {
  const raw = new Uint8Array(4);
  new DataView(raw.buffer).setUint32(0, value, true);
  return join(key(field, fixed32Type), raw);
}

/** A string, bytes, a message or a packed list: all are the same on the wire. */
export function bytes(field: number, ...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const value = join(...parts.map((part) => (typeof part === 'string' ? utf8(part) : part)));
  return join(key(field, bytesType), rawVarint(value.length), value);
}

/** A group (deprecated, and still to be skipped by readers). */
export function group(field: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return join(key(field, groupStart), ...parts, key(field, groupEnd));
}

/** Doubles as a packed list has them. */
export function packedDoubles(values: readonly number[]): Uint8Array {
  return join(...values.map(rawDouble));
}

/** `fixed64` values as a packed list has them. */
export function packedFixed64(values: readonly bigint[]): Uint8Array {
  return join(...values.map((value) => fixed64(1, value).subarray(1)));
}

function rawDouble(value: number): Uint8Array {
  const raw = new Uint8Array(8);
  new DataView(raw.buffer).setFloat64(0, value, true);
  return raw;
}

function key(field: number, type: number): Uint8Array {
  return rawVarint(field * 8 + type);
}

export interface Field {
  readonly field: number;
  /** An integer, or the bytes of a string or message; fixed fields are bytes too. */
  readonly value: bigint | Uint8Array;
}

/** The fields of a message, or undefined when these bytes are none. Groups are not read. */
export function readFields(message: Uint8Array): Field[] | undefined {
  const fields: Field[] = [];
  for (let at = 0; at < message.length;) {
    const tag = readVarint(message, at);
    if (tag === undefined) return undefined;
    const value = readValue(message, tag.end, Number(tag.value & 7n));
    const field = Number(tag.value >> 3n);
    if (value === undefined || field === 0) return undefined;
    fields.push({ field, value: value.value });
    at = value.end;
  }
  return fields;
}

interface Read<Value> {
  readonly value: Value;
  /** Where the next begins. */
  readonly end: number;
}

function readValue(
  message: Uint8Array,
  at: number,
  type: number,
): Read<bigint | Uint8Array> | undefined {
  if (type === varintType) return readVarint(message, at);
  if (type === fixed64Type) return slice(message, at, 8);
  if (type === fixed32Type) return slice(message, at, 4);
  if (type !== bytesType) return undefined;
  const length = readVarint(message, at);
  return length && slice(message, length.end, Number(length.value));
}

function slice(message: Uint8Array, at: number, length: number): Read<Uint8Array> | undefined {
  const end = at + length;
  return end > message.length ? undefined : { value: message.subarray(at, end), end };
}

function readVarint(message: Uint8Array, at: number): Read<bigint> | undefined {
  let value = 0n;
  for (let index = 0; index < varintBytesMax; index += 1) {
    const byte = message[at + index];
    if (byte === undefined) return undefined;
    value |= BigInt(byte & 127) << BigInt(7 * index);
    if (byte < 128) return { value: BigInt.asUintN(64, value), end: at + index + 1 };
  }
  return undefined;
}
