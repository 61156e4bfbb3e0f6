/**
 * The order of an archive file's rows: by the 16 bytes of the first column, then by 8 bytes of another
 * one, then by arrival. Only compares.
 */
import type { Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import type { ArrowBuffers, ArrowRows } from './arrow.ts';

/** Words of one row's key: four of the id, two of the second column, most significant first. */
const keyWords = 6;
const idWords = 4;

/** The column that decides between equal ids, and whether its numbers are stored lowest byte first. */
const seconds = {
  traces: { name: 'SpanId', bytes: 8, isNumber: false },
  metrics: { name: 'TimeUnix', bytes: 8, isNumber: true },
  logs: { name: 'ContentHash', bytes: 16, isNumber: false },
} as const;

/** One row group and the keys of its rows. */
export class KeyedRows {
  readonly rows: ArrowRows;
  readonly #keys: Uint32Array;
  readonly #arrival: readonly Words[];

  /** Throws `TidemarkError` CORRUPT_ARCHIVE when a column is missing or ids do not ascend. */
  constructor(signal: Signal, rows: ArrowRows, key: string) {
    this.rows = rows;
    const second = seconds[signal];
    this.#keys = new Uint32Array(rows.rows * keyWords);
    this.#fill(columnOf(rows, rows.fields[0]?.name ?? '', key), {
      at: 0,
      each: idWords,
      isNumber: false,
    });
    const { bytes, isNumber } = second;
    this.#fill(columnOf(rows, second.name, key), { at: idWords, each: bytes / 4, isNumber });
    this.#arrival = [
      { words: wordsOf(columnOf(rows, 'IngestedAt', key)), each: 2 },
      { words: wordsOf(columnOf(rows, 'Partition', key)), each: 1 },
      { words: wordsOf(columnOf(rows, 'Offset', key)), each: 2 },
      { words: wordsOf(columnOf(rows, 'ItemIndex', key)), each: 1 },
    ];
    this.#assertAscending(key);
  }

  /** Negative when our row comes before that row of the other, 0 when nothing tells them apart. */
  compare(row: number, other: KeyedRows, otherRow: number): number {
    const order = this.#compareWords(row, other, otherRow, keyWords);
    return order === 0 ? this.#compareArrival(row, other, otherRow) : order;
  }

  /** The same by id alone. */
  compareIds(row: number, other: KeyedRows, otherRow: number): number {
    return this.#compareWords(row, other, otherRow, idWords);
  }

  #compareWords(row: number, other: KeyedRows, otherRow: number, words: number): number {
    const own = this.#keys;
    const their = other.#keys;
    const from = row * keyWords;
    const otherFrom = otherRow * keyWords;
    for (let word = 0; word < words; word += 1) {
      const left = own[from + word] ?? 0;
      const right = their[otherFrom + word] ?? 0;
      if (left !== right) return left < right ? -1 : 1;
    }
    return 0;
  }

  #compareArrival(row: number, other: KeyedRows, otherRow: number): number {
    for (const [index, { words, each }] of this.#arrival.entries()) {
      const theirs = other.#arrival[index]?.words ?? words;
      // Numbers are stored lowest word first; the highest one carries the sign.
      for (let word = each - 1; word >= 0; word -= 1) {
        const left = words[row * each + word] ?? 0;
        const right = theirs[otherRow * each + word] ?? 0;
        if (left === right) continue;
        const isLess = word === each - 1 ? left < right : left >>> 0 < right >>> 0;
        return isLess ? -1 : 1;
      }
    }
    return 0;
  }

  #fill(
    column: ArrowBuffers,
    { at, each, isNumber }: { at: number; each: number; isNumber: boolean },
  ): void {
    const words = wordsOf(column);
    const keys = this.#keys;
    const used = Math.min(each, keyWords - at);
    for (let row = 0; row < this.rows.rows; row += 1) {
      for (let word = 0; word < used; word += 1) {
        const own = words[row * each + (isNumber ? used - 1 - word : word)] ?? 0;
        keys[row * keyWords + at + word] = isNumber ? own : bigEndian(own);
      }
    }
  }

  #assertAscending(key: string): void {
    const keys = this.#keys;
    for (let at = keyWords; at < keys.length; at += keyWords) {
      for (let word = at; word < at + idWords; word += 1) {
        const now = keys[word] ?? 0;
        const before = keys[word - keyWords] ?? 0;
        if (now > before) break;
        if (now === before) continue;
        throw corrupt(key, `row ${at / keyWords} of a row group is not in the order of ids`);
      }
    }
  }
}

interface Words {
  readonly words: Int32Array;
  readonly each: number;
}

/** The buffers of a column. Throws `TidemarkError` CORRUPT_ARCHIVE when it is not there. */
export function columnOf(rows: ArrowRows, name: string, key: string): ArrowBuffers {
  const column = rows.columns[rows.fields.findIndex((field) => field.name === name)];
  if (column) return column;
  throw corrupt(key, `it has no column ${name}`);
}

function wordsOf({ data }: ArrowBuffers): Int32Array {
  return new Int32Array(data.buffer, data.byteOffset, data.byteLength >> 2);
}

/** The bytes of a word that a little-endian machine has read, first byte highest. */
function bigEndian(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}

function corrupt(key: string, reason: string): TidemarkError {
  return new TidemarkError('CORRUPT_ARCHIVE', `Cannot use "${key}": ${reason}`);
}
