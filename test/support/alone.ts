/**
 * Computes shards on the thread that asks, one after the other: for tests of what happens around a computation, which
 * need no threads, and as a second opinion on those that have them.
 */
import { mergeOptions } from '../../batch/plan/computation.ts';
import { workerContext, type ShardRunner } from '../../batch/pool/runner.ts';
import { computeShard } from '../../batch/shard/shard.ts';
import { signalBatches } from '../../batch/signals.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { ShardReport } from '../../schemas/shard.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';

/** Throws what `computeShard` throws, at the first shard that fails, and for one that has to be split. */
export function runAlone(store: ObjectStore, settings: Settings): ShardRunner {
  return async ({ computation, shards, kernel, onDone }) => {
    const { name, of, period } = computation;
    const given = { settings, random: () => 0.5, computation, kernel };
    const merge = mergeOptions(settings, period);
    const { work, rowsMax } = workerContext({ ...given, merge });
    const own = signalBatches[of].startWork(work);
    const options = { store, computation: name, of, work: own, rowsMax, onFile: () => undefined };
    const reports: ShardReport[] = [];
    for (const shard of shards) {
      const outcome = await computeShard(shard, options);
      if (outcome.type === 'split') throw new Error(`Bug: shard ${shard.index} is too large`);
      reports.push(outcome.report);
      onDone(outcome.report, shards.length);
    }
    return reports;
  };
}
