import { afterAll, beforeAll, expect, it } from 'vitest';
import { comparedSql, mergedSql } from '../../../batch/metrics/exponential.ts';
import { structure } from '../../../batch/metrics/steps.ts';
import { archiveColumns } from '../../../schemas/archive.ts';
import { startStack, type Stack } from '../../support/stack.ts';

let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.close());

function tuple(
  scale: number,
  threshold: number,
  offset: number,
  counts: readonly number[],
): string {
  const keys = counts.map((_, i) => `toInt64(${offset + i})`).join(', ');
  const values = counts.map((count) => `toUInt64(${count})`).join(', ');
  return `(toInt64(${scale}), toFloat64(${threshold}), toUInt64(0), [${keys}], [${values}],
    CAST([], 'Array(Int64)'), CAST([], 'Array(UInt64)'))`;
}

/** Whether the first cannot be a later total of what the second is. */
async function fell(now: string, before: string): Promise<boolean | undefined> {
  const source = `SELECT ${now} AS exponential, ${before} AS exponential_before`;
  const [row] = await stack.clickhouse.query<{ fell: boolean }>(
    `SELECT toBool(exponential_fell) AS fell FROM (${comparedSql(source)})`,
  );
  return row?.fell;
}

it('structure names columns of the archive', () => {
  const known = new Set(archiveColumns.metrics.map(({ name }) => name));
  const names = structure.map((column) => (column.split(' ')[0] ?? '').replaceAll('`', ''));
  expect(names.filter((name) => !known.has(name))).toEqual([]);
});

it('mergedSql() brings buckets that are 2^32 apart within the limit', async () => {
  const rows = [tuple(20, 0, 2 ** 31 - 1, [1]), tuple(20, 0, -(2 ** 31), [1])].map(
    (parts) => `SELECT 1 AS g, true AS in_day, true AS is_exponential, 'all' AS adds,
      ${parts} AS exponential, exponential AS exponential_before`,
  );
  const found = await stack.clickhouse.query(
    `SELECT scale, toInt32(positive_offset) AS low, arraySum(positive_counts) AS sum,
       length(positive_counts) AS buckets FROM (${mergedSql(rows.join(' UNION ALL '), 'g')})`,
  );
  // Bucket 2^31 - 1 shifted by 24 is 127, and -2^31 is -128.
  expect(found).toEqual([{ scale: -4, low: -128, sum: '2', buckets: '256' }]);
});

it('comparedSql() compares at the coarser scale and the larger threshold', async () => {
  expect(await fell(tuple(0, 0, 0, [3]), tuple(1, 0, 0, [1, 2]))).toBe(false);
  expect(await fell(tuple(0, 0, 0, [2]), tuple(1, 0, 0, [1, 2]))).toBe(true);
  expect(await fell(tuple(0, 2, 1, [1]), tuple(0, 0, 1, [2]))).toBe(true);
  expect(await fell(tuple(0, 4, 2, [1]), tuple(0, 0, 1, [0, 1]))).toBe(false);
});
