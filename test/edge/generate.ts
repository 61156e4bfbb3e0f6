/**
 * Seeded random OTLP messages, and spellings of them in JSON. Both follow the official `.proto`
 * files as protobufjs reads them, and so use every field that there is.
 */
import protobuf from 'protobufjs';
import { declared } from './proto.ts';
import type { Decoded } from './proto.ts';

export type Next = () => number;

/** Messages nested deeper than this hold scalars alone. */
const depthMax = 9;

const ids = new Map([
  ['trace_id', 16],
  ['span_id', 8],
  ['parent_span_id', 8],
]);

const letters = [
  'a',
  '"',
  '\\',
  '\n',
  '\u0001',
  'é',
  '日',
  '🎉',
  '/',
  ' ',
  'name',
  'x'.repeat(200),
];
const doubles = [0, -0, 0.1, 5e-324, 1.7976931348623157e308, 1e21, -3];
const notNumbers = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** A message of type `name` in the form that `decode` gives: what it was made from, read back. */
export function randomMessage(name: string, next: Next): Decoded {
  return randomOf(declared(name), next, 0);
}

function randomOf(type: protobuf.Type, next: Next, depth: number): Decoded {
  const message: Decoded = {};
  for (const field of type.fieldsArray) {
    if (isOneof(field) || next() < 0.2 || (depth > depthMax && isMessage(field))) continue;
    message[camel(field)] = randomField(field, next, depth);
  }
  for (const { fieldsArray } of type.oneofsArray.filter((oneof) => !oneof.isProto3Optional)) {
    const members = fieldsArray.filter((field) => depth <= depthMax || !isMessage(field));
    const field = members[below(next, members.length + 1)];
    if (field !== undefined) message[camel(field)] = randomField(field, next, depth);
  }
  return message;
}

function randomField(field: protobuf.Field, next: Next, depth: number): unknown {
  if (!field.repeated) return randomValue(field, next, depth);
  // At least one: protobuf does not tell an empty list from an absent one.
  const length = 1 + below(next, isMessage(field) ? 2 : 6);
  return Array.from({ length }, () => randomValue(field, next, depth));
}

function randomValue(field: protobuf.Field, next: Next, depth: number): unknown {
  if (field.resolvedType instanceof protobuf.Type) {
    return randomOf(field.resolvedType, next, depth + 1);
  }
  if (field.resolvedType instanceof protobuf.Enum) return below(next, 8);
  switch (field.type) {
    case 'string':
      return Array.from({ length: below(next, 8) }, () => pick(next, letters)).join('');
    case 'bytes':
      return hexDigits(next, 2 * (ids.get(field.name) ?? below(next, 9)));
    case 'bool':
      return next() < 0.5;
    case 'double':
      return randomDouble(next);
    case 'uint32':
    case 'fixed32':
      return below(next, 2 ** 32);
    case 'int32':
    case 'sint32':
      return below(next, 2 ** 32) - 2 ** 31;
    case 'int64':
    case 'sfixed64':
      return String(BigInt.asIntN(64, random64(next)));
    case 'uint64':
    case 'fixed64':
      return String(random64(next));
    default:
      throw new Error(`${field.type} is not made here`);
  }
}

function randomDouble(next: Next): number {
  if (next() < 0.1) return pick(next, notNumbers);
  if (next() < 0.3) return pick(next, doubles);
  return (next() - 0.5) * 10 ** below(next, 300);
}

/** Small numbers as often as large ones: they take other paths. */
function random64(next: Next): bigint {
  const bits = (BigInt(below(next, 2 ** 32)) << 32n) | BigInt(below(next, 2 ** 32));
  return BigInt.asUintN(64, bits >> BigInt(below(next, 64)));
}

/**
 * `message` in OTLP/JSON, each time spelled otherwise: names in camelCase or as in the proto, ids
 * in either case, 64-bit numbers bare or quoted, enums by number or name, nulls, unknown fields,
 * members of a oneof that a later one replaces.
 */
export function spell(name: string, message: Decoded, next: Next): string {
  return spellMessage(declared(name), message, next);
}

function spellMessage(type: protobuf.Type, message: Decoded, next: Next): string {
  const parts: string[] = [];
  for (const field of type.fieldsArray) {
    const value = message[camel(field)];
    const key = `"${next() < 0.3 ? field.name : camel(field)}"`;
    if (value === undefined) {
      if (next() < 0.1) parts.push(`${key}:null`);
      continue;
    }
    if (next() < 0.05) parts.push(`"unknown":{"${field.name}":[1,{"a":null}],"b":"\\u0041"}`);
    if (isOneof(field) && next() < 0.1) parts.push(...replaced(field, next));
    parts.push(`${key}${space(next)}:${space(next)}${spellField(field, value, next)}`);
  }
  return `{${space(next)}${parts.join(`${space(next)},`)}}`;
}

/** Another member of the oneof of `field`, which `field` will replace. */
function replaced(field: protobuf.Field, next: Next): string[] {
  const [other] = (field.partOf?.fieldsArray ?? []).filter((member) => member !== field);
  if (other === undefined) return [];
  return [`"${camel(other)}":${spellField(other, randomField(other, next, depthMax + 1), next)}`];
}

function spellField(field: protobuf.Field, value: unknown, next: Next): string {
  if (!field.repeated) return spellValue(field, value, next);
  return `[${(value as unknown[]).map((each) => spellValue(field, each, next)).join(', ')}]`;
}

function spellValue(field: protobuf.Field, value: unknown, next: Next): string {
  if (field.resolvedType instanceof protobuf.Type) {
    return spellMessage(field.resolvedType, value as Decoded, next);
  }
  if (field.resolvedType instanceof protobuf.Enum) {
    const name = field.resolvedType.valuesById[Number(value)];
    return name !== undefined && next() < 0.3 ? `"${name}"` : String(value);
  }
  if (field.type === 'bytes') return `"${spellBytes(field, String(value), next)}"`;
  if (field.type === 'string' || field.type === 'bool') return JSON.stringify(value);
  const text = Object.is(value, -0) ? '-0' : String(value);
  const quoted = next() < 0.5 || notNumbers.includes(Number(value)) || /[NI]/.test(text);
  return quoted ? `"${text}"` : text;
}

function spellBytes(field: protobuf.Field, hex: string, next: Next): string {
  if (ids.has(field.name)) return next() < 0.3 ? hex.toUpperCase() : hex;
  const bytes = (hex.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
  return btoa(String.fromCharCode(...bytes));
}

function isMessage(field: protobuf.Field): boolean {
  return field.resolvedType instanceof protobuf.Type;
}

function isOneof(field: protobuf.Field): boolean {
  return field.partOf !== null && !field.partOf.isProto3Optional;
}

function camel(field: protobuf.Field): string {
  return protobuf.util.camelCase(field.name);
}

function hexDigits(next: Next, count: number): string {
  return Array.from({ length: count }, () => below(next, 16).toString(16)).join('');
}

function space(next: Next): string {
  return next() < 0.1 ? ' \n' : '';
}

function pick<T>(next: Next, values: readonly [T, ...T[]] | readonly T[]): T {
  return values[below(next, values.length)] as T;
}

function below(next: Next, bound: number): number {
  return Math.floor(next() * bound);
}
