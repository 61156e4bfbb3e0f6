import { query } from 'chdb';
import { expect, it } from 'vitest';
import { bucketSql } from '../../../batch/traces/copies.ts';
import { bucketOf } from '../../../schemas/partials/histogram.ts';

it('bucketSql() finds the bucket of durations around every power of two, and of the largest', () => {
  const around = Array.from({ length: 64 }, (_, bit) => 1n << BigInt(bit)).flatMap((power) =>
    [-2n, -1n, 0n, 1n, 2n, power >> 1n, power - (power >> 6n)].map((step) => power + step),
  );
  const durations = [0n, ...around, 2n ** 64n - 1n].filter((it_) => it_ >= 0n && it_ < 2n ** 64n);
  const list = durations.map((duration) => `toUInt64('${duration}')`).join(', ');
  const sql = `SELECT ${bucketSql('duration')} FROM (SELECT arrayJoin([${list}]) AS duration)`;
  const buckets = query(sql, 'CSV').trimEnd().split('\n').map(Number);
  expect(buckets).toEqual(durations.map((duration) => bucketOf(duration)));
});
