/**
 * The schedule on a fleet: all signals, days and hours, by three workers, with a broker that is lost in the middle;
 * then without one that comes back. Kafka, bucket and ClickHouse are real.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runBatch } from '../../../batch/run.ts';
import type { ShardRunner } from '../../../batch/pool/runner.ts';
import { runScheduler } from '../../../batch/scheduler.ts';
import { scheduleCounters } from '../../../batch/scheduler/counters.ts';
import { Pulse } from '../../../batch/scheduler/pulse.ts';
import { batchWork } from '../../../batch/scheduler/work.ts';
import type { Signal } from '../../../schemas/archive.ts';
import { fleetAwayMsMax, fleetCheckMs } from '../../../schemas/limits/fleet.ts';
import type { Settings } from '../../../schemas/settings.ts';
import { taskPrefix } from '../../../schemas/task.ts';
import { tickKey, tickOf } from '../../../schemas/tick.ts';
import type { ObjectStore } from '../../../workers/clients/store/objects.ts';
import { runAlone } from '../../support/alone.ts';
import { Crew, realClock } from '../../support/crew.ts';
import { archiveSpans } from '../../support/day.ts';
import { archiveDeliveries } from '../../support/delivered.ts';
import { noKafka, startTestKafka, type TestKafka } from '../../support/kafka.ts';
import { deliveryOf, randomLogDay } from '../../support/logday.ts';
import { metricDelivery, randomMetricDay } from '../../support/metricday.ts';
import { memoryOf } from '../../support/planned.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans } from '../../support/spans.ts';
import { startStack, type Stack } from '../../support/stack.ts';
import { hashesOf, keysBelow, requestOf, smallDay } from '../../support/tasks.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** Yesterday: its last hours are due as hours too. */
const startMs = Math.floor(Date.now() / dayMs) * dayMs - dayMs;
/** Rows of one shard: so few that each signal has several. */
const shardRows: Readonly<Record<Signal, number>> = { traces: 300, logs: 700, metrics: 600 };

describe.skipIf(noKafka)('a fleet of three workers', () => {
  let kafka: TestKafka;
  let stack: Stack;
  let settings: Settings;
  let crew: Crew;

  beforeAll(async () => {
    console.log(`seed ${seed}`);
    [kafka, stack] = await Promise.all([startTestKafka(), startStack()]);
    settings = {
      ...stack.settings,
      KAFKA_BROKERS: kafka.brokers,
      KAFKA_SESSION_MS: 2000,
      TIDEMARK_BATCH_FLEET: 'on',
      TIDEMARK_TASK_PARTITIONS: 6,
      TIDEMARK_BATCH_POLL_MS: 300,
      TIDEMARK_BATCH_DEADLINE_MS: 0,
      TIDEMARK_BATCH_HOUR_DEADLINE_MS: 0,
    };
    crew = new Crew({ kafka: kafka.client, store: stack.store, settings });
  }, 360_000);

  afterAll(async () => {
    await crew?.stop();
    await Promise.all([kafka?.close(), stack?.close()]);
  }, 120_000);

  const planned = (of: Signal): Settings => ({
    ...settings,
    TIDEMARK_BATCH_MEMORY_BYTES: memoryOf(of, shardRows[of]),
  });

  /** Two hours of spans, a day of log records and one of data points. */
  async function archive(): Promise<void> {
    const random = seededRandom(seed);
    for (const [index, hour] of [22, 23].entries()) {
      const given = { hourMs: startMs + hour * hourMs, offset: BigInt(index * 1000) };
      const spans = randomSpans(random, 1000, given);
      await archiveSpans(stack.store, spans, { firstOffset: given.offset, rowGroupRows: 100 });
    }
    const logs = randomLogDay(random, startMs, 90).map((each) => deliveryOf(each));
    const points = randomMetricDay(random, startMs, 60).map((each) => metricDelivery(each));
    for (const [of, all] of [['logs', logs] as const, ['metrics', points] as const]) {
      const placed = all.map((each, at) => ({ ...each, partition: -1, offset: BigInt(at) }));
      await archiveDeliveries(stack.store, of, placed);
    }
  }

  /** Runs the ticks of this minute by that runner until they are done; returns the journal. */
  async function runTicks(runner: ShardRunner): Promise<unknown[]> {
    const { store, clickhouse } = stack;
    for (const kind of ['day', 'hour'] as const) {
      await store.put(tickKey(tickOf(kind, Date.now())), '{}');
    }
    const log = { info: () => undefined, warn: console.info };
    const options = { store, clickhouse, log, random: Math.random, clock: Date.now, runner };
    const work = batchWork({ ...options, settings });
    const stopping = new AbortController();
    const scheduler = runScheduler({
      store,
      clickhouse,
      settings,
      log,
      catchUp: true,
      ticksOnly: true,
      clock: { ...realClock, monotonicMs: () => performance.now() },
      pulse: new Pulse(() => performance.now()),
      counters: scheduleCounters(new Registry()),
      work: {
        ...work,
        run: (period, of, given) =>
          runBatch({ ...options, settings: planned(of), period, of, ...given }),
      },
      holder: 'a',
      name: 'scheduler',
      signal: stopping.signal,
    });
    const ended = "SELECT count() = 2 AS ended FROM batch_ticks WHERE state = 'done'";
    for (let isDone = false; !isDone; await pause(200)) {
      const [row] = await clickhouse.query<{ ended: number }>(ended);
      isDone = Boolean(row?.ended);
    }
    stopping.abort();
    await scheduler;
    return clickhouse.query(
      `SELECT signal, period_kind AS kind, event, attempt FROM batch_schedule WHERE signal != ''
       ORDER BY kind, signal, period_start`,
    );
  }

  /** The store, with a broker that is killed when the first shard is stored, and comes back later. */
  function breaking(): { readonly store: ObjectStore; readonly back: Promise<void> } {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let isLost = false;
    const lose = async (): Promise<void> => {
      isLost = true;
      await kafka.kill();
      void pause(1500)
        .then(() => kafka.restart())
        .then(resolve, reject);
    };
    const put: ObjectStore['put'] = async (key, ...rest) => {
      if (!isLost && key.endsWith('.json.gz')) await lose();
      await stack.store.put(key, ...rest);
    };
    const store = new Proxy(stack.store, {
      get: (target, name) => {
        const value: unknown = name === 'put' ? put : Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    return { store, back: promise };
  }

  it(
    'runs the ticks of the schedule over a lost broker; its partials are the local pool’s, of every signal',
    { timeout: 300_000 },
    async () => {
      await archive();
      const team = await Promise.all([crew.start(), crew.start(), crew.start()]);
      const broken = breaking();
      const lines: string[] = [];
      const fleet = crew.coordinator({ settings, store: broken.store }, lines);
      const shards: Record<string, number> = {};
      const runner: ShardRunner = async (request) => {
        const reports = await fleet(request);
        const { name, of, period } = request.computation;
        const computation = { ...request.computation, name: `alone-${name}` };
        const alone = await runAlone(stack.store, settings)({ ...request, computation });
        const own = await hashesOf(stack.store, computation.name, alone);
        expect(await hashesOf(stack.store, name, reports)).toEqual(own);
        const most = `${of} ${period.kind}`;
        shards[most] = Math.max(shards[most] ?? 0, own.size);
        console.info(`${period.name} (${of}): ${own.size} shards`);
        return reports;
      };
      const journal = await runTicks(runner);
      await broken.back;
      const published = { event: 'published', attempt: 1 };
      expect(journal).toEqual([
        { signal: 'logs', kind: 'day', ...published },
        // What was measured before midnight makes the day before due too.
        { signal: 'metrics', kind: 'day', ...published },
        { signal: 'metrics', kind: 'day', ...published },
        { signal: 'traces', kind: 'day', ...published },
        { signal: 'traces', kind: 'hour', ...published },
        { signal: 'traces', kind: 'hour', ...published },
      ]);
      expect(Object.keys(shards).toSorted()).toEqual([
        'logs day',
        'metrics day',
        'traces day',
        'traces hour',
      ]);
      for (const count of Object.values(shards)) expect(count).toBeGreaterThan(1);
      expect(lines.join('\n')).toContain('Cannot publish tasks now; will try again');
      const ends = await Promise.all(team.map((worker) => worker.stop()));
      for (const { tasks } of ends) expect(tasks).toMatchObject({ failed: 0, poison: 0 });
      const busy = ends.filter(({ tasks }) => tasks.done > 0);
      expect(busy.length).toBeGreaterThan(1);
      expect(await keysBelow(stack.store, '_tasks/')).toEqual([]);
    },
  );

  it(
    'gives a run up when Kafka stays away, says so, and goes on with it when it is run again',
    { timeout: 300_000 },
    async () => {
      const given = { date: '2026-10-01', random: seededRandom(seed), spans: 600, shards: 4 };
      const small = await smallDay(stack.store, given);
      const request = await requestOf(small, 'abandoned');
      // Only the time that has passed without Kafka is not waited for.
      let skewMs = 0;
      const clock = {
        now: () => Date.now() + skewMs,
        sleep: (ms: number, signal?: AbortSignal) => realClock.sleep(Math.min(ms, 100), signal),
      };
      const lines: string[] = [];
      const running = crew.coordinator({ clock }, lines)(request);
      const failed = expect(running).rejects.toMatchObject({
        code: 'BATCH_FAILED',
        retryable: true,
        message: expect.stringMatching(
          /^Cannot finish the batch: Kafka has been away for 1\d minutes\. 0 of 4 shards are computed/,
        ),
      });
      while ((await keysBelow(stack.store, taskPrefix('abandoned'))).length <= 4) await pause(20);
      await kafka.kill();
      skewMs += fleetCheckMs;
      while (!lines.some((line) => line.startsWith('Cannot ask Kafka'))) await pause(20);
      skewMs += fleetAwayMsMax;
      await failed;
      await kafka.restart();
      const worker = await crew.start();
      expect(await crew.coordinator()(request)).toHaveLength(4);
      expect((await worker.stop()).tasks.done).toBe(4);
    },
  );
});
