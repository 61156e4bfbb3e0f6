import { afterAll, beforeAll, expect, it } from 'vitest';
import { currentRuns, publishedRunIds } from '../../../batch/publish/runs.ts';
import { parsePeriod } from '../../../schemas/period.ts';
import { startStack, type Stack } from '../../support/stack.ts';

let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
  const rows = [
    ['2026-11-01', 'a', '2026-11-02T04:00:00.000Z'],
    ['2026-11-01', 'b', '2026-11-02T05:00:00.001Z'],
    ['2026-11-01', 'c', '2026-11-02T05:00:00.000Z'],
    ['2026-11-02', 'd', '2026-11-03T05:00:00.000Z'],
    ['2026-11-02', 'e', '2026-11-03T05:00:00.000Z'],
    ['2026-11-03', 'f', '2026-11-04T05:00:00.000Z'],
    // A rollback names an earlier run again.
    ['2026-11-03', 'g', '2026-11-04T06:00:00.000Z'],
    ['2026-11-03', 'f', '2026-11-04T07:00:00.000Z'],
  ].map(([date, run_id, published_at]) => ({
    period_kind: 'day',
    period_start: `${date}T00:00:00Z`,
    run_id,
    published_at,
    input_hash: `hash of ${run_id}`,
  }));
  await stack.clickhouse.insertRows('batch_runs', rows);
});
afterAll(() => stack.close());

it('currentRuns() names the runs that the view batch_current does', async () => {
  const runs = await currentRuns(stack.clickhouse, 'traces', {
    kind: 'day',
    fromMs: Date.parse('2026-11-01'),
    toMs: Date.parse('2026-12-01'),
  });
  const view = await stack.clickhouse.query<{ date: string; run_id: string }>(
    `SELECT toString(toDate(period_start)) AS date, run_id FROM batch_current`,
  );
  const named = [...runs.values()].map(({ period, runId }) => ({
    date: period.name,
    run_id: runId,
  }));
  expect(named.toSorted((a, b) => (a.date < b.date ? -1 : 1))).toEqual(
    view.toSorted((a, b) => (a.date < b.date ? -1 : 1)),
  );
  expect(named.map((row) => row.run_id).toSorted()).toEqual(['b', 'e', 'f']);
  expect(runs.get('2026-11-01')).toMatchObject({
    inputHash: 'hash of b',
    publishedAtMs: Date.parse('2026-11-02T05:00:00.001Z'),
  });
});

it('currentRuns() keeps to the days that it is asked for', async () => {
  const runs = await currentRuns(stack.clickhouse, 'traces', {
    kind: 'day',
    fromMs: Date.parse('2026-11-02'),
    toMs: Date.parse('2026-11-03'),
  });
  expect([...runs.keys()]).toEqual(['2026-11-02']);
});

function idsOf(date: string): Promise<string[]> {
  return publishedRunIds(stack.clickhouse, 'traces', parsePeriod(date));
}

it('publishedRunIds() lists a run where it was published last', async () => {
  expect(await idsOf('2026-11-01')).toEqual(['b', 'c', 'a']);
  expect(await idsOf('2026-11-03')).toEqual(['f', 'g']);
  expect(await idsOf('2026-11-09')).toEqual([]);
});
