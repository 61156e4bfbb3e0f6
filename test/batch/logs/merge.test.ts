import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { mergeLogPartials } from '../../../batch/logs/merge.ts';
import { mergeLogs } from '../../../batch/logs/tables.ts';
import { mergeHashesAtOnce, partialHeaderBytesGuess } from '../../../schemas/limits/batch.ts';
import { encodeLogPartial, type LogPartialGroup } from '../../../schemas/partials/logs.ts';
import { countingReaders } from '../../support/partials.ts';
import { seededRandom } from '../../support/random.ts';

function groupOf(serviceName: string, hour: number, bodies: readonly number[]): LogPartialGroup {
  const hashes = [...new Set(bodies)]
    .map((body) => createHash('md5').update(String(body)).digest('hex'))
    .toSorted();
  return {
    tenantId: 't',
    serviceName,
    severityNumber: 9,
    severityText: 'INFO',
    hourMs: hour * 3_600_000,
    rawCount: bodies.length + 1,
    count: bodies.length,
    bodyBytes: BigInt(bodies.length) * 2n ** 40n,
    bodyHashes: Buffer.from(hashes.join(''), 'hex'),
  };
}

describe('mergeLogPartials()', () => {
  it('counts distinct bodies over any number of partials, in any order', async () => {
    const random = seededRandom(8);
    for (const shards of [1, 2, 7, 50]) {
      const dealt = Array.from({ length: shards }, () => [[], []] as number[][]);
      const all = [new Set<number>(), new Set<number>()];
      for (let i = 0; i < 20_000; i += 1) {
        const hour = Math.floor(random() * 2);
        const body = Math.floor(random() * 3 * mergeHashesAtOnce);
        all[hour]?.add(body);
        dealt[Math.floor(random() * shards)]?.[hour]?.push(body);
      }
      const partials = dealt.map((hours) =>
        encodeLogPartial(hours.map((bodies, hour) => groupOf('cart', hour, bodies))),
      );
      const stats = await mergeLogPartials(countingReaders(partials.toReversed()).readers);
      expect(stats.map(({ hourMs, uniqueBodies }) => [hourMs, uniqueBodies])).toEqual([
        [0, all[0]?.size],
        [3_600_000, all[1]?.size],
      ]);
      const { items, duplicates, tables } = await mergeLogs(countingReaders(partials).readers);
      expect([items, duplicates]).toEqual([20_000, 2 * shards]);
      expect(tables[0]).toMatchObject({ name: 'log_stats_batch', rowCount: 2, sum: 20_000 });
    }
  });

  it('reads hashes of no group but those that several partials have', async () => {
    const bodies = Array.from({ length: 9000 }, (_, i) => i);
    const partials = [
      encodeLogPartial([groupOf('a', 0, bodies), groupOf('b', 0, [1, 2])]),
      encodeLogPartial([groupOf('b', 0, [2, 3]), groupOf('c', 0, bodies)]),
    ];
    const { readers, cost } = countingReaders(partials);
    const stats = await mergeLogPartials(readers);
    expect(stats.map(({ serviceName, uniqueBodies }) => [serviceName, uniqueBodies])).toEqual([
      ['a', 9000],
      ['b', 3],
      ['c', 9000],
    ]);
    expect(cost.requests).toBe(4);
    expect(cost.bytes).toBeLessThanOrEqual(2 * partialHeaderBytesGuess + 2 * 32);
    expect(stats[0]?.bodyBytes).toBe(9000n * 2n ** 40n);
  });
});
