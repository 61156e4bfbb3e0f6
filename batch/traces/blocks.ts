/**
 * Fills the kernel's blocks from the pages of Parquet files, column by column, without making a value of
 * any: bytes go from the inflated page to where the kernel wants them.
 */
import {
  blockRowsMax,
  nameColumns,
  type IdRange,
  type OpenBlock,
  type SpanKernel,
} from '../../aggregator-as/spankernel.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import type { ChunkPlace } from '../parquet/footer.ts';
import {
  pagesOf,
  UnknownLayout,
  type DataPage,
  type DictionaryPage,
  type Pages,
} from '../parquet/pages.ts';

/** A column chunk and its bytes. */
export interface Chunk {
  readonly place: ChunkPlace;
  readonly bytes: Uint8Array;
}

export type Chunks = ReadonlyMap<string, Chunk>;

/** The columns of a block. */
export const blockColumns: readonly string[] = ['TraceId', 'SpanId', 'Duration', ...nameColumns];

/** Where a row was received, with the bytes of a value: only asked for where it matters. */
export const placeColumns = [
  { name: 'IngestedAt', width: 8 },
  { name: 'Offset', width: 8 },
  { name: 'Partition', width: 4 },
  { name: 'ItemIndex', width: 4 },
] as const;

/** Types of parquet.thrift: values of 4 bytes, of 8, byte strings, and byte strings of one length. */
const [int32, int64, byteArray, fixedLength] = [1, 2, 6, 7];
const idBytes = 16;

/**
 * A block of the row group's rows within `range`, filled. Throws `UnknownLayout` where it is stored in a way
 * that is not known here, `TidemarkError` CAPACITY and CORRUPT_ARCHIVE.
 */
export function fillBlock(
  kernel: SpanKernel,
  rows: number,
  range: IdRange,
  chunks: Chunks,
): OpenBlock {
  if (rows > blockRowsMax) throw new UnknownLayout(`a row group of ${rows} rows`);
  const ids = plainPages(columnOf(chunks, 'TraceId', fixedLength, idBytes));
  const spanIds = plainPages(columnOf(chunks, 'SpanId', fixedLength, 8));
  const durations = columnOf(chunks, 'Duration', int64);
  const names = nameColumns.map((name) => codedPages(columnOf(chunks, name, byteArray)));
  const block = kernel.open(rows, range, (bytes) => {
    for (const page of ids) {
      bytes.set(exactly(page.body(), page.values * idBytes), page.first * idBytes);
    }
  });
  if (block.from === block.to) return block;
  putPages(kernel, spanIds, 8, block, block.spanIds);
  kernel.order(block);
  putNumbers(kernel, durations, 8, block, block.durations);
  for (const [column, pages] of names.entries()) putCodes(kernel, column, pages, block);
  return block;
}

/** Fills in where the rows [from, to) of a row group were received. Throws as `fillBlock` does. */
export function fillPlaces(
  kernel: SpanKernel,
  chunks: Chunks,
  rows: { readonly from: number; readonly to: number },
  block: number,
): void {
  let at = kernel.roomForPlaces(block);
  for (const { name, width } of placeColumns) {
    putNumbers(kernel, columnOf(chunks, name, width === 8 ? int64 : int32), width, rows, at);
    at += width * (rows.to - rows.from);
  }
}

/** The pages of a column. Throws `UnknownLayout` for what the other reader has to judge. */
function columnOf(chunks: Chunks, name: string, type: number, width = 0): Pages {
  const chunk = chunks.get(name);
  if (chunk === undefined) throw new UnknownLayout(`${name} is not required`);
  const { leaf } = chunk.place;
  if (leaf.type === type && (width === 0 || leaf.width === width)) {
    return pagesOf(chunk.bytes, chunk.place);
  }
  throw new UnknownLayout(`${name} has another type`);
}

function plainPages({ pages }: Pages): readonly DataPage[] {
  if (pages.every(({ isCoded }) => !isCoded)) return pages;
  throw new UnknownLayout('ids are coded');
}

interface CodedPages extends Pages {
  readonly dictionary: DictionaryPage;
}

function codedPages({ pages, dictionary }: Pages): CodedPages {
  if (dictionary !== undefined && pages.every(({ isCoded }) => isCoded)) {
    return { pages, dictionary };
  }
  throw new UnknownLayout('names are not coded');
}

interface Rows {
  readonly from: number;
  readonly to: number;
}

/** The page's values that are among the rows: places in the chunk. */
function overlap({ first, values }: DataPage, rows: Rows): Rows {
  return { from: Math.max(first, rows.from), to: Math.min(first + values, rows.to) };
}

/** Copies plain values of `width` bytes. */
function putPages(
  kernel: SpanKernel,
  pages: readonly DataPage[],
  width: number,
  rows: Rows,
  at: number,
): void {
  for (const page of pages) {
    const { from, to } = overlap(page, rows);
    if (from >= to) continue;
    const body = exactly(page.body(), page.values * width);
    const part = body.subarray((from - page.first) * width, (to - page.first) * width);
    kernel.put(at + (from - rows.from) * width, part);
  }
}

/** Copies values of `width` bytes, plain or coded. Uses the room of the first column's codes. */
function putNumbers(
  kernel: SpanKernel,
  { dictionary, pages }: Pages,
  width: number,
  rows: Rows,
  at: number,
): void {
  const codes = kernel.codesAt(0);
  for (const page of pages) {
    if (!page.isCoded) {
      putPages(kernel, [page], width, rows, at);
      continue;
    }
    const { from, to } = overlap(page, rows);
    if (from >= to) continue;
    if (dictionary === undefined) throw missing();
    const count = to - from;
    const part = { skip: from - page.first, count, to: codes, limit: dictionary.values };
    kernel.unpack(page.body(), part);
    const values = exactly(dictionary.body(), dictionary.values * width);
    kernel.lookUp(codes, count, values, width, at + (from - rows.from) * width);
  }
}

function putCodes(
  kernel: SpanKernel,
  column: number,
  { dictionary, pages }: CodedPages,
  rows: Rows,
): void {
  kernel.names(column, dictionary.body(), dictionary.values);
  for (const page of pages) {
    const { from, to } = overlap(page, rows);
    if (from >= to) continue;
    kernel.unpack(page.body(), {
      skip: from - page.first,
      count: to - from,
      to: kernel.codesAt(column) + 4 * (from - rows.from),
      limit: dictionary.values,
    });
  }
}

function exactly(body: Uint8Array, bytes: number): Uint8Array {
  if (body.length === bytes) return body;
  throw new TidemarkError('CORRUPT_ARCHIVE', 'Cannot read a page: it has another length');
}

function missing(): TidemarkError {
  return new TidemarkError('CORRUPT_ARCHIVE', 'Cannot read a column: its codes have no dictionary');
}
