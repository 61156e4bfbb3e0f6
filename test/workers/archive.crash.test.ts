/**
 * Three archivers as a user starts them, on a real Kafka and a real bucket, on the worst of days:
 * killed over and over, put to sleep, joined and left by a fourth, with a broker that is killed and a
 * store that fails in every way that stores and networks do. At the end every item that is in Kafka
 * is in committed files exactly once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { KafkaError } from '../../schemas/errors.ts';
import type { KafkaAdmin, KafkaProducer } from '../../workers/clients/kafka/kafka.ts';
import { keysUnder } from '../support/committed.ts';
import { Fleet } from '../support/fleet.ts';
import { noKafka, startTestKafka } from '../support/kafka.ts';
import type { TestKafka } from '../support/kafka.ts';
import { readCommittedFiles, readTopics } from '../support/ledger.ts';
import { startBucket } from '../support/objects.ts';
import type { Bucket } from '../support/objects.ts';
import { encodeRequest } from '../support/otlp.ts';
import { startOutage } from '../support/outage.ts';
import type { Outage, Weather } from '../support/outage.ts';
import { seededRandom } from '../support/random.ts';

/** As many as the time of a whole run of the tests allows; KILLS=51 and more by itself. */
const killsMin = Number(process.env['KILLS'] ?? 8);
const partitions = 6;
const fleetSize = 3;
const startMs = Date.UTC(2026, 10, 22, 13, 30);
const signals: readonly Signal[] = ['traces', 'metrics', 'logs'];
const seed = Number(process.env['SEED'] ?? 20_261_123);
const random = seededRandom(seed);

/** Of a hundred requests to the store, about so many meet each of these. */
const weathers: readonly (readonly [Weather, number])[] = [
  [500, 1],
  [503, 2],
  ['reset', 1],
  ['silent', 0.3],
  ['lost', 1.5],
  ['mute', 0.3],
  ['cut', 1],
];

function weather(): Weather {
  let at = random() * 100;
  for (const [kind, share] of weathers) {
    at -= share;
    if (at < 0) return kind;
  }
  return 'pass';
}

function below(bound: number): number {
  return Math.floor(random() * bound);
}

/** A request of `count` items of several event hours. */
function requestOf(signal: Signal, name: string, count: number): Uint8Array {
  const items = Array.from({ length: count }, (_, index) => {
    const atNs = String(BigInt(startMs - below(3) * 3_600_000) * 1_000_000n);
    return { index, atNs, name: `${name}-${index}` };
  });
  if (signal === 'traces') {
    const spans = items.map(({ index, atNs, name: own }) => ({
      traceId: Buffer.from(own.padEnd(16, '.').slice(-16)),
      spanId: Buffer.alloc(8, index + 1),
      name: own,
      startTimeUnixNano: atNs,
      endTimeUnixNano: atNs,
    }));
    return encodeRequest(signal, { resourceSpans: [{ scopeSpans: [{ spans }] }] });
  }
  if (signal === 'logs') {
    const logRecords = items.map(({ atNs, name: own }) => ({
      timeUnixNano: atNs,
      body: { stringValue: own },
    }));
    return encodeRequest(signal, { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
  }
  const dataPoints = items.map(({ index, atNs }) => ({ timeUnixNano: atNs, asInt: String(index) }));
  const metrics = [{ name, gauge: { dataPoints } }];
  return encodeRequest(signal, { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] });
}

/** Sends requests to random partitions until told to stop, whatever becomes of the broker. */
async function produce(producer: KafkaProducer, stop: AbortSignal): Promise<Set<string>> {
  const acknowledged = new Set<string>();
  for (let request = 0; !stop.aborted; request += 1) {
    const signal = signals[below(3)] ?? 'traces';
    const [topic, partition] = [topics[signal], below(partitions)];
    const count = below(40) === 0 ? 0 : 1 + below(4);
    const value = count === 0 ? Buffer.from('no OTLP') : requestOf(signal, `r${request}`, count);
    // The key says how many items there are to be found.
    const key = Buffer.from(`acme/${request}-${count}`);
    const records = [{ key, value: Buffer.from(value), timestampMs: startMs }];
    const compression = below(2) === 0 ? 'zstd' : 'gzip';
    try {
      const { firstOffset } = await producer.produce({ topic, partition, compression, records });
      acknowledged.add(`${topic}/${partition}/${firstOffset}`);
    } catch (error) {
      // The broker is away. What it has of this request is found out in the end.
      if (!(error instanceof KafkaError)) throw error;
      await delay(100);
    }
    await delay(5);
  }
  return acknowledged;
}

describe.skipIf(noKafka)('archiver processes on the worst of days', () => {
  let kafka: TestKafka;
  let admin: KafkaAdmin;
  let producer: KafkaProducer;
  let bucket: Bucket;
  let outage: Outage;
  let fleet: Fleet;
  let isGood = false;

  beforeAll(async () => {
    [kafka, bucket] = await Promise.all([startTestKafka(), startBucket()]);
    [admin, producer] = await Promise.all([kafka.client.openAdmin(), kafka.client.openProducer()]);
    const config = { 'retention.ms': '-1' };
    await admin.createTopics(
      signals.map((signal) => ({ topic: topics[signal], partitions, config })),
    );
    outage = await startOutage(bucket.endpoint, weather);
    fleet = new Fleet({
      KAFKA_BROKERS: kafka.brokers,
      KAFKA_SESSION_MS: '3000',
      S3_ENDPOINT: outage.endpoint,
      S3_TIMEOUT_MS: '1500',
      TIDEMARK_FLUSH_AGE_MS: '150',
      TIDEMARK_FLUSH_ROWS: '200',
      TIDEMARK_ARCHIVE_POLL_MS: '20',
      TIDEMARK_METRICS_PORT: '0',
    });
  }, 360_000);

  afterAll(async () => {
    for (const archiver of fleet.all) archiver.signal('SIGKILL');
    if (!isGood) for (const { log } of fleet.all.slice(-6)) console.info(log);
    await Promise.allSettled([producer.close(), admin.close()]);
    await Promise.all([kafka.close(), outage.close(), bucket.close()]);
  });

  async function visit(): Promise<void> {
    const fourth = fleet.start();
    expect(await fleet.until(() => fourth.commits > 0)).toBe(true);
    expect(await fourth.end('SIGTERM')).toBe(0);
    fleet.note(`a fourth has joined and left with ${fourth.commits} commits`);
  }

  async function loseBroker(): Promise<void> {
    await kafka.kill();
    await delay(500);
    fleet.kill(below(fleetSize));
    await kafka.restart();
    fleet.note('the broker is back');
    expect(await fleet.atWork()).toBe(true);
  }

  /** One does not answer for longer than its session, and goes on in the middle of its work. */
  async function sleep(): Promise<void> {
    const [sleeper] = fleet.members;
    sleeper?.signal('SIGSTOP');
    await delay(4000);
    await fleet.atWork();
    sleeper?.signal('SIGCONT');
    fleet.note('a sleeper has woken up');
  }

  async function killAll(): Promise<void> {
    const events = [visit, loseBroker, sleep];
    for (let member = 0; member < fleetSize; member += 1) fleet.join();
    while (fleet.kills < killsMin) {
      if (!(await fleet.atWork())) fleet.note('nobody is at work');
      for (let victims = 2 + below(fleetSize); victims > 0; victims -= 1) {
        await delay(below(200));
        // The oldest is likely to be at work; others may be just about to join, or to load.
        fleet.kill(below(5) === 0 ? below(fleetSize) : 0);
      }
      const isDue = fleet.kills >= ((4 - events.length) * killsMin) / 4;
      if (isDue) await events.shift()?.();
    }
    fleet.note('the killing is over');
  }

  /** Stops the fleet as a user does; then one archiver takes what is left, in good weather. */
  async function finish(): Promise<void> {
    await fleet.until(() => fleet.members.every(({ hasJoined }) => hasJoined));
    const codes = await Promise.all(fleet.members.map((each) => each.end('SIGTERM')));
    expect(codes).toEqual(fleet.members.map(() => 0));
    const settings = { S3_ENDPOINT: bucket.endpoint, S3_TIMEOUT_MS: '30000' };
    const last = fleet.start(['--once', '--json'], settings);
    expect(await last.exit()).toBe(0);
    fleet.note(`the last one has archived what was left: ${last.stdout.trim()}`);
  }

  /** Coordinates of the records that were kept aside because they cannot be decoded. */
  async function readLetters(): Promise<string[]> {
    const keys = (await keysUnder(bucket.store, '_dead/')).filter((key) => key.endsWith('.json'));
    const texts = await Promise.all(keys.map((key) => bucket.store.get(key)));
    return texts.map((bytes) => {
      const reason = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, string>;
      return `${reason['topic']}/${reason['partition']}/${reason['offset']}`;
    });
  }

  async function judge(acknowledged: ReadonlySet<string>): Promise<void> {
    const keys = await readTopics(kafka.client, admin, Object.values(topics));
    expect([...acknowledged].filter((record) => !keys.has(record))).toEqual([]);
    const counts = [...keys].map(([record, key]) => [record, Number(key.split('-')[1])] as const);
    const expected = counts
      .filter(([, count]) => count > 0)
      .map(([record, count]) => [record, Array.from({ length: count }, (_, at) => at).join(' ')]);
    const dead = counts.filter(([, count]) => count === 0).map(([record]) => record);
    const { ledger, ...figures } = await readCommittedFiles(bucket.store);
    const { kills, killsAtWork, conflicts } = fleet;
    const faults = Object.fromEntries(outage.counts);
    const all = { kills, killsAtWork, conflicts, ...figures, faults };
    fleet.note(`the books are read: ${JSON.stringify(all)}`);
    const wrong = expected.filter(([record = '', items]) => ledger.get(record) !== items);
    expect(wrong.slice(0, 10)).toEqual([]);
    expect(ledger.size).toBe(expected.length);
    expect((await readLetters()).toSorted()).toEqual(dead.toSorted());
    expect(killsAtWork).toBeGreaterThanOrEqual(kills / 8);
    expect(figures.rows).toBeGreaterThan(20 * killsMin);
  }

  it(
    `lose nothing and write nothing twice, killed ${killsMin} times and more`,
    { timeout: 900_000 },
    async () => {
      console.info(`seed ${seed}`);
      const stop = new AbortController();
      const produced = produce(producer, stop.signal);
      try {
        await killAll();
      } finally {
        stop.abort();
      }
      const acknowledged = await produced;
      await finish();
      await judge(acknowledged);
      isGood = true;
    },
  );
});
