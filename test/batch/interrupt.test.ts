/** The batch loses power at every call that it makes, before the call or after it was carried out. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runBatch, type BatchOptions } from '../../batch/run.ts';
import { localRunner, type ShardRequest } from '../../batch/pool/runner.ts';
import { publishedOf } from '../../batch/signals.ts';
import { parsePeriod, periodKey, type Period } from '../../schemas/period.ts';
import { sweepLeftovers } from '../../workers/sweep/leftovers.ts';
import { agedStore } from '../support/aged.ts';
import { keysUnder } from '../support/committed.ts';
import { archiveSpans, hourMs } from '../support/day.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans } from '../support/spans.ts';
import { startStack, type Stack } from '../support/stack.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261122);
let stack: Stack;
let nowMs = Date.parse('2026-11-22T12:00:00Z');
let offset = 0n;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  stack = await startStack();
});
afterAll(() => stack.close());

it.each(['2026-10-10', '2026-10-11T07'])(
  'runBatch() of %s goes on after a fault at any call: old run, new run, never another thing',
  async (name) => {
    const period = parsePeriod(name);
    const random = seededRandom(seed);
    await archive(period, random, 300);
    await runBatch(optionsFor(period));
    const outcomes: Record<string, number> = {};
    for (const moment of ['before', 'after'] as const) {
      const old = await seen(period);
      await archive(period, random, 40);
      let fresh: string | undefined;
      for (let calls = 0; fresh === undefined; calls += 1) {
        const options = { ...optionsFor(period), ...failingAt(stack, calls, moment) };
        const outcome = await runBatch(options).then(
          (report) => report.outcome,
          () => 'failed',
        );
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        const now = await seen(period);
        if (outcome !== 'failed' || now !== old) fresh = now;
      }
      expect(fresh).not.toBe(old);
      expect((await runBatch(optionsFor(period))).outcome).toBe('unchanged');
      expect(await seen(period)).toBe(fresh);
      // Computed again from nothing, the rows are the same to the byte.
      const again = await runBatch({ ...optionsFor(period), force: true });
      expect(again).toMatchObject({ outcome: 'published', run: { lateSpans: 0 } });
      expect(await seen(period)).toBe(fresh);
    }
    console.log({ name, outcomes });
    expect(outcomes['failed']).toBeGreaterThan(20);
  },
  300_000,
);

it('runBatch() goes on with old partials, which a sweeper that comes by leaves alone', async () => {
  const period = parsePeriod('2026-10-12');
  await archive(period, seededRandom(seed), 50);
  const runner = async (request: ShardRequest) => {
    await localRunner(stack.settings, Math.random)(request);
    throw new Error('power cut');
  };
  await expect(runBatch({ ...optionsFor(period), runner })).rejects.toThrow('power cut');
  const partials = await keysUnder(stack.store, '_partials/2026-10-12');
  expect(partials.length).toBeGreaterThan(0);

  const ageMs = 72 * hourMs;
  const left = async () => {
    const ages = new Map(partials.map((key) => [key, ageMs + 1]));
    const store = agedStore(stack.store, ages, nowMs);
    return sweepLeftovers({ store, nowMs, ageMs, dryRun: true });
  };
  expect(await left()).toMatchObject({ computations: 1, files: partials.length });
  const sweeping = async () => {
    expect(await left()).toMatchObject({ computations: 0 });
    return [];
  };
  const report = await runBatch({ ...optionsFor(period), runner: sweeping });
  expect(report).toMatchObject({ outcome: 'published', shardsReused: partials.length });
  expect(await keysUnder(stack.store, '_partials/2026-10-12')).toEqual([]);
});

function optionsFor(period: Period): BatchOptions {
  return {
    ...stack,
    clock: () => (nowMs += 1),
    random: Math.random,
    log: { info: () => undefined, warn: () => undefined },
    period,
    of: 'traces',
  };
}

async function archive(period: Period, random: () => number, rows: number): Promise<void> {
  const spans = randomSpans(random, rows, { hourMs: period.startMs, offset });
  await archiveSpans(stack.store, spans, { firstOffset: offset });
  offset += BigInt(rows);
}

/** All that the tables of the current run say, as text, without what names the run. */
async function seen(period: Period): Promise<string> {
  const { column, type, value } = periodKey(period);
  const view = period.kind === 'day' ? 'service_stats_merged' : 'service_stats_hourly_merged';
  const params = { at: value };
  const runs = await stack.clickhouse.query<{ run_id: string }>(
    `SELECT DISTINCT run_id FROM ${view} WHERE ${column} = {at:${type}}`,
    params,
  );
  expect(runs).toHaveLength(1);
  const run = runs[0]?.run_id ?? '';
  const texts: string[] = [];
  for (const table of publishedOf('traces', period.kind).tables) {
    const rows = await stack.clickhouse.query<object>(
      `SELECT * EXCEPT (run_id) FROM ${table}
       WHERE ${column} = {at:${type}} AND run_id = {run:String} ORDER BY ALL`,
      { ...params, run },
    );
    texts.push(table, ...rows.map((row) => JSON.stringify(row)));
  }
  return texts.join('\n');
}

/** Both services as seen by a process whose power fails at its call of that number. */
function failingAt(
  { store, clickhouse }: Stack,
  calls: number,
  moment: 'before' | 'after',
): Pick<Stack, 'store' | 'clickhouse'> {
  let left = calls;
  const run = async <T>(call: () => Promise<T>): Promise<T> => {
    left -= 1;
    if (left < -1 || (left === -1 && moment === 'before')) throw new Error('power cut');
    const answer = await call();
    if (left <= -1) throw new Error('power cut');
    return answer;
  };
  return {
    store: {
      close: () => undefined,
      clockAheadMs: () => store.clockAheadMs(),
      head: (...args) => run(() => store.head(...args)),
      get: (...args) => run(() => store.get(...args)),
      put: (...args) => run(() => store.put(...args)),
      delete: (...args) => run(() => store.delete(...args)),
      listFolders: (...args) => run(() => store.listFolders(...args)),
      async *list(...args) {
        await run(async () => undefined);
        yield* store.list(...args);
      },
    },
    clickhouse: {
      ...clickhouse,
      query: <T>(...args: Parameters<typeof clickhouse.query>) =>
        run(() => clickhouse.query<T>(...args)),
      command: (...args) => run(() => clickhouse.command(...args)),
      insertRows: (...args) => run(() => clickhouse.insertRows(...args)),
    },
  };
}
