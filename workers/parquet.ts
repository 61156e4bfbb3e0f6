/**
 * Encodes one hour's columns as a Parquet file. The WebAssembly module makes the pages where the
 * columns lie, zlib compresses them from there, and what stands around them is put together here: no
 * column is copied but into its pages. Pure: it stores nothing and knows no keys.
 */
import type { HourBatch } from '../aggregator-as/host.ts';
import { archiveColumns, indexedColumns } from '../schemas/archive.ts';
import type { Signal } from '../schemas/archive.ts';
import type { CommitRowGroup } from '../schemas/commit.ts';
import { indexedPageRows, rowGroupRows } from '../schemas/limits/archive.ts';
import { addChunk } from './parquet/chunk.ts';
import { FileBuilder, FileLayout } from './parquet/file.ts';
import type { PageEnds } from './parquet/file.ts';
import { Output } from './parquet/output.ts';

export interface ParquetFile {
  /** The whole file, in memory of its own. */
  readonly bytes: Uint8Array;
  readonly rowGroups: CommitRowGroup[];
}

const idBytes = 16;

/**
 * The Parquet file of one hour: columns as `archiveColumns` says, in that order, zstd, row groups of
 * `rowGroupRows` rows. The batch's rows must be sorted by `sortIds` and be at least one. Leaves the
 * batch's views void, as its memory may have moved. Throws `TidemarkError` CAPACITY.
 */
export function encodeParquet(batch: HourBatch): ParquetFile {
  const { rows, signal, pages } = batch;
  // Whatever is read through the views is read before the first page is made.
  const leaves = archiveColumns[signal].flatMap((archived, index) => {
    const column = batch.columns[index];
    if (!column) throw new Error(`Bug: column ${index} is missing`);
    const isIndexed = index === 0 || indexedColumns[signal]?.has(archived.name) === true;
    return pages.leavesOf(archived, column).map((leaf) => ({ leaf, isIndexed }));
  });
  const rowGroups = idRanges(batch.sortIds, rows);
  const pageEnds = rowGroups.map((_, group) => pageEndsOf(batch, group * rowGroupRows));
  pages.begin();
  const output = new Output();
  const file = new FileBuilder(layoutOf(signal), output);
  for (const [group, { rows: count }] of rowGroups.entries()) {
    file.beginGroup(count);
    for (const [index, { leaf, isIndexed }] of leaves.entries()) {
      const pageRows = isIndexed ? indexedPageRows : count;
      const chunk = pages.chunk(leaf, group * rowGroupRows, count, pageRows);
      const added = addChunk(chunk, count, output);
      file.addChunk(chunk, added, index === 0 ? pageEnds[group] : undefined);
    }
  }
  return { bytes: file.finish(), rowGroups };
}

/** A signal's layout is made once: it is the same for all files. */
const layouts = new Map<Signal, FileLayout>();

function layoutOf(signal: Signal): FileLayout {
  const layout = layouts.get(signal) ?? new FileLayout(signal);
  layouts.set(signal, layout);
  return layout;
}

/** Ends of the first column's pages in the row group that begins at `from`. */
function pageEndsOf({ sortIds, rows }: HourBatch, from: number): PageEnds[] {
  const to = Math.min(rows, from + rowGroupRows);
  const idAt = (row: number) => sortIds.slice(row * idBytes, (row + 1) * idBytes);
  const ends: PageEnds[] = [];
  for (let row = from; row < to; row += indexedPageRows) {
    ends.push({ least: idAt(row), greatest: idAt(Math.min(to, row + indexedPageRows) - 1) });
  }
  return ends;
}

/** Ranges of ids per row group: rows are sorted, so its ends are its least and greatest. */
function idRanges(ids: Uint8Array, rows: number): CommitRowGroup[] {
  const hexAt = (row: number): string =>
    Buffer.from(ids.subarray(row * idBytes, (row + 1) * idBytes)).toString('hex');
  const groups: CommitRowGroup[] = [];
  for (let row = 0; row < rows; row += rowGroupRows) {
    const last = Math.min(row + rowGroupRows, rows) - 1;
    groups.push({ rows: last - row + 1, idMin: hexAt(row), idMax: hexAt(last) });
  }
  return groups;
}
