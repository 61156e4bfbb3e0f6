/**
 * Turns OTLP protobuf into OTLP/JSON, driven by the table of `schemas/otlp.ts`: names in
 * lowerCamelCase, 64-bit numbers as decimal strings, ids in hex, other bytes in base64, enums as
 * numbers. Fields that the table does not know are left out, because JSON has no form for them.
 */
import { DecodeError } from '../../schemas/errors.ts';
import { FieldReader } from '../../schemas/field.ts';
import { jsonName, otlpMessages } from '../../schemas/otlp.ts';
import type { OtlpField } from '../../schemas/otlp.ts';

export type JsonObject = Record<string, unknown>;

const fieldsByNumber = new Map(
  Object.entries(otlpMessages).map(([name, fields]) => [
    name,
    new Map(fields.map((field) => [field.number, { ...field, jsonName: jsonName(field.name) }])),
  ]),
);

/** Bytes [from, to) of a message of type `name`, such as `Span`. Throws `DecodeError`. */
export function messageToJson(
  name: string,
  bytes: Uint8Array,
  from = 0,
  to = bytes.length,
): JsonObject {
  const fields = fieldsByNumber.get(name);
  if (!fields) throw new Error(`Bug: no message is named ${name}`);
  const reader = new FieldReader();
  const json: JsonObject = {};
  for (let at = from; at < to; at = reader.to) {
    if (!reader.read(bytes, at, to)) throw broken(name, at);
    const field = fields.get(reader.number);
    if (!field) continue;
    const values = valuesOf(field, bytes, reader);
    if (field.repeated) json[field.jsonName] = [...listAt(json, field.jsonName), ...values];
    else {
      if (field.oneof) dropMembers(json, fields.values());
      json[field.jsonName] = values.at(-1);
    }
  }
  return json;
}

function listAt(json: JsonObject, name: string): unknown[] {
  return (json[name] as unknown[] | undefined) ?? [];
}

/** Of several members of a oneof the last counts. */
function dropMembers(json: JsonObject, fields: Iterable<{ oneof: boolean; jsonName: string }>) {
  for (const { oneof, jsonName: name } of fields) if (oneof) delete json[name];
}

/** The values of one field on the wire: several only when they are packed. */
function valuesOf(field: OtlpField, bytes: Uint8Array, at: FieldReader): unknown[] {
  const { contents, to, wireType } = at;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (field.type === 'message') return [messageToJson(field.of, bytes, contents, to)];
  if (field.type === 'string') return [textOf(bytes, contents, to)];
  if (field.type === 'id') return [bufferOf(bytes, contents, to).toString('hex')];
  if (field.type === 'bytes') return [bufferOf(bytes, contents, to).toString('base64')];
  const values: unknown[] = [];
  for (let next = contents; next < to;) {
    const { value, end } = numberAt(field, view, next, to, wireType);
    values.push(value);
    next = end;
  }
  return values;
}

function numberAt(field: OtlpField, view: DataView, at: number, to: number, wireType: number) {
  const width = widths[field.type] ?? 0;
  if (width > 0) {
    if (at + width > to) throw broken(field.name, at);
    return { value: fixedAt(field.type, view, at), end: at + width };
  }
  let bits = 0n;
  for (let end = at, shift = 0n; end < to; end += 1, shift += 7n) {
    const byte = view.getUint8(end);
    bits |= BigInt(byte & 127) << shift;
    if (byte < 128) return { value: varintOf(field.type, bits), end: end + 1 };
  }
  throw broken(`${field.name} (wire type ${wireType})`, at);
}

const widths: Readonly<Record<string, number>> = { fixed64: 8, sfixed64: 8, double: 8, fixed32: 4 };

function fixedAt(type: OtlpField['type'], view: DataView, at: number): unknown {
  if (type === 'fixed64') return String(view.getBigUint64(at, true));
  if (type === 'sfixed64') return String(view.getBigInt64(at, true));
  if (type === 'fixed32') return view.getUint32(at, true);
  const value = view.getFloat64(at, true);
  // The JSON mapping of proto3 takes numbers as texts too, and has names for what is no number;
  // JSON.stringify would lose the sign.
  if (Object.is(value, -0)) return '-0';
  return Number.isFinite(value) ? value : String(value);
}

function varintOf(type: OtlpField['type'], bits: bigint): unknown {
  if (type === 'bool') return bits !== 0n;
  if (type === 'int64') return String(BigInt.asIntN(64, bits));
  if (type === 'uint64') return String(BigInt.asUintN(64, bits));
  if (type === 'uint32') return Number(BigInt.asUintN(32, bits));
  if (type === 'sint32') {
    const zigzag = Number(BigInt.asUintN(32, bits));
    return (zigzag >>> 1) ^ -(zigzag & 1);
  }
  return Number(BigInt.asIntN(32, bits));
}

function bufferOf(bytes: Uint8Array, from: number, to: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from);
}

function textOf(bytes: Uint8Array, from: number, to: number): string {
  return bufferOf(bytes, from, to).toString('utf8');
}

function broken(name: string, at: number): DecodeError {
  return new DecodeError(`Cannot read ${name} at byte ${at}`, at, { field: name });
}
