/**
 * Writes one JSON value as one protobuf scalar, by the rules of proto3 JSON and of OTLP/JSON
 * (OTLP 1.11, "JSON Protobuf Encoding"). It never coerces: a boolean is no number.
 */
import type { OtlpField } from '../../schemas/otlp.ts';
import { ascii, negate, readDouble, readInteger } from './decimal.ts';
import { hexDigit, quote } from './scan.ts';
import type { Scan } from './scan.ts';
import type { Wire } from './wire.ts';

const minus = 45;

/** Scratch for the integer being read; its contents never outlive `writeScalar`. */
const halves = { low: 0, high: 0, negative: false };

/** Bytes of an id that is no hex text which are passed on to be rejected. */
const badIdBytesMax = 64;

const base64Digits = base64Table();

interface ScalarField extends Pick<OtlpField, 'type'> {
  readonly values: Readonly<Record<string, number>>;
}

/**
 * Takes the value at `scan` and writes it to `wire`, without the key. Throws `DecodeError` when
 * it is not a value of the field's type.
 */
export function writeScalar(scan: Scan, wire: Wire, field: ScalarField): void {
  const byte = scan.next();
  switch (field.type) {
    case 'string':
      if (byte !== quote) scan.fail('wanted a string');
      scan.stringTo(wire);
      return;
    case 'id':
      writeId(scan, wire, byte);
      return;
    case 'bytes':
      writeBase64(scan, wire, byte);
      return;
    case 'bool':
      writeBool(scan, wire, byte);
      return;
    case 'double':
      wire.double(takeDouble(scan, byte));
      return;
    case 'enum':
      writeEnum(scan, wire, byte, field.values);
      return;
    case 'int64':
    case 'int32':
    case 'sint32':
    case 'sfixed64':
      writeSigned(scan, wire, byte, field.type);
      return;
    case 'fixed64':
    case 'uint64':
    case 'uint32':
    case 'fixed32':
      writeUnsigned(scan, wire, byte, field.type);
      return;
    case 'message':
      throw new Error('Bug: a message is no scalar');
    default:
      field.type satisfies never;
  }
}

type Signed = 'int64' | 'int32' | 'sint32' | 'sfixed64';

function writeSigned(scan: Scan, wire: Wire, byte: number, type: Signed): void {
  takeInteger(scan, byte);
  const { low, high, negative } = halves;
  const wide = type === 'int64' || type === 'sfixed64';
  // The least value has no positive twin: -2^63 is allowed, +2^63 is not.
  const signBit = wide ? high : low;
  const past = !wide && high !== 0;
  const least = negative && signBit === 0x80000000 && (!wide || low === 0);
  if (past || (signBit >= 0x80000000 && !least)) outOfRange(scan, type);
  negate(halves);
  if (type === 'sfixed64') wire.fixed64(halves.low, halves.high);
  else if (type === 'sint32') wire.varint((halves.low << 1) ^ (halves.low >> 31));
  else wire.varint64(halves.low, halves.high);
}

type Unsigned = 'fixed64' | 'uint64' | 'uint32' | 'fixed32';

function writeUnsigned(scan: Scan, wire: Wire, byte: number, type: Unsigned): void {
  takeInteger(scan, byte);
  const { low, high, negative } = halves;
  if (negative && (low !== 0 || high !== 0)) outOfRange(scan, type);
  if (type === 'fixed64') {
    wire.fixed64(low, high);
    return;
  }
  if (type === 'uint64') {
    wire.varint64(low, high);
    return;
  }
  if (high !== 0) outOfRange(scan, type);
  if (type === 'uint32') wire.varint(low);
  else wire.fixed32(low);
}

/** Unknown numbers are kept; names are accepted as the Collector does, though none may send them. */
function writeEnum(
  scan: Scan,
  wire: Wire,
  byte: number,
  values: Readonly<Record<string, number>>,
): void {
  if (byte !== quote) {
    writeSigned(scan, wire, byte, 'int32');
    return;
  }
  scan.string();
  const name = ascii(scan.token, scan.tokenFrom, Math.min(scan.tokenTo, scan.tokenFrom + 64));
  const value = Object.hasOwn(values, name) ? values[name] : undefined;
  wire.varint(value ?? scan.fail(`"${name}" is no name of this enumeration`));
}

function writeBool(scan: Scan, wire: Wire, byte: number): void {
  const truth = byte === 116;
  if (!truth && byte !== 102) scan.fail('wanted true or false');
  scan.word(truth ? 'true' : 'false');
  wire.byte(truth ? 1 : 0);
}

/** Takes a number, or a string that holds one, into `halves`. */
function takeInteger(scan: Scan, byte: number): void {
  takeNumberToken(scan, byte);
  if (!readInteger(scan.token, scan.tokenFrom, scan.tokenTo, halves)) {
    scan.fail('wanted a whole number of at most 64 bits');
  }
}

function takeDouble(scan: Scan, byte: number): number {
  takeNumberToken(scan, byte);
  const { token, tokenFrom, tokenTo } = scan;
  if (byte === quote) {
    const text = ascii(token, tokenFrom, tokenTo);
    if (text === 'NaN') return Number.NaN;
    if (text === 'Infinity') return Number.POSITIVE_INFINITY;
    if (text === '-Infinity') return Number.NEGATIVE_INFINITY;
    if (!/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text)) scan.fail('wanted a number');
  }
  const value = readDouble(token, tokenFrom, tokenTo);
  return Number.isNaN(value) ? scan.fail('a number is past the largest double') : value;
}

function takeNumberToken(scan: Scan, byte: number): void {
  if (byte === quote) scan.string();
  else if (byte === minus || (byte >= 48 && byte <= 57)) scan.number();
  else scan.fail('wanted a number');
}

/**
 * Ids are hex of either case; an empty one is unset. What cannot be hex is passed on as its own
 * text, in a length that no id has, so that the item is rejected and not the request.
 */
function writeId(scan: Scan, wire: Wire, byte: number): void {
  if (byte !== quote) scan.fail('wanted a string of hex digits');
  scan.string();
  const { token, tokenFrom, tokenTo } = scan;
  if (!isHex(token, tokenFrom, tokenTo)) {
    const length = Math.min(tokenTo - tokenFrom, badIdBytesMax);
    const odd = length === 8 || length === 16 ? length - 1 : length;
    wire.varint(odd);
    wire.copy(token, tokenFrom, tokenFrom + odd);
    return;
  }
  wire.varint((tokenTo - tokenFrom) >>> 1);
  for (let at = tokenFrom; at < tokenTo; at += 2) {
    wire.byte((hexDigit(token[at] ?? 0) << 4) | hexDigit(token[at + 1] ?? 0));
  }
}

function isHex(bytes: Uint8Array, from: number, to: number): boolean {
  if ((to - from) % 2 !== 0) return false;
  for (let at = from; at < to; at += 1) if (hexDigit(bytes[at] ?? 0) < 0) return false;
  return true;
}

/** Standard or URL-safe base64, padded or not (proto3 JSON, "bytes"). */
function writeBase64(scan: Scan, wire: Wire, byte: number): void {
  if (byte !== quote) scan.fail('wanted a string of base64');
  scan.string();
  const { token, tokenFrom } = scan;
  let to = scan.tokenTo;
  for (let padding = 0; padding < 2 && to > tokenFrom && token[to - 1] === 61; padding += 1)
    to -= 1;
  const digits = to - tokenFrom;
  const padded = scan.tokenTo !== to;
  if (digits % 4 === 1 || (padded && (scan.tokenTo - tokenFrom) % 4 !== 0)) {
    scan.fail('base64 has a wrong length');
  }
  wire.varint(Math.floor((digits * 3) / 4));
  let bits = 0;
  let bitCount = 0;
  for (let at = tokenFrom; at < to; at += 1) {
    const digit = base64Digits[token[at] ?? 0] ?? -1;
    if (digit < 0) scan.fail('a character is no base64');
    bits = ((bits << 6) | digit) & 0xfff;
    bitCount += 6;
    if (bitCount < 8) continue;
    bitCount -= 8;
    wire.byte((bits >> bitCount) & 255);
  }
}

function outOfRange(scan: Scan, type: string): never {
  return scan.fail(`a number is out of the range of ${type}`);
}

function base64Table(): Int8Array {
  const table = new Int8Array(256).fill(-1);
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  const digits = `${letters}+/`;
  for (let value = 0; value < 64; value += 1) table[digits.charCodeAt(value)] = value;
  table['-'.charCodeAt(0)] = 62;
  table['_'.charCodeAt(0)] = 63;
  return table;
}
