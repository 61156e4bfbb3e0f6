/** Kernel, partials and merge in a row: shards of any cut give what one shard gives. */
import { expect, it } from 'vitest';
import { ShardKernel } from '../../aggregator-as/kernel.ts';
import { mergePartials } from '../../batch/traces/merge.ts';
import { encodePartial } from '../../schemas/partial.ts';
import { compileModule } from '../support/assembly.ts';
import { columnsOf, randomRows, referenceGroups, type KernelRow } from '../support/kernel.ts';
import { countingReaders } from '../support/partials.ts';
import { seededRandom } from '../support/random.ts';

const seed = 2_026;
const quantiles = [0, 0.5, 0.95, 0.99, 1];

function partialOf(kernel: ShardKernel, rows: readonly KernelRow[]): Uint8Array {
  kernel.reset();
  kernel.add(columnsOf(rows));
  const groups = Array.from(kernel.finish(), (group) => ({
    ...group,
    tenantId: `tenant ${group.tenant}`,
    serviceName: `service ${group.service}`,
    operationName: `operation ${group.operation}`,
    spanKind: `kind ${group.kind}`,
  }));
  return encodePartial(groups);
}

it(`mergePartials() of ShardKernel’s results does not depend on the cut (seed ${seed})`, async () => {
  const random = seededRandom(seed);
  const kernel = new ShardKernel(await compileModule('aggregator-as/assembly/aggregate.ts'), {
    memoryBytesMax: 64 * 1024 * 1024,
  });
  for (const count of [1, 50, 5000, 40_000]) {
    const rows = randomRows(count, random);
    const whole = await mergePartials(
      countingReaders([partialOf(kernel, rows)]).readers,
      quantiles,
    );
    for (const shards of [2, 5, 17]) {
      const cuts = Map.groupBy(rows, ({ traceId }) => Number((traceId * 7n) % BigInt(shards)));
      const objects = Array.from(cuts.values(), (part) => partialOf(kernel, part));
      const { readers } = countingReaders(objects);
      expect(await mergePartials(readers, quantiles)).toEqual(whole);
    }
    const reference = new Map(
      referenceGroups(rows).map((group) => [
        `tenant ${group.tenant}/service ${group.service}/operation ${group.operation}/kind ${group.kind}`,
        group,
      ]),
    );
    expect(whole.length).toBe(reference.size);
    for (const stats of whole) {
      const key = [stats.tenantId, stats.serviceName, stats.operationName, stats.spanKind].join(
        '/',
      );
      const wanted = reference.get(key);
      expect(stats.totalSpans).toBe(wanted?.count);
      expect(stats.duplicateSpans).toBe((wanted?.rawCount ?? 0) - (wanted?.count ?? 0));
      expect(stats.uniqueTraces).toBe(wanted?.uniqueTraces);
      expect(stats.conflicts).toBe(wanted?.conflicts);
      expect(stats.errorCount).toBe(wanted?.errorCount);
      const { durations = [] } = wanted ?? {};
      expect(stats.quantilesMs[0]).toBe(Number(durations[0] ?? Number.NaN) / 1e6);
      expect(stats.quantilesMs[4]).toBe(Number(durations.at(-1) ?? Number.NaN) / 1e6);
    }
  }
});
