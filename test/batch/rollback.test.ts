/** Rolling back: which run becomes current, and that it stays so until there is a reason. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listRuns } from '../../batch/history.ts';
import { listInput } from '../../batch/plan/input.ts';
import { rollBack } from '../../batch/rollback.ts';
import { runBatch, type BatchOptions } from '../../batch/run.ts';
import { currentRun } from '../../batch/publish/runs.ts';
import { duePeriods } from '../../batch/scheduler/schedule.ts';
import type { Signal } from '../../schemas/archive.ts';
import { parsePeriod, type Period } from '../../schemas/period.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { archiveSpans, moveWatermark } from '../support/day.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans } from '../support/spans.ts';
import { startStack, type Stack } from '../support/stack.ts';

let stack: Stack;
let nowMs = Date.parse('2026-11-22T04:00:00Z');
let offset = 0n;
const clock = () => (nowMs += 1);

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.close());

function optionsFor(period: Period): BatchOptions {
  const settings = { ...stack.settings, TIDEMARK_RUNS_KEPT: 2 };
  const log = { info: () => undefined, warn: () => undefined };
  return { ...stack, settings, clock, random: Math.random, log, period, of: 'traces' };
}

async function archive(startMs: number, rows: number): Promise<void> {
  const spans = randomSpans(seededRandom(Number(offset) + 1), rows, { hourMs: startMs, offset });
  await archiveSpans(stack.store, spans, { firstOffset: offset });
  offset += BigInt(rows);
}

async function seen({ kind, name }: Period): Promise<string[]> {
  const view = kind === 'day' ? 'service_stats_merged' : 'service_stats_hourly_merged';
  const column = kind === 'day' ? 'date' : 'hour';
  const rows = await stack.clickhouse.query<{ run_id: string }>(
    `SELECT DISTINCT run_id FROM ${view}
     WHERE ${column} = parseDateTimeBestEffort({start:String}, 'UTC')`,
    { start: kind === 'day' ? name : `${name}:00:00` },
  );
  return rows.map((row) => row.run_id);
}

async function runIdOf(options: BatchOptions & { force?: boolean }): Promise<string> {
  const { outcome, run } = await runBatch(options);
  expect(outcome).toBe('published');
  return run?.runId ?? '';
}

it.each([
  ['2026-11-20T09', '2026-11-20T13:00:00Z'],
  ['2026-11-21', '2026-11-22T03:00:00Z'],
])('rollBack() of %s stays until data comes that no run has had', async (name, completeAt) => {
  const period = parsePeriod(name);
  const { kind } = period;
  const options = optionsFor(period);
  const startMs = period.startMs;
  const of: Signal = 'traces';
  const back = (runId?: string) =>
    rollBack({ ...stack, clock, random: Math.random, period, of, runId });
  const dueNow = async () => {
    const input = await listInput(stack.store, of, period);
    const current = await currentRun(stack.clickhouse, of, period);
    const state = { ...input, signal: of, files: input.ownFiles, current };
    const due = duePeriods([state], stack.settings.TIDEMARK_ALLOWED_LATENESS_MS);
    return due.map(({ reason }) => reason);
  };

  await expect(back()).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: `Cannot roll ${name} (traces) back: no earlier run is kept; none is published`,
  });
  await archive(startMs, 100);
  const first = await runIdOf(options);
  await expect(back()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await archive(startMs, 11);
  const second = await runIdOf(options);
  expect(await seen(period)).toEqual([second]);

  const report = await back();
  expect(report).toMatchObject({
    outcome: 'restored',
    from: second,
    run: { runId: first, cause: 'restored', rowsRead: 100 },
  });
  expect(report.run.seenHash).not.toBe(report.run.inputHash);
  expect(await seen(period)).toEqual([first]);
  expect((await back(first)).outcome).toBe('unchanged');

  // Neither the schedule nor a run that is asked for goes on from here, not even once it is complete.
  expect(await dueNow()).toEqual([]);
  await moveWatermark(stack.store, Date.parse(completeAt));
  expect(await dueNow()).toEqual([]);
  expect(await runBatch(options)).toMatchObject({
    outcome: 'unchanged',
    message: `${name} (traces) was rolled back: nothing came since; --force computes it all the same`,
  });
  expect(await seen(period)).toEqual([first]);

  // Forth again, to the run by its name; then it may be confirmed as any other.
  expect((await back(second)).run).toMatchObject({ runId: second, rowsRead: 111 });
  expect(await seen(period)).toEqual([second]);
  expect(await dueNow()).toEqual(['complete']);
  expect((await runBatch(options)).outcome).toBe('confirmed');
  expect((await back()).run.runId).toBe(first);

  // Data that no run has had makes it due, and all of it is computed.
  await archive(startMs, 5);
  expect(await dueNow()).toEqual(['changed']);
  const third = await runIdOf(options);
  expect(await seen(period)).toEqual([third]);
  const runs = await listRuns(stack.clickhouse, of, {
    kind,
    fromMs: startMs,
    toMs: period.endMs,
  });
  expect(runs.map(({ runId, state, rowsRead }) => [runId, state, rowsRead])).toEqual([
    [third, 'current', 116],
    [first, 'kept', 100],
    [second, 'dropped', 111],
  ]);
  await expect(back(second)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: `Cannot roll ${name} (traces) back: run ${second} is not kept; there are ${third}, ${first}`,
  });
  expect((await back()).run.runId).toBe(first);
  expect((await back(third)).run.runId).toBe(third);
});

it('rollBack() leaves readers with a whole run when its own was removed at the same moment', async () => {
  const period = parsePeriod('2026-11-19');
  await archive(period.startMs, 30);
  const options = optionsFor(period);
  const first = await runIdOf(options);
  const second = await runIdOf({ ...options, force: true });
  const clickhouse: ClickHouse = {
    ...stack.clickhouse,
    insertRows: async (...args) => {
      await stack.clickhouse.command(
        `ALTER TABLE service_stats_batch DROP PARTITION ('${period.name}', '${first}')`,
      );
      await stack.clickhouse.insertRows(...args);
    },
  };
  const racing = rollBack({
    ...stack,
    clickhouse,
    clock,
    random: Math.random,
    period,
    of: 'traces',
  });
  await expect(racing).rejects.toMatchObject({ code: 'CONFLICT', retryable: true });
  expect(await seen(period)).toEqual([second]);
});
