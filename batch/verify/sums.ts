/** Adds up the parts that slices give of a published row. Pure. */
import type { FigureRow } from '../verify.ts';

/** The left row with sums in the place of these counts, as decimal strings of any size. */
export function addCounts(
  names: readonly string[],
): (left: FigureRow, right: FigureRow) => FigureRow {
  return (left, right) => {
    const sums = names.map((name) => [name, String(countOf(left, name) + countOf(right, name))]);
    return { ...left, ...Object.fromEntries(sums) };
  };
}

/** A count of a row, exactly. */
export function countOf(row: FigureRow, name: string): bigint {
  return BigInt(row[name] as string | number);
}
