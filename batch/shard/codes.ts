/**
 * Replaces the dictionary codes of a file by numbers that hold for the whole shard: each string is looked
 * up once for a batch, never for a row.
 */
import type { ArrowBatch } from './arrow.ts';

/** Rows [from, to) of a dictionary column, each value replaced by `idOf(value)`. Fills `target`. */
export function mapCodes<T extends Uint8Array | Uint32Array>(
  arrow: ArrowBatch,
  column: string,
  { from, to }: { readonly from: number; readonly to: number },
  target: T,
  idOf: (value: string) => number,
): T {
  const { codes, values } = arrow.dictionary(column);
  const ids = Uint32Array.from(values, idOf);
  for (let row = from; row < to; row += 1) target[row - from] = ids[codes[row] ?? 0] ?? 0;
  return target.subarray(0, to - from) as T;
}
