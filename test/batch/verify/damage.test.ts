import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { overFiles } from '../../../batch/verify/damage.ts';
import { filesSource } from '../../../batch/verify/source.ts';
import { archiveSpans } from '../../support/day.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans } from '../../support/spans.ts';
import { startStack, type Stack } from '../../support/stack.ts';

const hourMs = Date.parse('2026-10-21T07:00:00Z');
const structure = ['TraceId FixedString(16)', 'SpanName String'];
let stack: Stack;
let keys: string[];

beforeAll(async () => {
  stack = await startStack();
  keys = [];
  for (const [index, firstOffset] of [0n, 1000n, 2000n, 3000n, 4000n].entries()) {
    const spans = randomSpans(seededRandom(index), 300, { hourMs });
    const [file] = await archiveSpans(stack.store, spans, { firstOffset, rowGroupRows: 100 });
    keys.push(file?.key ?? '');
  }
});
afterAll(() => stack.close());

describe('overFiles()', () => {
  it('answers, and names a damaged file and one that is gone, each wherever it stands', async () => {
    expect(await read()).toEqual([{ rows: '1500' }]);
    for (const key of keys) {
      const whole = (await stack.store.get(key)) ?? new Uint8Array();
      await stack.store.put(key, whole.slice().fill(0xa5, 200, whole.length / 2));
      await expect(read()).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE', message: naming(key) });
      await stack.store.put(key, whole);
    }
    expect(await read()).toEqual([{ rows: '1500' }]);
    const [, , gone = ''] = keys;
    await stack.store.delete([gone]);
    await expect(read()).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE', message: naming(gone) });
  });

  it('leaves a fault alone that is in no file', async () => {
    const { clickhouse, settings } = stack;
    const whole = { clickhouse, settings, keys: keys.slice(0, 2), structure };
    const ask = () => clickhouse.query('SELECT nothing_of_this_name');
    await expect(overFiles(whole, ask)).rejects.toMatchObject({
      code: 'CLICKHOUSE',
      message: expect.stringContaining('nothing_of_this_name') as string,
    });
  });
});

function read(): Promise<unknown[]> {
  const { clickhouse, settings } = stack;
  return overFiles({ clickhouse, settings, keys, structure }, () =>
    clickhouse.query(
      `SELECT count() AS rows FROM ${filesSource(settings, keys, structure)}
       WHERE NOT ignore(TraceId, SpanName)`,
    ),
  );
}

function naming(key: string): string {
  return expect.stringContaining(`Cannot read ${key} of the archive: `) as string;
}
