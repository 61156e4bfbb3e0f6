/** A group's member comes back, whatever the way to its real broker does to it. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TidemarkError } from '../../../../schemas/errors.ts';
import type {
  ConsumeHandler,
  KafkaBatch,
  KafkaConsumer,
  Reading,
  TopicPartition,
} from '../../../../workers/clients/kafka/consumer.ts';
import type { KafkaAdmin, KafkaProducer } from '../../../../workers/clients/kafka/kafka.ts';
import { noKafka, startTestKafka } from '../../../support/kafka.ts';
import type { TestKafka } from '../../../support/kafka.ts';
import { apiKeys, startWire } from '../../../support/wire.ts';
import type { Fate, Wire } from '../../../support/wire.ts';

const partitions = 4;
const sessionMs = 4000;

/** Offsets that a member has read, by partition; begins behind what anybody has read before. */
class Reader implements ConsumeHandler {
  readonly faults: TidemarkError[] = [];
  /** What it has heard of its fetches. */
  readonly readings: Reading[] = [];
  onJoin: () => void = () => undefined;
  readonly #read: Map<number, bigint>;

  constructor(read: Map<number, bigint>) {
    this.#read = read;
  }

  assigned({ partition }: TopicPartition): Promise<bigint> {
    return Promise.resolve(this.#read.get(partition) ?? 0n);
  }

  joined(): void {
    this.onJoin();
  }

  reads(reading: Reading): void {
    if (reading !== 'goes on' || this.readings.at(-1) !== reading) this.readings.push(reading);
  }

  revoked(): void {}

  records({ partition, nextOffset }: KafkaBatch): void {
    this.#read.set(partition, nextOffset);
  }

  failed(error: TidemarkError): void {
    this.faults.push(error);
  }
}

/** Offsets that are read, by partition. */
type Read = Map<number, bigint>;

async function until(isDone: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!isDone()) {
    if (performance.now() > endMs) throw new Error(`Not within a minute: ${what}`);
    await pause(20);
  }
}

/** Resolves when somebody has read so many records of all partitions. */
function allRead(read: Read, count: bigint): Promise<void> {
  const nexts = () => Array.from({ length: partitions }, (_, index) => read.get(index) ?? 0n);
  return until(() => nexts().every((next) => next >= count), `${count} of each partition`);
}

describe.skipIf(noKafka)('startConsumer()', () => {
  let wire: Wire;
  let kafka: TestKafka;
  let admin: KafkaAdmin;
  let producer: KafkaProducer;

  beforeAll(async () => {
    wire = await startWire();
    const listener = `127.0.0.1:${wire.port}`;
    kafka = await startTestKafka({
      properties: { 'advertised.listeners': `PLAINTEXT://${listener}` },
      settings: { KAFKA_BROKERS: listener },
    });
    wire.target = kafka.port;
    [admin, producer] = await Promise.all([kafka.client.openAdmin(), kafka.client.openProducer()]);
  }, 360_000);

  afterAll(async () => {
    await Promise.all([producer.close(), admin.close()]);
    await Promise.all([kafka.close(), wire.close()]);
  });

  /** The topic, and the group, of one test. */
  const newTopic = async (topic: string): Promise<string> => {
    await admin.createTopics([{ topic, partitions }]);
    return topic;
  };
  const join = (topic: string, handler: ConsumeHandler): Promise<KafkaConsumer> =>
    kafka.client.consume({ groupId: `${topic}-group`, topics: [topic], handler, sessionMs });
  const write = async (topic: string): Promise<void> => {
    for (let partition = 0; partition < partitions; partition += 1) {
      const records = [{ key: null, value: Buffer.from('v'), timestampMs: 1 }];
      await producer.produce({ topic, partition, records });
    }
  };
  /** Does something to the first `count` answers of this kind to the group or topic. */
  const spoil = (name: string, apiKey: number, count: number, fate: Fate): (() => number) => {
    let seen = 0;
    wire.fates.set(name, (asked) => (asked === apiKey && seen++ < count ? fate : 'pass'));
    return () => seen;
  };

  // A member whose SyncGroup was given up went on with the partitions that it had before; one whose
  // FindCoordinator was, ended for good; and a connection that was cut in an answer, never understood
  // another one. Nothing of it was seen from outside but partitions that nobody read.
  it.concurrent.each([
    ['sync-lost', 'the answer to SyncGroup gets lost', apiKeys.syncGroup, 'swallow'],
    ['sync-cut', 'the connection ends in the answer to SyncGroup', apiKeys.syncGroup, 'reset'],
    ['sync-late', 'the answer to SyncGroup takes 5 s', apiKeys.syncGroup, 5000],
    ['join-lost', 'the answer to JoinGroup gets lost', apiKeys.joinGroup, 'swallow'],
    ['join-cut', 'the connection ends in the answer to JoinGroup', apiKeys.joinGroup, 'reset'],
    ['find-lost', 'the answer to FindCoordinator gets lost', apiKeys.findCoordinator, 'swallow'],
    ['beat-lost', 'the answer to a heartbeat gets lost', apiKeys.heartbeat, 'swallow'],
  ] as const)(
    '(%s) takes the partitions of a member that is gone when %s',
    async (name, _what, apiKey, fate) => {
      const topic = await newTopic(name);
      const read: Read = new Map();
      const first = await join(topic, new Reader(read));
      const second = await join(topic, new Reader(read));
      await until(() => first.assignment().length === 2, 'half of the partitions');
      await write(topic);
      await allRead(read, 1n);
      const seen = spoil(`${topic}-group`, apiKey, 1, fate);
      await second.stop();
      await write(topic);
      await allRead(read, 2n);
      expect(seen()).toBeGreaterThanOrEqual(1);
      expect(first.assignment().length).toBe(partitions);
      await first.stop();
    },
    180_000,
  );

  // Nobody had said yet that it lives in the generation before, so the numbers alone told nothing.
  it.concurrent(
    'takes all partitions when two members leave at once and the connection ends in the last SyncGroup',
    async () => {
      const topic = await newTopic('sync-lost-early');
      const read: Read = new Map();
      const reader = new Reader(read);
      const first = await join(topic, reader);
      const second = await join(topic, new Reader(read));
      const third = await join(topic, new Reader(read));
      // Whose name comes first has two partitions: it may be any of them.
      const shares = () => [first, second, third].map((member) => member.assignment().length);
      await until(() => Math.max(...shares()) === 2 && Math.min(...shares()) === 1, 'a third');
      await write(topic);
      await allRead(read, 1n);
      const left = Promise.withResolvers<() => number>();
      reader.onJoin = () => {
        reader.onJoin = () => undefined;
        void pause(50)
          .then(() => third.stop())
          .then(() => left.resolve(spoil(`${topic}-group`, apiKeys.syncGroup, 1, 'reset')));
      };
      await second.stop();
      const seen = await left.promise;
      await write(topic);
      await allRead(read, 2n);
      expect(seen()).toBeGreaterThanOrEqual(1);
      expect(first.assignment().length).toBe(partitions);
      await first.stop();
    },
    180_000,
  );

  it.concurrent(
    'starts over when nothing is fetched any more, though the group hears from it',
    async () => {
      const topic = await newTopic('deaf');
      const read: Read = new Map();
      const reader = new Reader(read);
      await write(topic);
      const hanging = Promise.withResolvers<undefined>();
      // The library waits for who takes the records, and keeps the member alive meanwhile.
      let hangs = 0;
      const handler: ConsumeHandler = {
        assigned: (place) => reader.assigned(place),
        revoked: () => undefined,
        reads: (reading) => reader.reads(reading),
        failed: (error) => reader.failed(error),
        records: (batch) => (hangs++ === 0 ? hanging.promise : reader.records(batch)),
      };
      const member = await kafka.client.consume({
        groupId: `${topic}-group`,
        topics: [topic],
        handler,
        sessionMs,
        silenceMsMax: 6000,
      });
      await allRead(read, 1n);
      expect(reader.faults.map(({ message }) => message)).toEqual([
        'No fetch has been answered for 6000 ms',
      ]);
      expect(reader.readings.slice(0, 5)).toEqual([
        'begins',
        'goes on',
        'rests',
        'begins',
        'goes on',
      ]);
      hanging.resolve(undefined);
      await member.stop();
      expect(reader.readings.at(-1)).toBe('rests');
    },
    180_000,
  );

  it.concurrent(
    'comes back when the connection ends in the middle of records',
    async () => {
      const topic = await newTopic('fetch-cut');
      const read: Read = new Map();
      await write(topic);
      const member = await join(topic, new Reader(read));
      await allRead(read, 1n);
      const seen = spoil(topic, apiKeys.fetch, 3, 'reset');
      await write(topic);
      await allRead(read, 2n);
      expect(seen()).toBeGreaterThan(3);
      await member.stop();
    },
    180_000,
  );

  it('comes back when the broker is silent for longer than its session', async () => {
    const topic = await newTopic('silence');
    const read: Read = new Map();
    await write(topic);
    const member = await join(topic, new Reader(read));
    await allRead(read, 1n);
    process.kill(kafka.pid, 'SIGSTOP');
    await pause(1.5 * sessionMs);
    process.kill(kafka.pid, 'SIGCONT');
    await write(topic).catch(() => write(topic));
    await allRead(read, 2n);
    await member.stop();
  }, 180_000);
});
