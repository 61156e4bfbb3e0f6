/**
 * By signal: what the columns note of an item when its request is kept. A signal has a class of
 * sums that begins with `Sums`, and a function that adds an item to them, gives its texts their
 * codes and says where it sorts: by three big-endian numbers, the first two of which are the
 * first column's 16 bytes; items of equal numbers stay in the order of their arrival.
 */
import { Index } from './order';
import { Item, sizeOf, Span } from './record';
import { settleSpan, SpanSums } from './spansums';
import { Sums } from './sums';

/** Bytes of the signal's sums. */
export function sumsBytes(): usize {
  return sizeOf<SpanSums>();
}

/** Notes an item whose owners have their codes already. There must be room in the dictionaries. */
// @ts-ignore: decorator
@inline
export function settle(item: Item, sums: Sums, index: Index): void {
  settleSpan(changetype<Span>(item), changetype<SpanSums>(sums), index);
}
