/**
 * Fills the kernel's blocks from Arrow record batches: row groups that `blocks.ts` does not know how to
 * read are decoded by parquet-wasm, which knows all that there is.
 */
import {
  nameColumns,
  namesPage,
  type IdRange,
  type OpenBlock,
  type SpanKernel,
} from '../../aggregator-as/spankernel.ts';
import type { ArrowBatch } from '../arrow.ts';

/** A block of the batch's rows within `range`, filled. Throws CAPACITY and CORRUPT_ARCHIVE. */
export function fillFromArrow(kernel: SpanKernel, arrow: ArrowBatch, range: IdRange): OpenBlock {
  const block = kernel.open(arrow.rows, range, (bytes) => bytes.set(arrow.fixed('TraceId', 16)));
  const { from, to } = block;
  if (from === to) return block;
  kernel.put(block.spanIds, arrow.fixed('SpanId', 8).subarray(from * 8, to * 8));
  kernel.order(block);
  kernel.put(block.durations, bytesOf(arrow.uint64('Duration').subarray(from, to)));
  for (const [column, name] of nameColumns.entries()) {
    const { codes, values } = arrow.dictionary(name);
    kernel.names(column, namesPage(values), values.length);
    kernel.put(kernel.codesAt(column), bytesOf(codes.subarray(from, to)));
  }
  return block;
}

/** Fills in where the rows [from, to) of the batch were received. */
export function placesFromArrow(
  kernel: SpanKernel,
  arrow: ArrowBatch,
  { from, to }: { readonly from: number; readonly to: number },
  block: number,
): void {
  const rows = to - from;
  const at = kernel.roomForPlaces(block);
  kernel.put(at, bytesOf(arrow.int64('IngestedAt').subarray(from, to)));
  kernel.put(at + 8 * rows, bytesOf(arrow.int64('Offset').subarray(from, to)));
  kernel.put(at + 16 * rows, bytesOf(arrow.int32('Partition').subarray(from, to)));
  kernel.put(at + 20 * rows, bytesOf(arrow.uint32('ItemIndex').subarray(from, to)));
}

function bytesOf(column: ArrayBufferView): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
}
