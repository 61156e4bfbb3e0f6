import { expect, it } from 'vitest';
import { addCounts, countOf } from '../../../batch/verify/sums.ts';

it('addCounts() adds counts of any size as ClickHouse writes them, and keeps the rest of the left', () => {
  const left = { name: 'a', spans: '18446744073709551615', errors: 2 };
  const right = { name: 'b', spans: '1', errors: '3' };
  expect(addCounts(['spans', 'errors'])(left, right)).toEqual({
    name: 'a',
    spans: '18446744073709551616',
    errors: '5',
  });
  expect(countOf(left, 'spans')).toBe(2n ** 64n - 1n);
});
