/** Files that are stored otherwise than ours: read by parquet-wasm, with the same result. */
import { expect, it } from 'vitest';
import { fillFromArrow } from '../../../batch/traces/arrowblocks.ts';
import { fillBlock } from '../../../batch/traces/blocks.ts';
import { compileModule } from '../../support/assembly.ts';
import { mergedPartial } from '../../support/merged.ts';
import { referencePartial } from '../../support/partials.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans, writeSpanFile } from '../../support/spans.ts';

it(`${fillFromArrow.name}() gives what ${fillBlock.name}() gives, of files without dictionaries`, async () => {
  const module = await compileModule('aggregator-as/assembly/aggregate.ts');
  const rows = randomSpans(seededRandom(9), 600, { traces: 20 });
  const wanted = referencePartial(rows);
  const files = [rows.slice(0, 350), rows.slice(350)].map((part) =>
    writeSpanFile(part, 90, [], 'sorted', '2', 'plain'),
  );
  const { partial } = await mergedPartial(module, files);
  expect(partial.equals(wanted)).toBe(true);
});
