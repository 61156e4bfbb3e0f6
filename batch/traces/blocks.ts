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
import { outOfOrder } from '../../aggregator-as/spanmemory.ts';
import { numberOf } from '../parquet/pageindex.ts';
import { UnknownLayout, type DataPage } from '../parquet/pages.ts';
import {
  byteArray,
  codedPages,
  columnOf,
  exactly,
  fixedLength,
  int32,
  int64,
  plainPages,
  putCodes,
  putNumbers,
  putPages,
  type Chunks,
} from './columns.ts';
import { fillGraph, graphPages } from './graphblocks.ts';

/** The columns of a block. */
export const blockColumns: readonly string[] = ['TraceId', 'SpanId', 'Duration', ...nameColumns];

/** Where a row was received, with the bytes of a value: only asked for where it matters. */
export const placeColumns = [
  { name: 'IngestedAt', width: 8 },
  { name: 'Offset', width: 8 },
  { name: 'Partition', width: 4 },
  { name: 'ItemIndex', width: 4 },
] as const;

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
  const ids = idPages(chunks, range);
  const spanIds = plainPages(columnOf(chunks, 'SpanId', fixedLength, 8));
  const durations = columnOf(chunks, 'Duration', int64);
  const names = nameColumns.map((name) => codedPages(columnOf(chunks, name, byteArray)));
  const graph = kernel.graph && graphPages(chunks);
  const block = openPages(kernel, ids, range);
  if (block.from === block.to) return block;
  putPages(kernel, spanIds, 8, block, block.spanIds);
  kernel.order(block);
  putNumbers(kernel, durations, 8, block, block.durations);
  for (const [column, pages] of names.entries()) putCodes(kernel, column, pages, block);
  if (graph !== undefined) fillGraph(kernel, graph, rows, block);
  return block;
}

/** Pages of ids that may have some within the range, one behind the other, and what they give. */
type IdPages = readonly { readonly page: DataPage; readonly write: (ids: Uint8Array) => void }[];

/** Those that the page index says to be within the range, or all. Throws as `fillBlock` does. */
function idPages(chunks: Chunks, range: IdRange): IdPages {
  const pages = plainPages(columnOf(chunks, 'TraceId', fixedLength, idBytes));
  const ends = chunks.get('TraceId')?.place.pageEnds;
  if (ends?.length !== pages.length) {
    return pages.map((page) => ({ page, write: (ids) => writeIds(page, ids) }));
  }
  const from = (range.fromHigh << 64n) | range.fromLow;
  const to = (range.toHigh << 64n) | range.toLow;
  return pages.flatMap((page, index) => {
    const { least = 0n, greatest = 0n } = ends[index] ?? {};
    if (greatest < least || least < (ends[index - 1]?.greatest ?? 0n)) throw outOfOrder();
    if (greatest < from || (to !== 0n && least >= to)) return [];
    const write = (ids: Uint8Array) => {
      writeIds(page, ids);
      const isSo = numberOf(ids) === least && numberOf(ids.subarray(-idBytes)) === greatest;
      if (!isSo) throw outOfOrder();
    };
    return [{ page, write }];
  });
}

function writeIds({ body }: DataPage, ids: Uint8Array): void {
  exactly(body, ids.length).write(ids);
}

/** Opens a block of these pages' rows within the range, which has their places in the row group. */
function openPages(kernel: SpanKernel, ids: IdPages, range: IdRange): OpenBlock {
  const first = ids[0]?.page.first ?? 0;
  const rows = ids.reduce((sum, { page }) => sum + page.values, 0);
  const block = kernel.open(rows, range, (bytes) => {
    for (const { page, write } of ids) {
      const at = (page.first - first) * idBytes;
      write(bytes.subarray(at, at + page.values * idBytes));
    }
  });
  return { ...block, from: block.from + first, to: block.to + first };
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
