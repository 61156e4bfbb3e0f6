/** The coordinator and workers of a fleet, in one process, on a real Kafka and a real bucket. */
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadFleetCode } from '../../../batch/fleet/version.ts';
import type { Settings } from '../../../schemas/settings.ts';
import { partialPrefix } from '../../../schemas/shard.ts';
import { idText, splitKey, taskPrefix, type ShardTask } from '../../../schemas/task.ts';
import { Crew } from '../../support/crew.ts';
import { noKafka, startTestKafka, type TestKafka } from '../../support/kafka.ts';
import { startBucket, type Bucket } from '../../support/objects.ts';
import { seededRandom } from '../../support/random.ts';
import { hashesOf, keysBelow, localPartials, requestOf, smallDay } from '../../support/tasks.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
const sessionMs = 1000;

describe.skipIf(noKafka)('fleetRunner()', () => {
  let kafka: TestKafka;
  let bucket: Bucket;
  let settings: Settings;
  let crew: Crew;

  beforeAll(async () => {
    console.log(`seed ${seed}`);
    [kafka, bucket] = await Promise.all([startTestKafka(), startBucket()]);
    settings = {
      ...kafka.settings,
      ...bucket.settings,
      KAFKA_BROKERS: kafka.brokers,
      KAFKA_SESSION_MS: sessionMs,
      TIDEMARK_BATCH_FLEET: 'on',
      TIDEMARK_TASK_PARTITIONS: 6,
      TIDEMARK_TASK_RETRY_MS: 100,
      TIDEMARK_TASK_STOP_MS: 5000,
    };
    crew = new Crew({ kafka: kafka.client, store: bucket.store, settings });
  }, 360_000);

  afterAll(async () => {
    await crew.stop();
    await Promise.all([kafka.close(), bucket.close()]);
  });

  const startWorker = (more: Partial<Settings> = {}) => crew.start(more);
  const coordinator = (more: Partial<Settings> = {}, lines: string[] = []) =>
    crew.coordinator({ settings: { ...settings, ...more } }, lines);

  const day = (date: string, spans: number, shards: number) =>
    smallDay(bucket.store, { date, random: seededRandom(seed), spans, shards });

  it('stores the local pool’s partials, to the byte, and leaves no tasks', async () => {
    const small = await day('2026-10-01', 3000, 12);
    const expected = await localPartials(bucket.store, settings, small, 'local-1');
    const worker = await startWorker();
    const counts: number[] = [];
    const request = await requestOf(small, 'fleet-1');
    const reports = await coordinator()({ ...request, onDone: (_, of) => counts.push(of) });
    expect(expected.size).toBeGreaterThan(9);
    expect(await hashesOf(bucket.store, 'fleet-1', reports)).toEqual(expected);
    expect(counts).toEqual(small.shards.map(() => small.shards.length));
    expect(await keysBelow(bucket.store, taskPrefix('fleet-1'))).toEqual([]);
    // Starts are removed by who ends the shard.
    expect(await keysBelow(bucket.store, partialPrefix('fleet-1'))).toHaveLength(expected.size);
    expect((await worker.stop()).tasks).toMatchObject({ done: expected.size, failed: 0 });
  });

  it('takes the parts of shards that a worker cannot hold, as the first worker cut them', async () => {
    const small = await day('2026-10-02', 8000, 2);
    const memory = { TIDEMARK_BATCH_MEMORY_BYTES: 3 * 1024 * 1024 + 2000 * 288 };
    const [one, two] = [await startWorker(memory), await startWorker()];
    const reports = await coordinator()(await requestOf(small, 'split'));
    const keys = reports.map(({ key }) => key);
    const stored = await bucket.store.get(splitKey('split', small.shards[0] ?? never()));
    const local = await localPartials(bucket.store, { ...settings, ...memory }, small, 'cut');
    const cut = await hashesOf(bucket.store, 'split', reports);
    // A shard is whole or cut, by who computed it: each part is what the pool makes of that part.
    if (stored) expect(keys.length).toBeGreaterThan(small.shards.length);
    for (const [key, hash] of cut) if (local.has(key)) expect(local.get(key)).toBe(hash);
    await Promise.all([one.stop(), two.stop()]);
  });

  it('fails with a shard whose file is damaged, names it and buries it', async () => {
    const small = await day('2026-10-03', 5000, 1);
    const [file] = small.files;
    const damaged = (file ?? never()).bytes.slice();
    damaged.fill(0xa5, 1000, 60_000);
    await bucket.store.put((file ?? never()).key, damaged);
    const worker = await startWorker();
    const retries: string[] = [];
    const running = coordinator()(await requestOf(small, 'damaged', retries));
    await expect(running).rejects.toMatchObject({
      code: 'BATCH_FAILED',
      message: expect.stringMatching(
        /^Cannot compute shard 0, ids \[0{32}, 10{32}\), try 1 of 3: /,
      ),
    });
    // Trying again would not mend it.
    expect(retries).toEqual([]);
    const dead = await deadLetters();
    expect(dead.at(-1)?.reason).toContain(file?.key ?? '?');
    expect(JSON.parse(dead.at(-1)?.value ?? '')).toMatchObject({ computation: 'damaged' });
    // The next attempt is not held up by the failures of this one.
    await bucket.store.put((file ?? never()).key, (file ?? never()).bytes);
    expect(await coordinator()(await requestOf(small, 'damaged'))).toHaveLength(1);
    await worker.stop();
  });

  it('puts aside what is no task, skips what nobody waits for, and goes on', async () => {
    const worker = await startWorker();
    const producer = await kafka.client.openProducer();
    const code = await loadFleetCode();
    const orphan: ShardTask = {
      version: 1,
      codeVersion: code.version,
      computation: 'nobody',
      attempt: 'gone',
      tryNumber: 1,
      shardKey: '_tasks/nobody/x.json.gz',
      idFrom: idText(0n),
      idTo: idText(1n),
      publishedAt: new Date().toISOString(),
    };
    const values = [
      'garbage',
      JSON.stringify({ ...orphan, version: 9 }),
      JSON.stringify({ version: 1 }),
      JSON.stringify({ ...orphan, codeVersion: 'another' }),
      JSON.stringify(orphan),
    ];
    for (let partition = 0; partition < 6; partition += 1) {
      await producer.produce({
        topic: settings.TIDEMARK_TASK_TOPIC,
        partition,
        records: values.map((value) => ({
          key: null,
          value: Buffer.from(value),
          timestampMs: Date.now(),
        })),
      });
    }
    await producer.close();
    const small = await day('2026-10-04', 600, 6);
    const reports = await coordinator()(await requestOf(small, 'behind'));
    expect(reports).toHaveLength(small.shards.length);
    const { tasks } = await worker.stop();
    expect(tasks).toMatchObject({ poison: 18, abandoned: 6, foreign: 6, done: reports.length });
    const reasons = (await deadLetters()).map(({ reason }) => reason);
    for (const reason of ['it is not JSON', 'its version is 9, known is 1', 'bad field "']) {
      expect(reasons.filter((other) => other.startsWith(reason))).toHaveLength(6);
    }
  });

  it('keeps its partitions while a shard takes longer than a session, and computes it once', async () => {
    const small = await day('2026-10-05', 600, 1);
    const slow = await startSlowLine(Number(new URL(bucket.endpoint).port), 250);
    const [one, two] = [
      await startWorker({ S3_ENDPOINT: bucket.endpoint.replace(/:\d+\//, `:${slow.port}/`) }),
      await startWorker({ S3_ENDPOINT: bucket.endpoint.replace(/:\d+\//, `:${slow.port}/`) }),
    ];
    const joins = () =>
      [one, two].flatMap(({ lines }) => lines).filter((l) => l.startsWith('Takes'));
    while (joins().length < 3) await pause(20);
    const startedMs = performance.now();
    const reports = await coordinator()(await requestOf(small, 'slow'));
    expect(performance.now() - startedMs).toBeGreaterThan(2 * sessionMs);
    expect(reports).toHaveLength(1);
    expect(joins()).toHaveLength(3);
    const [first, second] = [await one.stop(), await two.stop()];
    expect(first.tasks.done + second.tasks.done).toBe(1);
    expect(first.tasks.present + second.tasks.present).toBe(0);
    await slow.close();
  });

  it('hands a shard back at once when its worker is told to stop', async () => {
    const small = await day('2026-10-06', 600, 1);
    const slow = await startSlowLine(Number(new URL(bucket.endpoint).port), 60_000);
    const stuck = await startWorker({
      S3_ENDPOINT: bucket.endpoint.replace(/:\d+\//, `:${slow.port}/`),
      TIDEMARK_TASK_STOP_MS: 100,
    });
    const lines: string[] = [];
    const running = coordinator(
      { TIDEMARK_TASK_RETRY_MS: 600_000 },
      lines,
    )(await requestOf(small, 'handed'));
    while ((await keysBelow(bucket.store, partialPrefix('handed'))).length === 0) await pause(20);
    expect((await stuck.stop()).tasks).toMatchObject({ returned: 1, failed: 0, done: 0 });
    await slow.close();
    const other = await startWorker();
    expect(await running).toHaveLength(1);
    expect((await other.stop()).tasks).toMatchObject({ done: 1 });
  });

  it('of two coordinators of one computation both get all of it, computed once', async () => {
    const small = await day('2026-10-07', 3000, 10);
    const worker = await startWorker();
    const requests = [await requestOf(small, 'both'), await requestOf(small, 'both')];
    const [first, second] = await Promise.all(requests.map((request) => coordinator()(request)));
    expect(first).toEqual(second);
    expect(first).toHaveLength(small.shards.length);
    expect((await worker.stop()).tasks.done).toBe(small.shards.length);
  });

  it('stops when it is told to, and the next one goes on', async () => {
    const small = await day('2026-10-08', 900, 3);
    const signal = AbortSignal.timeout(700);
    const request = await requestOf(small, 'stopped');
    await expect(coordinator()({ ...request, signal })).rejects.toMatchObject({
      code: 'BATCH_FAILED',
      retryable: true,
    });
    const left = await keysBelow(bucket.store, taskPrefix('stopped'));
    expect(left.filter((key) => key.includes('attempt'))).toEqual([]);
    const worker = await startWorker();
    expect(await coordinator()(request)).toHaveLength(3);
    const { tasks } = await worker.stop();
    expect(tasks.done).toBe(3);
    // Tasks of the first attempt are nobody's any more.
    expect(tasks.abandoned).toBeGreaterThanOrEqual(3);
  });

  async function deadLetters() {
    const letters: { readonly value: string; readonly reason: string }[] = [];
    const topic = `${settings.TIDEMARK_TASK_TOPIC}_dead`;
    const admin = await kafka.client.openAdmin();
    const [end] = await admin.offsets(topic);
    await admin.close();
    const consumer = await kafka.client.consume({
      groupId: `dead-${Math.random()}`,
      topics: [topic],
      handler: {
        assigned: () => Promise.resolve(0n),
        revoked: () => undefined,
        records: ({ records }) => {
          for (const { value, headers } of records) {
            const reason = headers['tidemark-reason']?.toString() ?? '';
            letters.push({ value: value?.toString() ?? '', reason });
          }
        },
        failed: (error) => {
          throw error;
        },
      },
    });
    while (letters.length < Number(end?.high)) await pause(20);
    await consumer.stop();
    return letters;
  }
});

function never(): never {
  throw new Error('Bug: it is not there');
}

/** A line to a port of loopback on which every answer takes so long. */
async function startSlowLine(target: number, delayMs: number) {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const other = createConnection(target, '127.0.0.1');
    sockets.add(client).add(other);
    const end = () => {
      client.destroy();
      other.destroy();
    };
    for (const socket of [client, other]) socket.on('error', end).on('close', end);
    client.on('data', (bytes) => other.write(bytes));
    other.on('data', (bytes) => {
      setTimeout(() => client.destroyed || client.write(bytes), delayMs).unref();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
