/** Progress of commands that take long: what is written, and when nothing is. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { BatchProgress } from '../../batch/run.ts';
import { stageOf, withProgress } from '../../bin/progress.ts';
import { parsePeriod } from '../../schemas/period.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Lines that are written while a task takes `ms` and says `where` at its start. */
async function linesOf(ms: number, where?: string): Promise<string[]> {
  const lines: string[] = [];
  const sink = { write: (line: string) => lines.push(line) };
  const signal = new AbortController().signal;
  const context = { environment: {}, stdout: sink, stderr: sink, now: () => Date.now(), signal };
  const done = withProgress(context, async (see) => {
    if (where !== undefined) see(where);
    await new Promise((resolve) => setTimeout(resolve, ms));
  });
  await vi.advanceTimersByTimeAsync(ms);
  await done;
  await vi.advanceTimersByTimeAsync(60_000);
  return lines;
}

it('withProgress() says every five seconds where a task is, and nothing once it has ended', async () => {
  expect(await linesOf(12_000, 'listing')).toEqual(['listing (5 s)\n', 'listing (10 s)\n']);
  expect(await linesOf(4000, 'listing')).toEqual([]);
  expect(await linesOf(12_000)).toEqual([]);
});

it.each<[Partial<BatchProgress>, string]>([
  [{ phase: 'list' }, 'listing its files'],
  [{ phase: 'compute', shardsDone: 3, rows: 500 }, '3 of 8 shards of 500 rows computed'],
  [{ phase: 'compute', shardsDone: 3 }, '3 of 8 shards computed'],
  [{ phase: 'publish' }, 'publishing'],
])('stageOf() says of %j: %s', (more, expected) => {
  const period = parsePeriod('2026-11-21');
  const none = { period, of: 'traces', phase: 'list', shardsDone: 0, shardCount: 8, rows: 0 };
  expect(stageOf({ ...(none as BatchProgress), ...more })).toBe(`2026-11-21 (traces): ${expected}`);
});
