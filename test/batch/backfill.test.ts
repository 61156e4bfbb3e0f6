import { afterAll, beforeAll, expect, it } from 'vitest';
import { backfill, type BackfillOptions } from '../../batch/backfill.ts';
import { archiveSpans, moveWatermark } from '../support/day.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans } from '../support/spans.ts';
import { startStack, type Stack } from '../support/stack.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
const at = (text: string) => Date.parse(`2026-11-${text}:00Z`);
let stack: Stack;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  stack = await startStack();
});
afterAll(() => stack.close());

it('backfill() does all of the range that has ended, whatever fails, and goes on where it was', async () => {
  const random = seededRandom(seed);
  const keys: string[] = [];
  for (const [index, day] of ['17', '18', '19', '20', '21'].entries()) {
    const offset = BigInt(index * 100);
    const spans = randomSpans(random, 20 + index, { hourMs: at(`${day}T10:00`), offset });
    const files = await archiveSpans(stack.store, spans, { firstOffset: offset });
    keys.push(...files.map(({ key }) => key));
  }
  await moveWatermark(stack.store, at('21T12:00'));
  const broken = keys[2] ?? '';
  const file = await stack.store.get(broken);
  await stack.store.put(broken, 'no Parquet file');
  const heard: string[] = [];
  let [running, most] = [0, 0];
  const options: BackfillOptions = {
    ...stack,
    clock: () => at('21T12:00'),
    random,
    log: { info: () => undefined, warn: () => undefined },
    range: { kind: 'day', fromMs: at('18T00:00'), toMs: at('23T00:00') },
    signals: ['traces'],
    parallel: 2,
    onProgress: ({ phase }) => {
      if (phase === 'list') running += 1;
      most = Math.max(most, running);
    },
    onStep: ({ period, report, error }, done, all) => {
      running -= 1;
      heard.push(`${done}/${all}`);
      expect(report === undefined).toBe(error !== undefined);
      expect(period.kind).toBe('day');
    },
  };
  const first = await backfill(options);
  const told = first.steps.map(({ period, report, error }) => [
    period.name,
    report?.outcome ?? error?.code,
    report?.run?.rowsRead,
  ]);
  expect(told).toEqual([
    ['2026-11-18', 'published', 21],
    ['2026-11-19', 'BATCH_FAILED', undefined],
    ['2026-11-20', 'published', 23],
  ]);
  // The 21st is under way, and the 22nd has not begun.
  expect(first.running).toBe(2);
  expect(heard).toEqual(['1/3', '2/3', '3/3']);
  expect(most).toBe(2);

  if (file) await stack.store.put(broken, file);
  const second = await backfill(options);
  expect(second.steps.map(({ report }) => report?.outcome)).toEqual([
    'unchanged',
    'published',
    'unchanged',
  ]);
  // One that is told to stop begins nothing more.
  const stopped = backfill({ ...options, signal: AbortSignal.abort() });
  await expect(stopped).rejects.toThrow('Cannot go on with the backfill: it was stopped');
}, 240_000);
