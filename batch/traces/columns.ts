/**
 * Columns of a row group as the bytes of their pages, and what copies them into the kernel's memory without
 * making a value of any. It knows no column by name.
 */
import type { SpanKernel } from '../../aggregator-as/spankernel.ts';
import type { Body } from '../../aggregator-as/spanmemory.ts';
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

/** Types of parquet.thrift: values of 4 bytes, of 8, byte strings, and byte strings of one length. */
export const [int32, int64, byteArray, fixedLength] = [1, 2, 6, 7] as const;

/**
 * The pages of a column that has a value in each row. Throws `UnknownLayout` for what the other reader has to
 * judge, and CORRUPT_ARCHIVE.
 */
export function columnOf(chunks: Chunks, name: string, type: number, width = 0): Pages {
  const { leaf, ...pages } = chunkOf(chunks, name, type, width);
  if (leaf.isList || leaf.most > 0) throw new UnknownLayout(`${name} is not required`);
  return pages;
}

/** The pages of a column of whatever shape, and its leaf. Throws as `columnOf` does. */
export function chunkOf(chunks: Chunks, name: string, type: number, width = 0) {
  const chunk = chunks.get(name);
  if (chunk === undefined) throw new UnknownLayout(`${name} is not there`);
  const { leaf } = chunk.place;
  if (leaf.type === type && (width === 0 || leaf.width === width)) {
    return { leaf, ...pagesOf(chunk.bytes, chunk.place) };
  }
  throw new UnknownLayout(`${name} has another type`);
}

/** The pages, whose values are there as they are. Throws `UnknownLayout` otherwise. */
export function plainPages({ pages }: Pages): readonly DataPage[] {
  if (pages.every(({ isCoded }) => !isCoded)) return pages;
  throw new UnknownLayout('ids are coded');
}

/** Pages of codes, and what these stand for. */
export interface CodedPages extends Pages {
  readonly dictionary: DictionaryPage;
}

/** The pages, whose values are all codes. Throws `UnknownLayout` otherwise. */
export function codedPages({ pages, dictionary }: Pages): CodedPages {
  if (dictionary !== undefined && pages.every(({ isCoded }) => isCoded)) {
    return { pages, dictionary };
  }
  throw new UnknownLayout('names are not coded');
}

/** Rows [from, to) of a row group. */
export interface Rows {
  readonly from: number;
  readonly to: number;
}

/** The page's values that are among the rows: places in the chunk. */
export function overlap({ first, values }: DataPage, rows: Rows): Rows {
  return { from: Math.max(first, rows.from), to: Math.min(first + values, rows.to) };
}

/** Copies plain values of `width` bytes. */
export function putPages(
  kernel: SpanKernel,
  pages: readonly DataPage[],
  width: number,
  rows: Rows,
  at: number,
): void {
  for (const page of pages) {
    const { from, to } = overlap(page, rows);
    if (from >= to) continue;
    const body = exactly(page.body, page.values * width);
    const out = at + (from - rows.from) * width;
    kernel.putPart(out, body, (from - page.first) * width, (to - from) * width);
  }
}

/** Copies values of `width` bytes, plain or coded. Uses the room of the first column's codes. */
export function putNumbers(
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
    kernel.unpack(page.body, part);
    const values = exactly(dictionary.body, dictionary.values * width);
    kernel.lookUp(codes, count, values, width, at + (from - rows.from) * width);
  }
}

/** Copies the dictionary of a column of names, and the rows' codes. Throws CAPACITY and CORRUPT_ARCHIVE. */
export function putCodes(
  kernel: SpanKernel,
  column: number,
  { dictionary, pages }: CodedPages,
  rows: Rows,
): void {
  kernel.names(column, dictionary.body, dictionary.values);
  for (const page of pages) {
    const { from, to } = overlap(page, rows);
    if (from >= to) continue;
    kernel.unpack(page.body, {
      skip: from - page.first,
      count: to - from,
      to: kernel.codesAt(column) + 4 * (from - rows.from),
      limit: dictionary.values,
    });
  }
}

/** The body, if it has so many bytes. Throws CORRUPT_ARCHIVE. */
export function exactly(body: Body, bytes: number): Body {
  if (body.length === bytes) return body;
  throw new TidemarkError('CORRUPT_ARCHIVE', 'Cannot read a page: it has another length');
}

function missing(): TidemarkError {
  return new TidemarkError('CORRUPT_ARCHIVE', 'Cannot read a column: its codes have no dictionary');
}
