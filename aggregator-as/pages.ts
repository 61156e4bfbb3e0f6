/**
 * Parquet pages of the columns that `ItemColumns` emitted: asks the WebAssembly module for each column
 * chunk's dictionary, pages and ends, and hands out views of them. It compresses nothing, and knows
 * nothing of headers and footers.
 */
import type { ArchiveColumn, ArchiveType } from '../schemas/archive.ts';
import { pageBytesMax, pageDictionaryBytesMax } from '../schemas/limits/archive.ts';
import type { ColumnBuffers } from './nodes.ts';

/** What the module exports for pages. */
export interface PageExports {
  readonly memory: WebAssembly.Memory;
  chunksBegin(): void;
  chunkBegin(): void;
  chunkOwners(scopes: boolean, from: number, lists: number, rows: number): void;
  chunkTexts(offsets: number, data: number, count: number, bytesMax: number): number;
  chunkCodes(
    given: number,
    count: number,
    offsets: number,
    data: number,
    givenCount: number,
  ): number;
  chunkNumbers(data: number, count: number, width: number): number;
  chunkDense(validity: number, data: number, rows: number, width: number): number;
  chunkDenseCount(): number;
  dictionaryAt(): number;
  dictionaryBytes(): number;
  pageBegin(kind: number, at: number, inner: number, rows: number): number;
  pagePresent(): number;
  pageLevels(): number;
  pageCodes(from: number, count: number): number;
  pageBytes(at: number, bytes: number): number;
  pageTexts(offsets: number, data: number, count: number): number;
  pageWide(at: number, count: number): number;
  pageAt(): number;
  pageEnd(): number;
  extremes(kind: number, at: number, count: number, width: number): number;
  extremeAt(isGreatest: boolean): number;
  extremeBytes(isGreatest: boolean): number;
}

type LeafType = Exclude<ArchiveType, 'attributes' | 'kinds' | `list${string}`> | 'uint8';

/** The Arrow array at the bottom of a column, by the addresses of its buffers; 0 where there is none. */
export interface Leaf {
  readonly type: LeafType;
  /** Offsets of the lists around it, outermost first: none, one or two. */
  readonly lists: readonly number[];
  readonly validity: number;
  readonly offsets: number;
  readonly data: number;
  readonly dictionary?: { readonly offsets: number; readonly data: number; readonly count: number };
  /** Whose lists they are, when rows of one owner have the same. */
  readonly owner: Owner | undefined;
}

/** What has the attributes that many rows share. */
type Owner = 'resource' | 'scope';

/** A page's body, not yet compressed: levels and values. Valid until the next is asked for. */
export interface Page {
  readonly body: Uint8Array;
  readonly rows: number;
  /** Values, nulls and empty lists. */
  readonly levelCount: number;
}

/** A column chunk, given out in this order: its facts, its dictionary, its pages. */
export interface Chunk {
  /** Nulls, of a column without lists. */
  readonly nullCount: number;
  /** Least and greatest value in plain encoding; of columns without lists, where they are known. */
  readonly ends: { readonly least: Uint8Array; readonly greatest: Uint8Array } | undefined;
  /** Distinct values in plain encoding, which pages then refer to. Valid until the first page. */
  readonly dictionary: { readonly body: Uint8Array; readonly count: number } | undefined;
  readonly pages: Iterable<Page>;
}

/** Bytes of a value; 0 for texts. */
const widths: Record<LeafType, number> = {
  dictionary: 4,
  utf8: 0,
  binary: 0,
  id16: 16,
  id8: 8,
  bool: 1,
  uint8: 1,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  double: 8,
  timestampMs: 8,
  timestampNs: 8,
};

/** Numbers that repeat often enough to be worth a look; times in nanoseconds do not. */
const codedNumbers: ReadonlySet<LeafType> = new Set([
  'uint8',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'double',
  'timestampMs',
]);

/** How values compare: the numbers of `extremes` in assembly/pages/pages.ts. */
const orders: Partial<Record<LeafType, number>> = {
  dictionary: 0,
  utf8: 0,
  id16: 1,
  id8: 1,
  int32: 2,
  int64: 2,
  timestampMs: 2,
  timestampNs: 2,
  uint32: 3,
  uint64: 3,
  double: 4,
};

/** No dictionary pays; no room. */
const [noDictionary, noRoom] = [-1, -2];

/** Columns of texts that are an owner's. */
const owners: Partial<Record<string, Owner>> = {
  ResourceAttributes: 'resource',
  ScopeAttributes: 'scope',
};

function leavesOf(type: ArchiveType, column: ColumnBuffers, around: Around): Leaf[] {
  const item = childOf(column, 0);
  const inner = { ...around, lists: [...around.lists, addressOf(column.offsets)] };
  if (type === 'attributes') {
    return [0, 1].flatMap((index) => leavesOf('utf8', childOf(item, index), inner));
  }
  if (type === 'kinds') return [leafOf('uint8', item, inner)];
  if (!type.startsWith('list')) return [leafOf(type as LeafType, column, around)];
  const name = type.slice('list'.length);
  return leavesOf(`${name[0]?.toLowerCase()}${name.slice(1)}` as ArchiveType, item, inner);
}

type Around = Pick<Leaf, 'lists' | 'owner'>;

const none: ColumnBuffers = { length: 0, nullCount: 0 };

function childOf(column: ColumnBuffers, index: number): ColumnBuffers {
  return column.children?.[index] ?? none;
}

function leafOf(type: LeafType, column: ColumnBuffers, around: Around): Leaf {
  const { validity, offsets, data, dictionary } = column;
  return {
    type,
    ...around,
    validity: addressOf(validity),
    offsets: addressOf(offsets),
    data: addressOf(data),
    ...(dictionary && {
      dictionary: {
        offsets: addressOf(dictionary.offsets),
        data: addressOf(dictionary.data),
        count: dictionary.length,
      },
    }),
  };
}

function addressOf(view: ArrayBufferView | undefined): number {
  return view?.byteOffset ?? 0;
}

/** The values of a chunk: `count` of them from these addresses on, nulls left out. */
interface Values {
  readonly count: number;
  readonly offsets: number;
  readonly data: number;
}

/** Makes the pages of one hour's columns. Its memory is that of the columns and may grow. */
export class PageWriter {
  readonly #wasm: PageExports;
  readonly #fault: () => Error;

  /** `fault` makes an error of the module's fault. */
  constructor(wasm: PageExports, fault: () => Error) {
    this.#wasm = wasm;
    this.#fault = fault;
  }

  /** The leaves of a column, in Parquet's order: keys before values. Its views must be valid. */
  leavesOf({ name, type }: ArchiveColumn, column: ColumnBuffers): Leaf[] {
    return leavesOf(type, column, { lists: [], owner: owners[name] });
  }

  /** Begins with the columns that were emitted last. */
  begin(): void {
    this.#wasm.chunksBegin();
  }

  /**
   * The chunk of `rows` rows from `from` on, a multiple of 8, in pages of at most `pageRows` rows, a
   * multiple of 8. The chunk before is no more. Throws `TidemarkError` CAPACITY, its pages too.
   */
  chunk(leaf: Leaf, from: number, rows: number, pageRows: number): Chunk {
    this.#wasm.chunkBegin();
    const values = this.#values(leaf, from, rows);
    if (leaf.owner) this.#own(leaf, from, rows);
    const distinct = values.count === 0 ? noDictionary : this.#code(leaf, values);
    const isCoded = distinct !== noDictionary;
    return {
      nullCount: leaf.lists.length === 0 ? rows - values.count : 0,
      ends: this.#ends(leaf, values, isCoded ? distinct : 0),
      dictionary: isCoded ? { body: this.#dictionary(), count: distinct } : undefined,
      pages: this.#pages(leaf, values, isCoded, { from, rows, pageRows }),
    };
  }

  #view(at: number, bytes: number): Uint8Array {
    return new Uint8Array(this.#wasm.memory.buffer, at, bytes);
  }

  #dictionary(): Uint8Array {
    return this.#view(this.#wasm.dictionaryAt(), this.#wasm.dictionaryBytes());
  }

  #wordAt(at: number): number {
    return new DataView(this.#wasm.memory.buffer).getUint32(at, true);
  }

  /** Index of the first value of a row. */
  #valueAt(leaf: Leaf, row: number): number {
    return leaf.lists.reduce((index, offsets) => this.#wordAt(offsets + 4 * index), row);
  }

  #values(leaf: Leaf, from: number, rows: number): Values {
    const first = this.#valueAt(leaf, from);
    const width = widths[leaf.type];
    const offsets = leaf.offsets + 4 * first;
    const data = leaf.data + (leaf.type === 'bool' ? first / 8 : width * first);
    const count = this.#valueAt(leaf, from + rows) - first;
    if (leaf.validity === 0) return { count, offsets, data };
    const validity = leaf.validity + from / 8;
    const dense = this.#wasm.chunkDense(validity, width === 0 ? offsets : data, rows, width);
    if (dense === 0) throw this.#fault();
    const present = this.#wasm.chunkDenseCount();
    return width === 0
      ? { count: present, offsets: dense, data }
      : { count: present, offsets, data: dense };
  }

  #own({ owner, lists: [lists = 0] }: Leaf, from: number, rows: number): void {
    this.#wasm.chunkOwners(owner === 'scope', from, lists + 4 * from, rows);
  }

  /** Distinct values, or `noDictionary`. */
  #code(leaf: Leaf, { count, offsets, data }: Values): number {
    const { dictionary, type } = leaf;
    const wasm = this.#wasm;
    let distinct = noDictionary;
    if (dictionary) {
      const { offsets: at, data: texts, count: known } = dictionary;
      distinct = wasm.chunkCodes(data, count, at, texts, known);
    } else if (type === 'utf8') {
      distinct = wasm.chunkTexts(offsets, leaf.data, count, pageDictionaryBytesMax);
    } else if (codedNumbers.has(type)) {
      distinct = wasm.chunkNumbers(data, count, widths[type]);
    }
    if (distinct === noRoom) throw this.#fault();
    return distinct;
  }

  /** Of texts only those of a dictionary are looked at: others are long, and of no use to filters. */
  #ends(leaf: Leaf, values: Values, distinct: number): Chunk['ends'] {
    const order = orders[leaf.type];
    if (leaf.lists.length > 0 || order === undefined || values.count === 0) return undefined;
    if (order === 0 && distinct === 0) return undefined;
    const wasm = this.#wasm;
    const at = distinct > 0 ? wasm.dictionaryAt() : values.data;
    const texts = order === 0 ? wasm.dictionaryBytes() : 0;
    const count = distinct > 0 ? distinct : values.count;
    if (!wasm.extremes(order, at, texts || count, widths[leaf.type])) return undefined;
    const [least, greatest] = [false, true].map((which) =>
      this.#view(wasm.extremeAt(which), wasm.extremeBytes(which)).slice(),
    );
    return least && greatest && { least, greatest };
  }

  *#pages(leaf: Leaf, values: Values, isCoded: boolean, span: Span): Generator<Page, void> {
    const { from, rows } = span;
    const bytes = isCoded ? 4 * values.count : this.#plainBytes(leaf, values);
    const even = Math.ceil(rows / Math.max(1, Math.ceil(bytes / pageBytesMax)));
    const step = Math.min(span.pageRows, Math.ceil(even / 8) * 8);
    let done = 0;
    for (let row = from; row < from + rows; row += step) {
      const count = Math.min(step, from + rows - row);
      done += this.#page(leaf, values, isCoded, { row, rows: count, done });
      const levelCount = this.#wasm.pageLevels();
      const body = this.#view(this.#wasm.pageAt(), this.#wasm.pageEnd());
      yield { body, rows: count, levelCount };
    }
  }

  #plainBytes(leaf: Leaf, { count, offsets }: Values): number {
    const width = widths[leaf.type];
    if (width > 0) return width * count;
    return 4 * count + this.#wordAt(offsets + 4 * count) - this.#wordAt(offsets);
  }

  /** Writes one page. Returns how many values it has. */
  #page(leaf: Leaf, values: Values, isCoded: boolean, place: Place): number {
    const { row, rows, done } = place;
    if (!this.#beginPage(leaf, row, rows)) throw this.#fault();
    const isDense = leaf.validity !== 0;
    const count = isDense
      ? this.#wasm.pagePresent()
      : this.#valueAt(leaf, row + rows) - this.#valueAt(leaf, row);
    const written = isCoded
      ? this.#wasm.pageCodes(done, count)
      : this.#plain(leaf.type, leaf.data, { ...values, count }, done);
    if (!written) throw this.#fault();
    return count;
  }

  #beginPage({ lists, validity }: Leaf, row: number, rows: number): number {
    const [outer, inner = 0] = lists;
    if (outer === undefined) {
      return this.#wasm.pageBegin(validity === 0 ? 0 : 1, validity + row / 8, 0, rows);
    }
    return this.#wasm.pageBegin(inner === 0 ? 2 : 3, outer + 4 * row, inner, rows);
  }

  /** Appends values as they are, from the `done`th on. `texts` is where offset 0 points to. */
  #plain(type: LeafType, texts: number, { count, offsets, data }: Values, done: number): number {
    const wasm = this.#wasm;
    const width = widths[type];
    if (width === 0) return wasm.pageTexts(offsets + 4 * done, texts, count);
    if (type === 'bool') return wasm.pageBytes(data + done / 8, Math.ceil(count / 8));
    if (type === 'uint8') return wasm.pageWide(data + done, count);
    return wasm.pageBytes(data + width * done, width * count);
  }
}

/** Rows of a chunk. */
interface Span {
  readonly from: number;
  readonly rows: number;
  readonly pageRows: number;
}

/** Rows of a page, and how many of the chunk's values are before it. */
interface Place {
  readonly row: number;
  readonly rows: number;
  readonly done: number;
}
