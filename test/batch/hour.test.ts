/** Runs of hours: computed from their own files, exact, and due by themselves. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { lookForDue, runDue } from '../../batch/due.ts';
import { runBatch, type BatchOptions } from '../../batch/run.ts';
import { currentRun } from '../../batch/publish/runs.ts';
import { signalsOf } from '../../batch/signals.ts';
import { parsePeriod } from '../../schemas/period.ts';
import { archiveSpans, hourMs, moveWatermark } from '../support/day.ts';
import { expectProved } from '../support/proved.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans, type SpanRow } from '../support/spans.ts';
import { startStack, type Stack } from '../support/stack.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261122);
let stack: Stack;
let nowMs = Date.parse('2026-11-21T15:10:00Z');
let offset = 0n;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  stack = await startStack();
});
afterAll(() => stack.close());

function optionsFor(period: string): BatchOptions {
  return {
    ...stack,
    clock: () => (nowMs += 1),
    random: seededRandom(1),
    log: { info: () => undefined, warn: (fields, message) => console.warn(message, fields) },
    period: parsePeriod(period),
    of: 'traces',
  };
}

async function archive(rows: readonly SpanRow[]): Promise<string[]> {
  const files = await archiveSpans(stack.store, rows, { firstOffset: offset, rowGroupRows: 200 });
  offset += BigInt(rows.length);
  return files.map(({ key }) => key);
}

function spansOf(random: () => number, start: string, count: number): SpanRow[] {
  return randomSpans(random, count, { hourMs: Date.parse(start), offset });
}

/** What readers see, by hour. */
function hourly(): Promise<object[]> {
  return stack.clickhouse.query(
    `SELECT toString(hour) AS at, layer, any(is_final) AS final, toUInt32(sum(total_spans)) AS spans
     FROM service_stats_hourly_merged GROUP BY hour, layer, run_id ORDER BY hour`,
  );
}

it('runBatch() computes an hour from its files alone, equal to the engine, and makes it current', async () => {
  const random = seededRandom(seed);
  const before = spansOf(random, '2026-11-21T12:00:00Z', 500);
  const within = spansOf(random, '2026-11-21T13:00:00Z', 900);
  await archive(before);
  const keys = await archive(within);
  keys.push(
    ...(await archive(
      within.slice(0, 300).map((row) => ({ ...row, ingestedMs: row.ingestedMs + 1 })),
    )),
  );
  await stack.clickhouse.command(
    `INSERT INTO otel_traces (Timestamp, ServiceName, SpanName)
     SELECT toDateTime64('2026-11-21 12:00:00', 3, 'UTC') + number * 60, 'cart', 'get' FROM numbers(180)`,
  );
  const { run, message } = await runBatch(optionsFor('2026-11-21T13'));
  expect(run).toMatchObject({ rowsRead: 1200, files: 2, isFinal: false, cause: 'computed' });
  expect(message).toContain('2026-11-21T13 (traces) is published as provisional');
  const { clickhouse } = stack;
  const period = parsePeriod('2026-11-21T13');
  await expectProved(stack, ['traces', period.name, run?.runId ?? ''], keys);
  expect(await currentRun(clickhouse, 'traces', period)).toEqual(run);
  expect(await currentRun(clickhouse, 'traces', parsePeriod('2026-11-21'))).toBeUndefined();
  expect(await hourly()).toEqual([
    { at: '2026-11-21 12:00:00', layer: 'realtime', final: false, spans: 60 },
    { at: '2026-11-21 13:00:00', layer: 'batch', final: false, spans: run?.totalSpans },
    { at: '2026-11-21 14:00:00', layer: 'realtime', final: false, spans: 60 },
  ]);
});

it('runDue() computes hours that have ended, then only what changes them', async () => {
  const options = { ...optionsFor('2026-11-21T12'), kind: 'hour' as const };
  const due = async () =>
    (await lookForDue(options)).map(({ period, reason }) => `${period.name} ${reason}`);
  const random = seededRandom(seed + 1);
  await archive(spansOf(random, '2026-11-21T15:00:00Z', 40));
  expect(await due()).toEqual(['2026-11-21T12 missing']);
  const first = await runDue(options);
  expect(first.runs.map(({ period, outcome }) => [period.name, outcome])).toEqual([
    ['2026-11-21T12', 'published'],
  ]);
  expect(await due()).toEqual([]);

  // Late data makes its own hour due; what is complete becomes final.
  await archive(spansOf(random, '2026-11-21T12:00:00Z', 7));
  await moveWatermark(stack.store, Date.parse('2026-11-21T14:00:00Z') + 3 * hourMs);
  nowMs = Date.parse('2026-11-21T17:10:00Z');
  expect(await due()).toEqual([
    '2026-11-21T12 changed',
    '2026-11-21T13 complete',
    '2026-11-21T15 missing',
  ]);
  const { runs, failures } = await runDue(options);
  expect(failures).toEqual([]);
  expect(
    runs.map(({ outcome, run }) => [outcome, run?.isFinal, run?.cause, run?.lateSpans]),
  ).toEqual([
    ['published', true, 'computed', 7],
    ['confirmed', true, 'confirmed', 0],
    ['published', false, 'computed', 0],
  ]);
  expect(await due()).toEqual([]);
  // The day's own run is another matter.
  expect(await currentRun(stack.clickhouse, 'traces', parsePeriod('2026-11-21'))).toBeUndefined();
  // What comes after 48 hours is left to the day's run.
  nowMs = Date.parse('2026-11-23T13:00:00Z');
  await archive(spansOf(random, '2026-11-21T12:00:00Z', 3));
  expect(await due()).toEqual([]);
  nowMs = Date.parse('2026-11-23T12:59:59Z');
  expect(await due()).toEqual(['2026-11-21T12 changed']);
}, 240_000);

it('runBatch() refuses hours of signals that have them in their days, and an hour that goes on', async () => {
  expect(signalsOf('hour')).toEqual(['traces']);
  for (const of of ['logs', 'metrics'] as const) {
    await expect(runBatch({ ...optionsFor('2026-11-21T12'), of })).rejects.toMatchObject({
      code: 'BAD_SETTING',
      message: `Cannot run hours of ${of}: the day's run has the figures of each hour`,
    });
  }
  await expect(runBatch(optionsFor('2026-11-23T13'))).rejects.toThrow('the hour has not ended');
});
