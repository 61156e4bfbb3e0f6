/** Kernel, partials and merge in a row: shards of any cut give what one shard gives. */
import { expect, it } from 'vitest';
import { mergePartials } from '../../batch/traces/merge.ts';
import { idEnd } from '../../schemas/shard.ts';
import { compileModule } from '../support/assembly.ts';
import { dealt, mergedPartial } from '../support/merged.ts';
import { countingReaders, referencePartial } from '../support/partials.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans } from '../support/spans.ts';

const seed = 2_026;
const quantiles = [0, 0.1, 0.5, 0.95, 0.99, 0.999, 1];

it(`mergePartials() of shards does not depend on the cut, and is the reference's (seed ${seed})`, async () => {
  const random = seededRandom(seed);
  const module = await compileModule('aggregator-as/assembly/aggregate.ts');
  for (const count of [1, 50, 5000]) {
    const rows = randomSpans(random, count);
    const files = dealt(rows, 4, random, 200);
    const reference = countingReaders([Buffer.from(referencePartial(rows))]).readers;
    const wanted = await mergePartials(reference, quantiles);
    for (const shards of [1, 2, 5, 17]) {
      const objects: Uint8Array[] = [];
      for (let shard = 0; shard < shards; shard += 1) {
        const idFrom = (idEnd * BigInt(shard)) / BigInt(shards);
        const idTo = (idEnd * BigInt(shard + 1)) / BigInt(shards);
        objects.push((await mergedPartial(module, files, { idFrom, idTo })).partial);
      }
      expect(await mergePartials(countingReaders(objects).readers, quantiles)).toEqual(wanted);
    }
  }
});
