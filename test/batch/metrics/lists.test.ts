import { expect, it } from 'vitest';
import type { ArrowBatch } from '../../../batch/shard/arrow.ts';
import { mixedLists, type PartsKind } from '../../../batch/metrics/lists.ts';

/** What `mixedLists` reads of four rows: none, a histogram, an exponential one, a summary. */
const columns: Record<string, unknown> = {
  ExplicitBounds: { offsets: Int32Array.of(0, 0, 2, 2, 2), items: Float64Array.of(1, 2) },
  BucketCounts: { offsets: Int32Array.of(0, 0, 3, 3, 3), items: BigUint64Array.of(4n, 5n, 6n) },
  PositiveBucketCounts: { offsets: Int32Array.of(0, 0, 0, 2, 2), items: BigUint64Array.of(7n, 8n) },
  NegativeBucketCounts: { offsets: Int32Array.of(0, 0, 0, 1, 1), items: BigUint64Array.of(9n) },
  'ValueAtQuantiles.Quantile': {
    offsets: Int32Array.of(0, 0, 0, 0, 1),
    items: Float64Array.of(0.5),
  },
  'ValueAtQuantiles.Value': { offsets: Int32Array.of(0, 0, 0, 0, 1), items: Float64Array.of(2) },
  Scale: Int32Array.of(0, 0, -3, 0),
  PositiveOffset: Int32Array.of(0, 0, -1, 0),
  NegativeOffset: Int32Array.of(0, 0, 2, 0),
  ZeroCount: BigUint64Array.of(0n, 0n, 11n, 0n),
  ZeroThreshold: Float64Array.of(0, 0, 0.25, 0),
};
const column = (name: string) => columns[name];
const arrow = {
  doubleLists: column,
  uint64Lists: column,
  int32: column,
  uint64OrNull: column,
  doubleOrNull: column,
  // Of the exponential one everything is there, but for the offset of negative buckets.
  validity: (name: string) => ({
    bytes: Uint8Array.of(name === 'NegativeOffset' ? 0 : 0b0100),
    offset: 0,
  }),
} as unknown as ArrowBatch;

it('mixedLists() lays out the parts of all kinds of rows', () => {
  const kinds: PartsKind[] = ['none', 'histogram', 'exponential', 'summary'];
  const slice = { arrow, from: 1, to: 4, hourMs: 0 };
  const lists = mixedLists(slice, (row) => kinds[row] ?? 'none');
  expect(lists.boundOffsets).toEqual(Int32Array.of(0, 2, 2, 3));
  expect(lists.bounds).toEqual(Float64Array.of(1, 2, 0.5));
  expect(lists.bucketOffsets).toEqual(Int32Array.of(0, 3, 10, 11));
  const head = new DataView(lists.buckets.buffer, 3 * 8, 32);
  expect([head.getInt32(0, true), head.getUint32(4, true)]).toEqual([-3, 2]);
  expect([head.getInt32(8, true), head.getInt32(12, true)]).toEqual([-1, 0]);
  expect([head.getBigUint64(16, true), head.getFloat64(24, true)]).toEqual([11n, 0.25]);
  expect([...lists.buckets.subarray(0, 3)]).toEqual([4n, 5n, 6n]);
  expect([...lists.buckets.subarray(7, 10)]).toEqual([7n, 8n, 9n]);
  expect(new Float64Array(lists.buckets.buffer)[10]).toBe(2);
});
