/**
 * Tells the pieces of a log request, one after the other, which of their records came in pieces before, so
 * that the archive numbers lines of equal content over the whole request. Compares bytes, decodes nothing.
 */
import { repeatsField } from '../../schemas/archive.ts';
import { FieldReader } from '../../schemas/field.ts';

/** Counts of records by their bytes, under what they stand under. */
type Counts = Map<string, Map<string, number>>;

export class Repeats {
  readonly #before: Counts = new Map();

  /**
   * The field that has to come first in this piece, the next of its request: of each content that was
   * in pieces before, the index of its first record in this one, and how often it was there.
   */
  fieldOf(piece: Uint8Array): Uint8Array {
    const own: Counts = new Map();
    const numbers: number[] = [];
    let index = 0;
    for (const [owner, record] of recordsOf(piece)) {
      const counts = own.get(owner) ?? new Map<string, number>();
      own.set(owner, counts);
      const known = counts.get(record) ?? 0;
      counts.set(record, known + 1);
      const before = known > 0 ? 0 : (this.#before.get(owner)?.get(record) ?? 0);
      if (before > 0) numbers.push(index, before);
      index += 1;
    }
    this.#add(own);
    return fieldOf(numbers);
  }

  #add(own: Counts): void {
    for (const [owner, counts] of own) {
      const sums = this.#before.get(owner) ?? new Map<string, number>();
      this.#before.set(owner, sums);
      for (const [record, count] of counts) sums.set(record, (sums.get(record) ?? 0) + count);
    }
  }
}

/** Bytes `[from, to)` of a message. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** Each record of the request in order: its bytes, and those of all that the archive's hash has too. */
function* recordsOf(request: Uint8Array): Generator<[owner: string, record: string]> {
  // Every byte is a character of its own, so texts are equal when bytes are.
  const text = new TextDecoder('latin1').decode(request);
  const slice = ({ from, to }: Range): string => text.slice(from, to);
  const whole = { from: 0, to: request.length };
  for (const resourceLogs of fieldsOf(request, whole, 1)) {
    const resource = headOf(request, resourceLogs).map(slice);
    for (const scopeLogs of fieldsOf(request, resourceLogs, 2)) {
      const head = [...resource, ...headOf(request, scopeLogs).map(slice)];
      const owner = [...head.map((part) => part.length), ...head].join(' ');
      for (const record of fieldsOf(request, scopeLogs, 2)) yield [owner, slice(record)];
    }
  }
}

/** The last field 1, a resource or scope, and the last field 3, its schema URL. */
function headOf(bytes: Uint8Array, message: Range): Range[] {
  return [1, 3].map((number) => {
    let last: Range = { from: 0, to: 0 };
    for (const range of fieldsOf(bytes, message, number)) last = range;
    return last;
  });
}

/** Contents of the fields of this number that have a length. */
function* fieldsOf(bytes: Uint8Array, { from, to }: Range, number: number): Generator<Range> {
  const field = new FieldReader();
  for (let at = from; at < to && field.read(bytes, at, to); at = field.to) {
    const isWanted = field.wireType === 2 && field.number === number;
    if (isWanted) yield { from: field.contents, to: field.to };
  }
}

function fieldOf(numbers: readonly number[]): Uint8Array {
  const body = numbers.flatMap(varint);
  return Uint8Array.from([...varint(repeatsField * 8 + 2), ...varint(body.length), ...body]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}
