/**
 * Turns OTLP/JSON into the protobuf bytes of the same message, driven by the table of
 * `schemas/otlp.ts`. It makes no object per item and judges no item: ids of a wrong length are
 * passed on, so that the transcoder rejects the span that has them and not the request.
 */
import { DecodeError } from '../schemas/errors.ts';
import { anyValueDepthMax } from '../schemas/limits.ts';
import { jsonName, otlpEnums, otlpMessages } from '../schemas/otlp.ts';
import type { OtlpField } from '../schemas/otlp.ts';
import { writeScalar } from './json/scalar.ts';
import {
  braceClose,
  braceOpen,
  bracketClose,
  bracketOpen,
  colon,
  quote,
  Scan,
} from './json/scan.ts';
import { Wire, wireBytes, wireFixed32, wireFixed64, wireVarint } from './json/wire.ts';

/** A field of the table, ready for the reader. */
export interface Field extends OtlpField {
  readonly jsonName: string;
  readonly wireType: number;
  /** The message type of a `message` field. */
  readonly message: Message | undefined;
  /** The values by name of an `enum` field. */
  readonly values: Readonly<Record<string, number>>;
}

interface Message {
  readonly name: string;
  /** Slots of a hash table from field names, in the spellings allowed. Its length is a power of two. */
  readonly slots: (Slot | undefined)[];
  /** The slot that came first the last time. */
  next: Slot | undefined;
  /** Bytes that the length of the last message of this type took: likely those of the next. */
  prefixBytes: number;
}

interface Slot {
  readonly name: Uint8Array;
  readonly field: Field;
  /** The slot that followed this one last: senders write fields in one order. */
  next: Slot | undefined;
}

/** Spellings of field names: `camel` is lowerCamelCase alone, `any` the proto's own as well. */
export type Names = 'any' | 'camel';

const messages: Readonly<Record<Names, ReadonlyMap<string, Message>>> = {
  any: compile('any'),
  camel: compile('camel'),
};

/**
 * Reads `json`, an OTLP message of type `name` (such as `ExportTraceServiceRequest`), and returns
 * its protobuf form. A name that `names` does not allow is an unknown field. Throws `DecodeError` with the byte offset and the path to the field, and
 * `TidemarkError` BODY_TOO_LARGE when the result passes `bytesMax`.
 */
export function jsonToProtobuf(
  name: string,
  json: Uint8Array,
  bytesMax: number,
  names: Names = 'any',
): Uint8Array {
  const message = messages[names].get(name);
  if (message === undefined) throw new Error(`Bug: no message is named ${name}`);
  const reader = new Reader(json, bytesMax);
  try {
    return reader.read(message);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const field = reader.path();
    const where = field === '' ? '' : ` at ${field}`;
    const text = `${error.message}${where} (byte ${error.byteOffset})`;
    throw new DecodeError(text, error.byteOffset, { cause: error, field });
  }
}

/** One pass over one JSON text. */
class Reader {
  readonly #scan: Scan;
  readonly #wire: Wire;
  /** Where the reader is: the field being read at each depth, and the index in its array. */
  readonly #fields: (Field | undefined)[] = [];
  readonly #indexes: number[] = [];
  #depth = -1;

  constructor(json: Uint8Array, bytesMax: number) {
    this.#scan = new Scan(json);
    this.#wire = new Wire(json.length / 2, bytesMax);
  }

  read(message: Message): Uint8Array {
    if (this.#scan.atEnd()) this.#scan.fail('the body is empty');
    this.#message(message, 0, 0);
    if (!this.#scan.atEnd()) {
      this.#scan.next();
      this.#scan.fail('bytes follow the value');
    }
    return this.#wire.written();
  }

  /** The path to the field that was being read, such as `resourceSpans[0].scopeSpans[1]`. */
  path(): string {
    return this.#fields
      .slice(0, this.#depth + 1)
      .map((field, depth) => {
        const index = this.#indexes[depth] ?? -1;
        return `${field?.jsonName ?? ''}${index < 0 ? '' : `[${index}]`}`;
      })
      .join('.')
      .replace(/\.$/, '');
  }

  /** Takes an object and writes its fields. `anyDepth` counts the AnyValues around it. */
  #message(message: Message, depth: number, anyDepth: number): void {
    const scan = this.#scan;
    scan.expect(braceOpen);
    let oneofFrom = -1;
    let oneofTo = -1;
    let before: Slot | Message = message;
    if (scan.next() === braceClose) {
      scan.at += 1;
      return;
    }
    do {
      if (scan.next() !== quote) scan.fail('wanted a field name');
      const slot = this.#name(message, before);
      before = slot ?? before;
      const field = slot?.field;
      scan.expect(colon);
      this.#depth = depth;
      this.#fields[depth] = field;
      this.#indexes[depth] = -1;
      if (field === undefined) scan.skip();
      else if (scan.next() === 110) scan.word('null');
      else {
        const from = this.#wire.length;
        this.#field(field, depth, anyDepth);
        if (!field.oneof) continue;
        // Of several members of a oneof the last wins: take back the one before.
        if (oneofFrom >= 0) this.#wire.remove(oneofFrom, oneofTo);
        oneofFrom = from - (oneofTo < 0 ? 0 : oneofTo - oneofFrom);
        oneofTo = this.#wire.length;
      }
    } while (scan.more(braceClose));
    this.#depth = depth - 1;
  }

  /** Takes a field's name; undefined when the message has no such field. */
  #name(message: Message, before: Slot | Message): Slot | undefined {
    const scan = this.#scan;
    const guess = before.next;
    if (guess !== undefined && scan.takesString(guess.name)) return guess;
    scan.string();
    const slot = find(message, scan.token, scan.tokenFrom, scan.tokenTo);
    if (slot !== undefined) before.next = slot;
    return slot;
  }

  #field(field: Field, depth: number, anyDepth: number): void {
    if (!field.repeated) {
      this.#wire.key(field.number, field.wireType);
      this.#value(field, depth, anyDepth);
      return;
    }
    const scan = this.#scan;
    scan.expect(bracketOpen);
    if (scan.next() === bracketClose) {
      scan.at += 1;
      return;
    }
    let index = 0;
    // Repeated numbers are packed: one length before all of them (proto3's default).
    const packed = field.wireType !== wireBytes;
    if (packed) this.#wire.key(field.number, wireBytes);
    const start = packed ? this.#wire.open(1) : 0;
    do {
      this.#indexes[depth] = index;
      if (!packed) this.#wire.key(field.number, wireBytes);
      this.#value(field, depth, anyDepth);
      index += 1;
    } while (scan.more(bracketClose));
    this.#indexes[depth] = -1;
    if (packed) this.#wire.close(start, 1);
  }

  #value(field: Field, depth: number, anyDepth: number): void {
    const { message } = field;
    if (message === undefined) {
      writeScalar(this.#scan, this.#wire, field);
      return;
    }
    const nested = message.name === 'AnyValue' ? anyDepth + 1 : anyDepth;
    if (nested > anyValueDepthMax) {
      this.#scan.fail(`values are nested deeper than ${anyValueDepthMax}`);
    }
    const prefixBytes = message.prefixBytes;
    const start = this.#wire.open(prefixBytes);
    this.#message(message, depth + 1, nested);
    message.prefixBytes = this.#wire.close(start, prefixBytes);
  }
}

/** The slot of the field that `bytes[from, to)` names, in a spelling that is allowed. */
function find(message: Message, bytes: Uint8Array, from: number, to: number): Slot | undefined {
  const mask = message.slots.length - 1;
  let at = hash(bytes, from, to) & mask;
  for (;;) {
    const slot = message.slots[at];
    if (slot === undefined) return undefined;
    if (same(slot.name, bytes, from, to)) return slot;
    at = (at + 1) & mask;
  }
}

function same(name: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let index = 0; index < name.length; index += 1) {
    if (name[index] !== bytes[from + index]) return false;
  }
  return true;
}

/** FNV-1a, 32 bits. */
function hash(bytes: Uint8Array, from: number, to: number): number {
  let value = 0x811c9dc5;
  for (let at = from; at < to; at += 1) value = Math.imul(value ^ (bytes[at] ?? 0), 0x01000193);
  return value >>> 0;
}

function compile(names: Names): Map<string, Message> {
  const compiled = new Map<string, Message>();
  for (const [name, fields] of Object.entries(otlpMessages)) {
    // At most a quarter full with both spellings, so that a look-up ends soon.
    const size = 2 ** Math.ceil(Math.log2(fields.length * 2 * 4));
    const slots = Array.from<Slot | undefined>({ length: size }).fill(undefined);
    compiled.set(name, { name, slots, next: undefined, prefixBytes: 1 });
  }
  for (const [name, fields] of Object.entries(otlpMessages)) {
    const slots = compiled.get(name)?.slots ?? [];
    for (const plain of fields) {
      const field = compileField(plain, compiled);
      insert(slots, field.jsonName, field);
      if (names === 'any' && field.name !== field.jsonName) insert(slots, field.name, field);
    }
  }
  return compiled;
}

function compileField(field: OtlpField, compiled: ReadonlyMap<string, Message>): Field {
  return {
    ...field,
    jsonName: jsonName(field.name),
    wireType: wireTypeOf(field),
    message: field.type === 'message' ? compiled.get(field.of) : undefined,
    values: otlpEnums[field.of] ?? {},
  };
}

function wireTypeOf(field: OtlpField): number {
  if (['fixed64', 'sfixed64', 'double'].includes(field.type)) return wireFixed64;
  if (field.type === 'fixed32') return wireFixed32;
  const varints = ['bool', 'int32', 'sint32', 'uint32', 'int64', 'uint64', 'enum'];
  return varints.includes(field.type) ? wireVarint : wireBytes;
}

function insert(slots: (Slot | undefined)[], spelling: string, field: Field): void {
  const name = new TextEncoder().encode(spelling);
  let at = hash(name, 0, name.length) & (slots.length - 1);
  while (slots[at] !== undefined) at = (at + 1) & (slots.length - 1);
  slots[at] = { name, field, next: undefined };
}
