/**
 * Puts column chunks together to a Parquet file: row groups, the index of pages, and the footer
 * (parquet.thrift, FileMetaData). Encodes no values.
 */
import { schemaVersions } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import type { Chunk } from '../../aggregator-as/host.ts';
import type { ChunkBytes, PageLocation } from './chunk.ts';
import { encodeStruct } from './compact.ts';
import type { Struct } from './compact.ts';
import type { Output } from './output.ts';
import { arrowSchema, fileSchema } from './schema.ts';
import type { FileSchema, LeafColumn } from './schema.ts';

const magic = Buffer.from('PAR1');

/** Longer least or greatest values are not stated. */
const statedBytesMax = 64;

/** What the footer says of a chunk. */
interface PlacedChunk extends ChunkBytes {
  readonly leaf: LeafColumn;
  readonly start: number;
  readonly facts: Omit<Chunk, 'pages' | 'dictionary'>;
}

/** Least and greatest value of each page of a row group's first column. */
export interface PageEnds {
  readonly least: Uint8Array;
  readonly greatest: Uint8Array;
}

interface RowGroup {
  readonly rows: number;
  readonly chunks: PlacedChunk[];
  pageEnds: readonly PageEnds[];
}

/** A signal's schema is the same in every file. */
export class FileLayout {
  readonly schema: FileSchema;
  readonly #metadata: Struct[];

  constructor(signal: Signal) {
    this.schema = fileSchema(signal);
    this.#metadata = [
      { 1: { text: 'tidemark.schema' }, 2: { text: String(schemaVersions[signal]) } },
      { 1: { text: 'ARROW:schema' }, 2: { text: arrowSchema(signal) } },
    ];
  }

  /** FileMetaData for these row groups, whose structures are given. */
  footer(rows: number, rowGroups: readonly Struct[]): Uint8Array {
    return encodeStruct({
      1: { i32: 2 },
      2: { structs: this.schema.elements },
      3: { i64: rows },
      4: { structs: rowGroups },
      5: { structs: this.#metadata },
      6: { text: 'tidemark' },
      // Of every leaf the least and the greatest value go by the order of its type.
      7: { structs: this.schema.leaves.map(() => ({ 1: { struct: {} } })) },
    });
  }
}

/** A file in the making. */
export class FileBuilder {
  readonly #layout: FileLayout;
  readonly #output: Output;
  readonly #groups: RowGroup[] = [];
  #rows = 0;

  /** Begins in `output`, which must be empty. */
  constructor(layout: FileLayout, output: Output) {
    this.#layout = layout;
    this.#output = output;
    output.add(magic);
  }

  /** Begins a row group of so many rows; its chunks follow, one for each leaf. */
  beginGroup(rows: number): void {
    this.#groups.push({ rows, chunks: [], pageEnds: [] });
    this.#rows += rows;
  }

  /** Notes the next leaf's chunk, the last that was added to the output. `pageEnds` are the first column's. */
  addChunk(
    facts: PlacedChunk['facts'],
    bytes: ChunkBytes,
    pageEnds: readonly PageEnds[] = [],
  ): void {
    const group = this.#groups.at(-1);
    const leaf = this.#layout.schema.leaves[group?.chunks.length ?? 0];
    if (!group || !leaf) throw new Error('Bug: a chunk that no leaf is for');
    if (pageEnds.length > 0) group.pageEnds = pageEnds;
    group.chunks.push({ ...bytes, facts, leaf, start: this.#output.length - bytes.bytes });
  }

  /** The whole file, in memory of its own. */
  finish(): Uint8Array {
    const rowGroups = this.#groups.map((group, index) => this.#rowGroup(group, index));
    const footer = this.#layout.footer(this.#rows, rowGroups);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(footer.length);
    for (const part of [footer, length, magic]) this.#output.add(part);
    return this.#output.finish();
  }

  #rowGroup({ rows, chunks, pageEnds }: RowGroup, ordinal: number): Struct {
    const sum = (of: (chunk: PlacedChunk) => number) =>
      chunks.reduce((total, chunk) => total + of(chunk), 0);
    const columns = chunks.map((chunk, index) => this.#column(chunk, index === 0 ? pageEnds : []));
    return {
      1: { structs: columns },
      2: { i64: sum(({ rawBytes }) => rawBytes) },
      3: { i64: rows },
      // Rows ascend by the first column.
      4: { structs: [{ 1: { i32: 0 }, 2: { bool: false }, 3: { bool: false } }] },
      5: { i64: chunks[0]?.start ?? 0 },
      6: { i64: sum(({ bytes }) => bytes) },
      7: { i32: ordinal },
    };
  }

  /** The chunk's structure; stores the indexes of its pages in front of the footer. */
  #column(chunk: PlacedChunk, pageEnds: readonly PageEnds[]): Struct {
    // Where there is but one page, the footer says all that an index could.
    const isIndexed = chunk.pages.length > 1;
    const ends = isIndexed && pageEnds.length > 0 ? columnIndex(pageEnds) : undefined;
    const offsets = isIndexed ? offsetIndex(chunk.pages, chunk.start) : undefined;
    return {
      2: { i64: 0 },
      3: { struct: metadataOf(chunk) },
      ...(offsets && { 4: { i64: this.#output.add(offsets) }, 5: { i32: offsets.length } }),
      ...(ends && { 6: { i64: this.#output.add(ends) }, 7: { i32: ends.length } }),
    };
  }
}

function metadataOf(chunk: PlacedChunk): Struct {
  const { leaf, start, pages, hasDictionary } = chunk;
  return {
    1: { i32: leaf.physicalType },
    2: { i32s: chunk.encodings },
    3: { texts: leaf.path },
    4: { i32: chunk.codec },
    5: { i64: chunk.levelCount },
    6: { i64: chunk.rawBytes },
    7: { i64: chunk.bytes },
    9: { i64: start + (pages[0]?.at ?? 0) },
    11: hasDictionary ? { i64: start } : undefined,
    12: statisticsOf(chunk),
  };
}

function statisticsOf({ facts, leaf }: PlacedChunk): { readonly struct: Struct } | undefined {
  if (leaf.path.length > 1) return undefined;
  const { nullCount, ends } = facts;
  const isStated = ends && Math.max(ends.least.length, ends.greatest.length) <= statedBytesMax;
  if (!isStated) return { struct: { 3: { i64: nullCount } } };
  return {
    struct: {
      3: { i64: nullCount },
      5: { bytes: ends.greatest },
      6: { bytes: ends.least },
      7: { bool: true },
      8: { bool: true },
    },
  };
}

/** ColumnIndex of a column without nulls whose pages ascend. */
function columnIndex(pageEnds: readonly PageEnds[]): Uint8Array {
  return encodeStruct({
    1: { bools: pageEnds.map(() => false) },
    2: { bytesList: pageEnds.map(({ least }) => least) },
    3: { bytesList: pageEnds.map(({ greatest }) => greatest) },
    4: { i32: 1 },
    5: { i64s: pageEnds.map(() => 0) },
  });
}

function offsetIndex(pages: readonly PageLocation[], start: number): Uint8Array {
  const locations = pages.map(({ at, bytes, firstRow }) => ({
    1: { i64: start + at },
    2: { i32: bytes },
    3: { i64: firstRow },
  }));
  return encodeStruct({ 1: { structs: locations } });
}
