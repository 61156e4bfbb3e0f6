import { afterAll, beforeAll, expect, it } from 'vitest';
import { lookForDue, runDue } from '../../batch/due.ts';
import { parsePeriod } from '../../schemas/period.ts';
import { archiveSpans, hourMs, moveWatermark } from '../support/day.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans } from '../support/spans.ts';
import { startStack, type Stack } from '../support/stack.ts';

let stack: Stack;
let nowMs = Date.parse('2026-11-22T04:00:00Z');

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.close());

it('runDue() computes missing days, then only what late data and completeness change', async () => {
  const random = seededRandom(20261122);
  let offset = 0n;
  const archive = async (date: string, rows: number) => {
    const startMs = Date.parse(`${date}T10:00:00Z`);
    const spans = randomSpans(random, rows, { hourMs: startMs, offset });
    await archiveSpans(stack.store, spans, { firstOffset: offset });
    offset += BigInt(rows);
  };
  const options = {
    ...stack,
    clock: () => (nowMs += 1),
    random,
    log: {
      info: () => undefined,
      warn: (fields: object, text: string) => console.warn(text, fields),
    },
  };
  const due = () => lookForDue(options);
  const signal = 'traces';

  expect(await due()).toEqual([]);
  await archive('2026-11-19', 50);
  await archive('2026-11-21', 60);
  await archive('2026-11-22', 70);
  expect(await due()).toEqual([
    { period: parsePeriod('2026-11-19'), signal, reason: 'missing' },
    { period: parsePeriod('2026-11-21'), signal, reason: 'missing' },
  ]);
  const first = await runDue(options);
  expect(
    first.runs.map(({ period, outcome, run }) => [period.name, outcome, run?.rowsRead]),
  ).toEqual([
    ['2026-11-19', 'published', 50],
    ['2026-11-21', 'published', 60],
  ]);
  expect(await due()).toEqual([]);

  await archive('2026-11-19', 5);
  await moveWatermark(stack.store, Date.parse('2026-11-22T00:00:00Z') + 3 * hourMs);
  expect(await due()).toEqual([
    { period: parsePeriod('2026-11-19'), signal, reason: 'changed' },
    { period: parsePeriod('2026-11-21'), signal, reason: 'complete' },
  ]);
  const second = await runDue(options);
  expect(
    second.runs.map(({ period, outcome, run }) => [period.name, outcome, run?.isFinal]),
  ).toEqual([
    ['2026-11-19', 'published', true],
    ['2026-11-21', 'confirmed', true],
  ]);
  expect(second.failures).toEqual([]);
  expect(await due()).toEqual([]);
});
