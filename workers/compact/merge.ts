/**
 * Merges sorted runs of archive files into batches of rows in the archive's order. Holds one row group
 * of each run, and those that the batch under way still needs.
 */
import type { Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { mergeBatchBytes, rowGroupRows } from '../../schemas/limits/archive.ts';
import type { ReadRange } from '../clients/parquet/remote.ts';
import { bytesOf, signatureOf, type ArrowRows } from './arrow.ts';
import { emptyRuns, gatherRows } from './gather.ts';
import { KeyedRows } from './keys.ts';
import { FileReader, type InputFile } from './read.ts';
import type { SortedRun } from './task.ts';

/** Which rows of a row group stay: a byte each, 1 or 0; `undefined` when all do. */
export type Filter = (rows: ArrowRows, key: string) => Uint8Array | undefined;

export interface MergeOptions {
  readonly signal: Signal;
  readonly read: ReadRange;
  /** Bytes of decoded row groups to hold, once two runs are open. */
  readonly memoryBytes: number;
  readonly keep?: Filter | undefined;
}

/**
 * A merge of as many runs, from the first on, as fit into memory and have equal columns; at least
 * one. `close` it in the end.
 */
export class Merge {
  /** How many of the runs given are merged, by their index. */
  readonly taken: readonly number[];
  /** Version of the files' columns. */
  readonly version: string;
  readonly #cursors: readonly Cursor[];
  readonly #heap: Heap;

  private constructor(cursors: readonly Cursor[], taken: readonly number[], version: string) {
    this.#cursors = cursors;
    this.#heap = new Heap(cursors);
    this.taken = taken;
    this.version = version;
  }

  /** Opens runs. Throws what `read` throws, and CORRUPT_ARCHIVE for files that are not ours. */
  static async open(runs: readonly SortedRun[], options: MergeOptions): Promise<Merge> {
    const cursors: Cursor[] = [];
    const taken: number[] = [];
    let version = '';
    let bytes = 0;
    try {
      for (const [index, run] of runs.entries()) {
        const cursor = new Cursor(run, cursors.length, options);
        cursors.push(cursor);
        await cursor.advanceGroup();
        if (index === 0) version = cursor.version;
        const isLike = cursor.version === version && cursor.signature === cursors[0]?.signature;
        const fits = taken.length < 2 || bytes + cursor.bytesMax <= options.memoryBytes;
        if (isLike && fits) {
          bytes += cursor.bytesMax;
          taken.push(index);
          continue;
        }
        cursors.pop()?.close();
        if (!fits) break;
      }
    } catch (error) {
      for (const cursor of cursors) cursor.close();
      throw error;
    }
    return new Merge(cursors, taken, version);
  }

  /** The rows in order, in batches of at most a row group. Throws as `open` does. */
  async *batches(): AsyncGenerator<ArrowRows> {
    const batch = new Batch();
    for (let cursor = this.#heap.first; cursor; cursor = this.#heap.first) {
      batch.take(cursor, this.#heap.second);
      if (batch.isFull) yield* batch.flush();
      if (cursor.isAtEnd) await cursor.advanceGroup();
      this.#heap.settle();
    }
    yield* batch.flush();
  }

  close(): void {
    for (const cursor of this.#cursors) cursor.close();
  }
}

/** Where the merge is in one run. */
class Cursor {
  readonly ordinal: number;
  readonly #options: MergeOptions;
  readonly #files: InputFile[];
  #reader: FileReader | undefined;
  #key = '';
  group: KeyedRows | undefined;
  kept: Uint8Array | undefined;
  row = 0;
  /** Bytes of a row of the current group, as they are in memory. */
  rowBytes = 0;
  version = '';
  signature = '';
  readonly #rowsMax: number;

  constructor(run: SortedRun, ordinal: number, options: MergeOptions) {
    this.ordinal = ordinal;
    this.#options = options;
    this.#files = [...run.files];
    this.#rowsMax = Math.max(...run.files.flatMap(({ groupRows }) => groupRows));
  }

  /** What the largest row group of the run takes if its rows are as the current one's. */
  get bytesMax(): number {
    return this.rowBytes * this.#rowsMax;
  }

  get isAtEnd(): boolean {
    return this.row === (this.group?.rows.rows ?? 0);
  }

  /** Goes on to the next row group, of the next file if need be; `group` is undefined at the end. */
  async advanceGroup(): Promise<void> {
    const rows = await this.#nextRows();
    const last = this.group;
    this.group = rows && new KeyedRows(this.#options.signal, rows, this.#key);
    this.row = 0;
    if (!rows || !this.group) return;
    this.signature ||= signatureOf(rows.fields);
    if (signatureOf(rows.fields) !== this.signature) {
      throw corrupt(this.#key, 'its columns are not those of the files before it');
    }
    if (last && last.compareIds(last.rows.rows - 1, this.group, 0) > 0) {
      throw corrupt(this.#key, 'a row group is not in the order of ids');
    }
    this.kept = this.#options.keep?.(rows, this.#key);
    this.rowBytes = rows.columns.reduce((sum, column) => sum + bytesOf(column), 0) / rows.rows;
  }

  async #nextRows(): Promise<ArrowRows | undefined> {
    for (;;) {
      const rows = await this.#reader?.next();
      if (rows) return rows;
      const file = this.#files.shift();
      if (!file) return undefined;
      this.#key = file.key;
      this.#reader = new FileReader(this.#options.read, file);
      this.version ||= await this.#reader.version();
    }
  }

  close(): void {
    this.#reader?.close();
    this.#reader = undefined;
    this.group = undefined;
  }
}

/** Cursors that are not at their end; the one whose row comes first is at the root. */
class Heap {
  readonly #cursors: Cursor[] = [];

  constructor(cursors: readonly Cursor[]) {
    for (const cursor of cursors) this.#push(cursor);
  }

  get first(): Cursor | undefined {
    return this.#cursors[0];
  }

  /** The one that comes after the first. */
  get second(): Cursor | undefined {
    const [, left, right] = this.#cursors;
    return left && right && isBefore(right, left) ? right : left;
  }

  /** To be called after the first one has moved on. */
  settle(): void {
    if (this.#cursors[0]?.group === undefined) {
      const last = this.#cursors.pop();
      if (last && this.#cursors.length > 0) this.#cursors[0] = last;
    }
    this.#sink(0);
  }

  #push(cursor: Cursor): void {
    if (!cursor.group) return;
    this.#cursors.push(cursor);
    for (let at = this.#cursors.length - 1; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIfBefore(at, parent)) return;
      at = parent;
    }
  }

  #sink(from: number): void {
    for (let at = from; ;) {
      const left = 2 * at + 1;
      const [a, b] = [this.#cursors[left], this.#cursors[left + 1]];
      if (!a) return;
      const least = b && isBefore(b, a) ? left + 1 : left;
      if (!this.#swapIfBefore(least, at)) return;
      at = least;
    }
  }

  #swapIfBefore(at: number, parent: number): boolean {
    const [own, above] = [this.#cursors[at], this.#cursors[parent]];
    if (!own || !above || !isBefore(own, above)) return false;
    this.#cursors[at] = above;
    this.#cursors[parent] = own;
    return true;
  }
}

/** Rows that nothing tells apart come in the order of their runs. */
function isBefore(left: Cursor, right: Cursor): boolean {
  if (!left.group || !right.group) throw new Error('Bug: a cursor at its end is in the heap');
  const order = left.group.compare(left.row, right.group, right.row);
  return order < 0 || (order === 0 && left.ordinal < right.ordinal);
}

/** Rows that were chosen and not yet put together. */
class Batch {
  #runs = emptyRuns(rowGroupRows);
  readonly #slots = new Map<KeyedRows, number>();
  #bytes = 0;
  #ownBytes = 0;

  get isFull(): boolean {
    const { rows } = this.#runs;
    const held = Math.max(this.#bytes, this.#ownBytes);
    return rows === rowGroupRows || held >= mergeBatchBytes;
  }

  /** Takes the cursor's rows that come before `next`, as far as there is room. */
  take(cursor: Cursor, next: Cursor | undefined): void {
    const { group, row } = cursor;
    if (!group) throw new Error('Bug: no rows to take');
    const limit = Math.min(group.rows.rows, row + rowGroupRows - this.#runs.rows);
    let end = row + 1;
    if (next?.group) {
      const [theirs, at] = [next.group, next.row];
      const equal = cursor.ordinal < next.ordinal ? 0 : -1;
      while (end < limit && group.compare(end, theirs, at) <= equal) end += 1;
    } else {
      end = limit;
    }
    this.#add(cursor, group, end);
    cursor.row = end;
  }

  #add({ kept, row, rowBytes }: Cursor, group: KeyedRows, end: number): void {
    if (!kept) {
      this.#addRun(group, row, end, rowBytes);
      return;
    }
    for (let at = row; at < end; at += 1) {
      if (kept[at] === 0) continue;
      const from = at;
      while (at < end && kept[at] === 1) at += 1;
      this.#addRun(group, from, at, rowBytes);
    }
  }

  #addRun(group: KeyedRows, from: number, to: number, rowBytes: number): void {
    let slot = this.#slots.get(group);
    if (slot === undefined) {
      slot = this.#slots.size;
      this.#slots.set(group, slot);
    }
    const runs = this.#runs;
    runs.source[runs.count] = slot;
    runs.from[runs.count] = from;
    runs.to[runs.count] = to;
    runs.count += 1;
    runs.rows += to - from;
    this.#bytes += (to - from) * rowBytes;
    if (to === group.rows.rows) this.#ownBytes += to * rowBytes;
  }

  /** The rows, if there are any; the batch is empty afterwards. */
  *flush(): Generator<ArrowRows> {
    const { rows } = this.#runs;
    if (rows > 0)
      yield gatherRows(
        [...this.#slots.keys()].map((group) => group.rows),
        this.#runs,
      );
    this.#runs.count = 0;
    this.#runs.rows = 0;
    this.#slots.clear();
    this.#bytes = 0;
    this.#ownBytes = 0;
  }
}

function corrupt(key: string, reason: string): TidemarkError {
  return new TidemarkError('CORRUPT_ARCHIVE', `Cannot use "${key}": ${reason}`);
}
