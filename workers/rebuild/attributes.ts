/**
 * Gives attributes and bodies back their types: from the text and the kind that the archive keeps
 * to the AnyValue that was sent. Values that this cannot give back are kept as raw messages, which
 * is for the writers of items to see; nothing here looks at those.
 */
import type { Attributes, Texts } from '../clients/parquet/rows.ts';
import type { ReverseWriter } from './writer.ts';

/** Field numbers of AnyValue's oneof, which are the kinds; and those of a KeyValue. */
const stringKind = 1;
const boolKind = 2;
const intKind = 3;
const doubleKind = 4;
const bytesKind = 7;
const keyField = 1;
const valueField = 2;

/** Writes entries [from, to) as fields `field`, each a KeyValue. */
export function writeAttributes(
  out: ReverseWriter,
  field: number,
  attributes: Attributes,
  from: number,
  to: number,
): void {
  const { keys, values, kinds } = attributes;
  for (let index = to - 1; index >= from; index -= 1) {
    const entry = out.written;
    writeAnyValue(out, valueField, values, index, kinds[index] ?? 0);
    writeText(out, keyField, keys, index);
    out.close(field, entry);
  }
}

/** Writes a value of `kind` as field `field`; nothing for kind 0, which is no value. */
export function writeAnyValue(
  out: ReverseWriter,
  field: number,
  values: Texts,
  index: number,
  kind: number,
): void {
  if (kind === 0) return;
  const mark = out.written;
  const from = values.start(index);
  const to = values.end(index);
  if (kind === stringKind) out.bytes(stringKind, values.bytes, from, to);
  else if (kind === boolKind) out.varint(boolKind, values.bytes[from] === letterT ? 1 : 0);
  else if (kind === intKind) writeInt(out, values.bytes, from, to);
  else if (kind === doubleKind) out.double(doubleKind, Number(asciiOf(values.bytes, from, to)));
  else if (kind === bytesKind) {
    const bytes = Buffer.from(asciiOf(values.bytes, from, to), 'base64');
    out.bytes(bytesKind, bytes, 0, bytes.length);
  } else throw new Error(`Bug: a value of kind ${kind} has no raw message`);
  out.close(field, mark);
}

/** Writes text i as field `field`, unless it is empty: proto3 does not tell that from none. */
export function writeText(out: ReverseWriter, field: number, texts: Texts, index: number): void {
  const from = texts.start(index);
  const to = texts.end(index);
  if (to > from) out.bytes(field, texts.bytes, from, to);
}

const letterT = 0x74;
const zero = 0x30;

function writeInt(out: ReverseWriter, bytes: Uint8Array, from: number, to: number): void {
  if (to - from > 15 || (bytes[from] ?? 0) < zero) {
    out.long(intKind, BigInt(asciiOf(bytes, from, to)));
    return;
  }
  let value = 0;
  for (let at = from; at < to; at += 1) value = value * 10 + (bytes[at] ?? zero) - zero;
  out.varint(intKind, value);
}

function asciiOf(bytes: Uint8Array, from: number, to: number): string {
  const { buffer, byteOffset, byteLength } = bytes;
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1', from, to);
}
