/** Tests of the reader of page indexes, of bytes as parquet.thrift and the compact protocol have them. */
import { expect, it } from 'vitest';
import { readPageEnds } from '../../../batch/parquet/pageindex.ts';
import { TidemarkError } from '../../../schemas/errors.ts';

const id = (last: number): number[] => [1, ...Array.from({ length: 14 }, () => 0), last];
const texts = (field: number, ids: readonly (readonly number[])[]): number[] => [
  (field << 4) | 9,
  (ids.length << 4) | 8,
  ...ids.flatMap((bytes) => [bytes.length, ...bytes]),
];

/** ColumnIndex: 1 null_pages, 2 min_values, 3 max_values, 4 boundary_order (1 is ascending). */
const columnIndex = (least: number[][], greatest: number[][], order = 1): Uint8Array =>
  Uint8Array.from([
    0x19,
    (least.length << 4) | 1,
    ...least.map(() => 2),
    ...texts(1, least),
    ...texts(1, greatest),
    0x15,
    order * 2,
    0,
  ]);

it('readPageEnds() gives ids as numbers, of pages that ascend and state them whole', () => {
  const two = columnIndex([id(1), id(5)], [id(4), id(9)]);
  const base = 1n << 120n;
  expect(readPageEnds(two)).toEqual([
    { least: base + 1n, greatest: base + 4n },
    { least: base + 5n, greatest: base + 9n },
  ]);
  expect(readPageEnds(columnIndex([id(1)], [id(4)], 0))).toBeUndefined();
  expect(readPageEnds(columnIndex([id(1)], [id(4).slice(1)]))).toBeUndefined();
  expect(readPageEnds(columnIndex([id(1), id(5)], [id(4)]))).toBeUndefined();
  for (let length = 0; length < two.length; length += 1) {
    expect(() => readPageEnds(two.subarray(0, length))).toThrow(TidemarkError);
  }
});
