/** By signal: lays out an hour's columns, and writes its rows into them. */
import { Sums } from './sums';
import { emitSpans } from './spanemit';
import { laySpans } from './spanlayout';
import { SpanSums } from './spansums';

/**
 * Writes the columns of an hour whose entries, sorted, begin at `first`. Returns the node table's
 * address, or 0 without room.
 */
export function writeHour(sums: Sums, first: usize, rows: u32): usize {
  // An item's own sizes are those of bytes in memory; only what is repeated can pass 2^31.
  if (sums.repeated > 0x7fff_ffff) return 0;
  const nodes = laySpans(changetype<SpanSums>(sums), rows);
  if (nodes != 0) emitSpans(first, rows);
  return nodes;
}
