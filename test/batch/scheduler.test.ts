/**
 * The schedule over days of virtual time, on a real R2 bucket and a real ClickHouse: only the clock stands
 * still until it is moved. Faults are files that are not there and services that are away.
 */
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runScheduler, type SchedulerOptions } from '../../batch/scheduler.ts';
import { scheduleCounters } from '../../batch/scheduler/counters.ts';
import type { Work } from '../../batch/scheduler/leader.ts';
import { Pulse } from '../../batch/scheduler/pulse.ts';
import { batchWork } from '../../batch/scheduler/work.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import type { Settings } from '../../schemas/settings.ts';
import { tickKey, tickOf } from '../../schemas/tick.ts';
import { runAlone } from '../support/alone.ts';
import { ManualClock } from '../support/clock.ts';
import { archiveSpans, moveWatermark } from '../support/day.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans } from '../support/spans.ts';
import { startStack, type Stack } from '../support/stack.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const at = (text: string) => Date.parse(`2026-11-${text}:00Z`);
const daysOnly = { TIDEMARK_BATCH_HOUR_CRON: '' };

let stack: Stack;
let random = seededRandom(seed);
let offset = 0n;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  stack = await startStack();
});
afterAll(() => stack.close());
/** Each test has an empty bucket and empty tables. */
let world: { readonly settings: Settings; readonly clickhouse: Stack['clickhouse'] };
beforeEach(async () => {
  random = seededRandom(seed);
  offset = 0n;
  const { store, clickhouse } = stack;
  for await (const page of store.list('')) await store.delete(page.map(({ key }) => key));
  const filled = await clickhouse.query<{ name: string }>(
    `SELECT DISTINCT table AS name FROM system.parts
     WHERE active AND database = currentDatabase() AND table != 'tidemark_migrations'`,
  );
  for (const { name } of filled) await clickhouse.command(`TRUNCATE TABLE ${name}`);
  const settings: Settings = {
    ...stack.settings,
    // Steps of virtual time: few, so that days are short.
    TIDEMARK_BATCH_POLL_MS: 2 * hourMs,
    TIDEMARK_BATCH_LEASE_MS: 48 * hourMs,
  };
  world = { settings, clickhouse };
});

/** Spans of one event hour, in a commit of their own; returns the keys of its files. */
async function archive(hour: string, rows: number): Promise<string[]> {
  const spans = randomSpans(random, rows, { hourMs: at(`${hour}:00`), offset });
  const files = await archiveSpans(stack.store, spans, { firstOffset: offset });
  offset += BigInt(rows);
  return files.map(({ key }) => key);
}

interface Running {
  readonly clock: ManualClock;
  readonly registry: Registry;
  readonly pulse: Pulse;
  readonly warnings: string[];
  /** Moves the time; the scheduler does on the way what is due. */
  to(ms: number): Promise<void>;
  stop(): Promise<void>;
}

interface Given extends Partial<Pick<SchedulerOptions, 'catchUp' | 'ticksOnly' | 'holder'>> {
  readonly settings?: Partial<Settings>;
  readonly work?: (work: Work) => Work;
  readonly clock?: ManualClock;
}

/** A scheduler from `startMs` on. One that leads has two sleepers, one that waits has one. */
function run(startMs: number, given: Given = {}): Running {
  const clock = given.clock ?? new ManualClock(startMs);
  const settings = { ...world.settings, ...given.settings };
  const stopping = new AbortController();
  const [registry, warnings] = [new Registry(), [] as string[]];
  const log = {
    info: () => undefined,
    warn: (fields: { err?: Error }, text: string) => {
      const line = fields.err ? `${text}: ${fields.err.message}` : text;
      warnings.push(line);
      console.info(`${new Date(clock.now()).toISOString()} ${line}`);
    },
  };
  const [store, clickhouse] = [clock.watch(stack.store), clock.watch(world.clickhouse)];
  const now = () => clock.now();
  const runner = runAlone(stack.store, settings);
  const real = batchWork({ store, clickhouse, settings, clock: now, random, log, runner });
  const pulse = new Pulse(() => clock.monotonicMs());
  const holder = given.holder ?? 'a';
  const running = runScheduler({
    store,
    clickhouse,
    settings,
    clock,
    log,
    pulse,
    counters: scheduleCounters(registry),
    work: clock.watch(given.work?.(real) ?? real),
    catchUp: given.catchUp ?? false,
    ticksOnly: given.ticksOnly ?? false,
    holder,
    name: `host-${holder}`,
    signal: stopping.signal,
  });
  // Whoever waits for the clock hears of it below.
  running.catch((error: unknown) => console.error(error));
  return {
    clock,
    registry,
    pulse,
    warnings,
    to: (ms) => clock.moveTo(ms, 2),
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** What is published, as `2026-11-21 50 final`. */
async function published(): Promise<string[]> {
  const rows = await world.clickhouse.query<Record<string, string>>(
    `SELECT period_kind AS kind, formatDateTime(period_start, '%m-%dT%H', 'UTC') AS start,
       toString(total_spans + duplicate_spans) AS rows, if(is_final, 'final', 'provisional') AS state
     FROM batch_runs WHERE signal = 'traces'
     ORDER BY period_kind, period_start, published_at DESC LIMIT 1 BY period_kind, period_start`,
  );
  return rows.map(({ kind, start = '', rows: count, state }) => {
    return `${kind === 'day' ? start.slice(0, 5) : start} ${count} ${state}`;
  });
}

/** Keys under a prefix. */
async function stored(prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of stack.store.list(prefix)) keys.push(...page.map(({ key }) => key));
  return keys;
}

/** The journal's periods in the order of time, as `22T04:00 day 21 published 1`. */
async function journal(): Promise<string[]> {
  const rows = await world.clickhouse.query<Record<string, string>>(
    `SELECT formatDateTime(at, '%dT%H:%i', 'UTC') AS noted, event, attempt,
       period_kind AS kind, formatDateTime(period_start, '%dT%H', 'UTC') AS start
     FROM batch_schedule WHERE signal != '' ORDER BY at, period_start`,
  );
  return rows.map(({ noted, event, kind, start = '', attempt }) => {
    const name = kind === 'day' ? start.slice(0, 2) : start;
    return `${noted} ${kind} ${name} ${event} ${attempt}`;
  });
}

async function ticks(kind: string): Promise<string[]> {
  const rows = await world.clickhouse.query<Record<string, string>>(
    `SELECT formatDateTime(tick_at, '%dT%H:%i', 'UTC') AS at, state FROM batch_ticks
     WHERE period_kind = {kind:String} ORDER BY tick_at`,
    { kind },
  );
  return rows.map(({ at: tick, state }) => `${tick} ${state}`);
}

async function metric(registry: Registry, name: string): Promise<Record<string, number>> {
  const text = await registry.metrics();
  const lines = text.split('\n').filter((line) => line.startsWith(`tidemark_batch_${name}`));
  return Object.fromEntries(
    lines.map((line) => {
      const [, labels = '', value] = /^\w+(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      return [labels.replaceAll('"', ''), Number(value)];
    }),
  );
}

/** What readers see of the day: one run whole. */
const seen = () =>
  world.clickhouse.query(
    `SELECT toString(uniqExact(run_id)) AS runs, toString(sum(total_spans)) AS spans
     FROM service_stats_merged WHERE date = '2026-11-21' AND layer = 'batch'`,
  );
const spansOf = async (runs: string) => {
  const [row] = await world.clickhouse.query<{ spans: string }>(
    `SELECT toString(total_spans) AS spans FROM batch_runs
     WHERE period_kind = 'day' AND signal = 'traces' ORDER BY published_at ${runs} LIMIT 1`,
  );
  return row?.spans ?? '';
};

describe('runScheduler()', () => {
  it('publishes days at four and hours at ten past, and again exactly what late data changed', async () => {
    await archive('20T10', 40);
    await archive('21T10', 50);
    await archive('22T02', 30);
    await moveWatermark(stack.store, at('22T03:09'));
    const settings = { TIDEMARK_BATCH_CRON: '0 4,5 * * *' };
    const scheduler = run(at('22T02:55'), { settings });
    await scheduler.to(at('22T03:08'));
    expect(await published()).toEqual([]);
    await scheduler.to(at('22T03:12'));
    expect(await published()).toEqual(['11-22T02 30 provisional']);
    await scheduler.to(at('22T04:08'));
    expect(await published()).toEqual(['11-21 50 final', '11-22T02 30 provisional']);
    // Nobody ran when the 20th was due, nor ten on either day: they are shown, and left to a backfill.
    const due = await metric(scheduler.registry, 'due_periods');
    expect(due['signal=traces,kind=day,reason=missing']).toBe(1);
    expect(due['signal=traces,kind=hour,reason=missing']).toBe(2);

    await archive('22T02', 7);
    await archive('21T11', 8);
    await archive('22T03', 20);
    await moveWatermark(stack.store, at('22T05:05'));
    await scheduler.to(at('22T05:15'));
    expect(await journal()).toEqual([
      '22T03:10 hour 22T02 published 1',
      '22T04:00 day 21 published 1',
      '22T04:10 hour 22T02 published 1',
      '22T04:10 hour 22T03 published 1',
      '22T05:00 day 21 published 1',
    ]);
    expect(await published()).toEqual([
      '11-21 58 final',
      '11-22T02 37 provisional',
      '11-22T03 20 provisional',
    ]);
    expect(await ticks('day')).toEqual(['22T04:00 done', '22T05:00 done']);
    expect(await ticks('hour')).toEqual(['22T03:10 done', '22T04:10 done', '22T05:10 done']);
    expect(await metric(scheduler.registry, 'ticks_total')).toEqual({
      'kind=day,outcome=done': 2,
      'kind=hour,outcome=done': 3,
    });
    const success = await metric(scheduler.registry, 'last_success_seconds');
    expect(success['signal=traces,kind=day']).toBe(at('22T05:00') / 1000);
    expect(await metric(scheduler.registry, 'leader')).toEqual({ '': 1 });
    expect(scheduler.warnings).toEqual([]);
    await scheduler.stop();
  }, 240_000);

  it('waits for the archive until the deadline, then publishes as provisional', async () => {
    await archive('21T10', 50);
    await moveWatermark(stack.store, at('22T02:59'));
    const settings = { ...daysOnly, TIDEMARK_BATCH_POLL_MS: 40 * minuteMs };
    const first = run(at('22T03:58'), { settings });
    await first.to(at('22T05:58'));
    expect(await published()).toEqual([]);
    expect(await metric(first.registry, 'waiting_periods')).toMatchObject({ 'kind=day': 1 });
    await first.to(at('22T06:01'));
    expect(await published()).toEqual(['11-21 50 provisional']);
    await first.stop();
    // The next tick finds it complete; nothing came, so it is only confirmed. Of the day before that it
    // waits no longer than it has to.
    await archive('22T10', 60);
    const second = run(at('23T03:58'), { settings });
    await second.to(at('23T04:01'));
    expect(await published()).toEqual(['11-21 50 provisional']);
    await moveWatermark(stack.store, at('23T03:00'));
    await second.to(at('23T04:50'));
    expect(await journal()).toEqual(['22T06:00 day 21 published 1', '23T04:40 day 22 published 1']);
    await second.stop();
    const third = run(at('24T03:58'), { settings });
    await third.to(at('24T04:01'));
    expect((await journal()).at(-1)).toBe('24T04:00 day 21 confirmed 1');
    expect(await published()).toEqual(['11-21 50 final', '11-22 60 final']);
    await third.stop();
  }, 240_000);

  it('tries what fails again after ten minutes, and counts it as failed after the third time', async () => {
    const [key = ''] = await archive('21T10', 50);
    await archive('20T10', 40);
    await moveWatermark(stack.store, at('22T03:30'));
    const file = await stack.store.get(key);
    await stack.store.put(key, 'no Parquet file');
    const scheduler = run(at('22T03:58'), { settings: daysOnly });
    await scheduler.to(at('22T04:05'));
    expect(await journal()).toEqual(['22T04:00 day 21 retried 1']);
    expect(scheduler.pulse.faults).toEqual([expect.stringMatching(/^2026-11-21 \(traces\): /)]);
    await scheduler.to(at('22T05:00'));
    expect(await journal()).toEqual([
      '22T04:00 day 21 retried 1',
      '22T04:10 day 21 retried 2',
      '22T04:20 day 21 failed 3',
    ]);
    const failures = await world.clickhouse.query(
      'SELECT toString(period_start) AS day, signal, attempts FROM batch_failures',
    );
    expect(failures).toEqual([{ day: '2026-11-21 00:00:00', signal: 'traces', attempts: 3 }]);
    expect(await metric(scheduler.registry, 'runs_total')).toMatchObject({
      'signal=traces,kind=day,outcome=retried': 2,
      'signal=traces,kind=day,outcome=failed': 1,
    });
    await scheduler.stop();
    // The next tick begins anew; the second try of it finds the file.
    const next = run(at('23T03:58'), { settings: daysOnly });
    await next.to(at('23T04:05'));
    expect(next.pulse.faults).toHaveLength(1);
    if (file) await stack.store.put(key, file);
    await next.to(at('23T04:15'));
    expect((await journal()).slice(3)).toEqual([
      '23T04:00 day 21 retried 1',
      '23T04:10 day 21 published 2',
    ]);
    expect(await world.clickhouse.query('SELECT 1 FROM batch_failures')).toEqual([]);
    expect(next.pulse.faults).toEqual([]);
    await next.stop();
  }, 240_000);

  it('tells which ticks it missed, and computes them only when it is to catch up', async () => {
    const first = run(at('20T03:58'), { settings: daysOnly });
    await first.to(at('20T04:01'));
    await first.stop();
    for (const hour of ['20T10', '21T10', '22T10']) await archive(hour, 30);
    await moveWatermark(stack.store, at('23T03:30'));
    const second = run(at('23T03:00'), { settings: daysOnly });
    await second.to(at('23T04:01'));
    // 04:00 of the 21st and 22nd are missed: the days 20 and 21 stay as they are.
    expect(await published()).toEqual(['11-22 30 final']);
    expect(await ticks('day')).toEqual([
      '20T04:00 done',
      '21T04:00 missed',
      '22T04:00 missed',
      '23T04:00 done',
    ]);
    expect(second.warnings).toEqual(['Ticks of the schedule were missed']);
    expect(await metric(second.registry, 'ticks_total')).toMatchObject({
      'kind=day,outcome=missed': 2,
    });
    await second.stop();
    const third = run(at('24T03:50'), { settings: daysOnly, catchUp: true });
    await third.to(at('24T03:58'));
    expect(await published()).toEqual(['11-22 30 final']);
    await third.to(at('24T04:01'));
    expect(await published()).toEqual(['11-20 30 final', '11-21 30 final', '11-22 30 final']);
    await third.stop();
    // And at once where a tick was missed.
    await archive('24T10', 60);
    await moveWatermark(stack.store, at('25T03:30'));
    const fourth = run(at('25T09:00'), { settings: daysOnly, catchUp: true });
    await fourth.to(at('25T09:01'));
    expect((await published()).at(-1)).toBe('11-24 60 final');
    await fourth.stop();
  }, 240_000);

  it('takes ticks that are stored once, whoever else keeps the time', async () => {
    await archive('21T10', 50);
    await moveWatermark(stack.store, at('22T03:30'));
    const tick = tickKey(tickOf('day', at('22T04:00')));
    const strange = ['_ticks/day/soon.json', '_ticks/note.txt'];
    for (const key of [tick, ...strange]) await stack.store.put(key, '{}');
    const often = { TIDEMARK_BATCH_POLL_MS: 10 * minuteMs };
    const only = run(at('22T03:50'), { ticksOnly: true, settings: often });
    // A tick of a clock ahead of ours waits; the scheduler's own cron lines are off.
    await only.to(at('22T03:59'));
    expect(await published()).toEqual([]);
    await only.to(at('22T04:15'));
    expect(await published()).toEqual(['11-21 50 final']);
    expect(await stored('_ticks/')).toEqual(strange);
    // Delivered once more, as by a keeper that was slow.
    await stack.store.put(tick, '{}');
    await only.to(at('22T04:25'));
    expect(await stored('_ticks/')).toEqual(strange);
    expect(await journal()).toEqual(['22T04:00 day 21 published 1']);
    await only.stop();
    // A scheduler with cron lines: its own tick and the stored one are the same.
    await archive('22T10', 20);
    await moveWatermark(stack.store, at('23T03:30'));
    await stack.store.put(tickKey(tickOf('day', at('23T04:00'))), '{}');
    const both = run(at('23T03:55'), { settings: { ...daysOnly, ...often } });
    await both.to(at('23T04:10'));
    expect(await stored('_ticks/')).toEqual(strange);
    expect((await journal()).slice(1)).toEqual(['23T04:00 day 22 published 1']);
    expect(await ticks('day')).toEqual(['22T04:00 done', '23T04:00 done']);
    await both.stop();
  }, 240_000);

  it('goes on with what the leader before has left, and waits out services that are away', async () => {
    await archive('21T10', 50);
    await moveWatermark(stack.store, at('22T02:00'));
    const first = run(at('22T03:58'), { settings: daysOnly });
    await first.to(at('22T04:01'));
    await first.stop();
    expect(await ticks('day')).toEqual(['22T04:00 begun']);
    // Long after the grace: the tick is not missed, it was begun.
    await moveWatermark(stack.store, at('22T03:30'));
    let isAway = true;
    const fault = new TidemarkError('OBJECT_STORE', 'Cannot list: away', { retryable: true });
    const away = (work: Work): Work => ({
      ...work,
      look: (kind) => (isAway ? Promise.reject(fault) : work.look(kind)),
    });
    const often = { ...daysOnly, TIDEMARK_BATCH_POLL_MS: 10 * minuteMs };
    const second = run(at('22T08:00'), { settings: often, work: away });
    await second.to(at('22T08:25'));
    expect(second.warnings).toEqual(['The schedule cannot go on; trying again: Cannot list: away']);
    expect(second.pulse.faults).toEqual(['schedule: Cannot list: away']);
    isAway = false;
    await second.to(at('22T08:35'));
    expect(await published()).toEqual(['11-21 50 final']);
    expect(await ticks('day')).toEqual(['22T04:00 done']);
    expect(second.pulse.faults).toEqual([]);
    await second.stop();
  }, 240_000);

  describe('of a leader that was paused while it published', () => {
    const leaseMs = 10 * minuteMs;
    const settings = {
      TIDEMARK_BATCH_CRON: '0 4,5 * * *',
      TIDEMARK_BATCH_HOUR_CRON: '',
      TIDEMARK_BATCH_LEASE_MS: leaseMs,
    };
    /** Leader a stops around its fence; b takes over with more data; then a goes on. */
    async function pauseAndTakeOver(where: 'before' | 'behind') {
      await archive('21T10', 50);
      await moveWatermark(stack.store, at('22T03:30'));
      const [reached, resume] = [
        Promise.withResolvers<undefined>(),
        Promise.withResolvers<undefined>(),
      ];
      const pausing = (work: Work): Work => ({
        ...work,
        run: (period, of, given) =>
          work.run(period, of, {
            ...given,
            fence: async () => {
              if (where === 'behind') await given.fence();
              reached.resolve(undefined);
              await resume.promise;
              if (where === 'before') await given.fence();
            },
          }),
      });
      // Its clock is an hour ahead, so it begins at once; it stands still with it from here on.
      const a = run(at('22T04:58'), { settings, work: pausing, catchUp: true });
      await reached.promise;
      await archive('21T11', 9);
      const b = run(at('22T04:00'), { settings, holder: 'b' });
      await b.clock.moveTo(at('22T04:00') + leaseMs + leaseMs / 2, 1);
      await b.to(at('22T04:00') + 2 * leaseMs);
      const after = await seen();
      // It was asleep for longer than its lease.
      a.clock.set(a.clock.now() + 2 * leaseMs);
      resume.resolve(undefined);
      await a.clock.idle(1);
      return { a, b, after };
    }

    it('nothing of it is published, when its fence finds another', async () => {
      const { a, b, after } = await pauseAndTakeOver('before');
      const whole = [{ runs: '1', spans: await spansOf('DESC') }];
      expect(after).toEqual(whole);
      expect(await seen()).toEqual(whole);
      expect(await published()).toEqual(['11-21 59 final']);
      expect(await journal()).toEqual(['22T04:10 day 21 published 1']);
      expect(a.warnings).toEqual(['This scheduler leads no more: the lease is lost']);
      expect(await metric(a.registry, 'leader')).toEqual({ '': 0 });
      expect(await metric(b.registry, 'term')).toEqual({ '': 2 });
      await Promise.all([a.stop(), b.stop()]);
    }, 240_000);

    it('readers see a whole run even so, and the next tick mends it', async () => {
      // By its clock it publishes after the other: what it has is old, and current.
      const { a, b, after } = await pauseAndTakeOver('behind');
      expect(await seen()).not.toEqual(after);
      expect(await seen()).toEqual([{ runs: '1', spans: await spansOf('DESC') }]);
      expect(await published()).toEqual(['11-21 50 final']);
      await b.to(at('22T05:01'));
      expect(await published()).toEqual(['11-21 59 final']);
      expect(await seen()).toEqual(after);
      await Promise.all([a.stop(), b.stop()]);
    }, 240_000);
  });
});
