/** Workers as processes that are killed at random, on a real Kafka and a real bucket. */
import { setTimeout as pause } from 'node:timers/promises';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fleetRunner } from '../../../batch/fleet/coordinate.ts';
import type { Settings } from '../../../schemas/settings.ts';
import { partialPrefix, type ShardReport } from '../../../schemas/shard.ts';
import { noKafka, startTestKafka, type TestKafka } from '../../support/kafka.ts';
import { startBucket, type Bucket } from '../../support/objects.ts';
import { seededRandom } from '../../support/random.ts';
import { hashesOf, keysBelow, localPartials, requestOf, smallDay } from '../../support/tasks.ts';
import { BatchWorker } from '../../support/workers.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
const members = 3;
/** As many as the time of a whole run of the tests allows; RUNS=24 and KILLS=8 by itself. */
const runs = Number(process.env['RUNS'] ?? 8);
const runsAtOnce = 3;
const killsWanted = Number(process.env['KILLS'] ?? 3);

describe.skipIf(noKafka)('three workers that are killed at random', () => {
  let kafka: TestKafka;
  let bucket: Bucket;
  let settings: Settings;
  const all: BatchWorker[] = [];

  beforeAll(async () => {
    [kafka, bucket] = await Promise.all([startTestKafka(), startBucket()]);
    settings = {
      ...kafka.settings,
      ...bucket.settings,
      KAFKA_BROKERS: kafka.brokers,
      KAFKA_SESSION_MS: 1500,
      TIDEMARK_BATCH_FLEET: 'on',
      TIDEMARK_TASK_PARTITIONS: 9,
    };
  }, 360_000);

  afterAll(async () => {
    await Promise.all(all.map((worker) => worker.end('SIGKILL')));
    await Promise.all([kafka.close(), bucket.close()]);
  });

  function startWorker(): BatchWorker {
    const worker = new BatchWorker(
      {
        KAFKA_BROKERS: kafka.brokers,
        KAFKA_SESSION_MS: '1500',
        S3_ENDPOINT: bucket.endpoint,
        TIDEMARK_TASK_PARTITIONS: '9',
        TIDEMARK_TASK_STOP_MS: '5000',
      },
      ['--concurrency', '1'],
    );
    all.push(worker);
    return worker;
  }

  it(`give what the local pool gives, ${runs} times`, { timeout: 300_000 }, async () => {
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    const days = await Promise.all(
      Array.from({ length: 3 }, (_, index) => {
        const given = { date: `2026-10-1${index}`, spans: 3000, shards: 9, offset: BigInt(index) };
        return smallDay(bucket.store, { ...given, random });
      }),
    );
    const expected = await Promise.all(
      days.map((day, index) => localPartials(bucket.store, settings, day, `local-${index}`)),
    );
    const team = Array.from({ length: members }, startWorker);
    const run = fleetRunner({
      kafka: kafka.client,
      store: bucket.store,
      settings,
      clock: {
        now: () => Date.now(),
        sleep: (ms, signal) => pause(ms, undefined, signal && { signal }).catch(() => undefined),
      },
      random: Math.random,
      log: pino({ level: 'silent' }),
      name: 'test',
    });
    const results = new Map<number, readonly ShardReport[]>();
    let [next, kills] = [0, 0];
    const retries: string[] = [];
    const runner = async () => {
      for (let index = next; index < runs; index = next) {
        next += 1;
        const day = days[index % days.length];
        if (!day) throw new Error('Bug: there is no such day');
        results.set(index, await run(await requestOf(day, `fleet-${index}`, retries)));
      }
    };
    // One is killed in the middle of a task, or anywhere; another takes its place.
    const killer = async () => {
      while (results.size < runs && kills < killsWanted) {
        await pause(300 + random() * 900);
        const [victim] = team.splice(Math.floor(random() * members), 1);
        if (!victim) continue;
        const begun = new Promise<void>((resolve) => (victim.onBegin = resolve));
        const atWork = random() < 0.7;
        if (atWork) await Promise.race([begun, pause(1500)]);
        if (results.size < runs && victim.hasJoined) {
          await pause(random() * 5);
          await victim.end('SIGKILL');
          kills += 1;
          team.push(startWorker());
        } else team.push(victim);
      }
    };
    const startedMs = performance.now();
    const note = setInterval(() => {
      clearInterval(note);
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
      const alive = all.filter((worker) => !worker.isGone);
      const joined = alive.filter((worker) => worker.hasJoined).length;
      const ended = all.reduce((sum, worker) => sum + worker.ended, 0);
      console.info(
        `${seconds} s: ${results.size} runs, ${ended} tasks, ${kills} kills, ${joined} of ${alive.length} have joined`,
      );
    }, 5000);
    await Promise.all([...Array.from({ length: runsAtOnce }, runner), killer()]);
    clearInterval(note);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    const keys = await keysBelow(bucket.store, partialPrefix('fleet-0').replace('fleet-0/', ''));
    // Who dies in the middle of a shard leaves its start behind.
    const interrupted = keys.filter((key) => key.includes('.start-')).length;
    console.info(`${runs} runs in ${seconds} s, ${kills} kills, ${interrupted} in a shard`);

    expect(results.size).toBe(runs);
    for (const [index, reports] of results) {
      const hashes = await hashesOf(bucket.store, `fleet-${index}`, reports);
      expect(hashes).toEqual(expected[index % days.length]);
    }
    // Nobody failed, so that nobody waited for the ten minutes of a retry.
    expect(retries).toEqual([]);
    expect(keys.filter((key) => key.includes('.failed-'))).toEqual([]);
    expect(kills).toBeGreaterThan(0);
    for (const worker of team) {
      const code = await worker.end('SIGTERM');
      expect(code, worker.lines.join('\n')).toBe(worker.hasJoined ? 0 : code);
    }
  });
});
