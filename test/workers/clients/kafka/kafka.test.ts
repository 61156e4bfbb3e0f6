/** Tests of the Kafka client against a real broker: round trips, groups, and a broker that goes away. */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TidemarkError } from '../../../../schemas/errors.ts';
import { readSettings } from '../../../../schemas/settings.ts';
import { openKafka } from '../../../../workers/clients/kafka/kafka.ts';
import type { KafkaAdmin, KafkaProducer } from '../../../../workers/clients/kafka/kafka.ts';
import type {
  ConsumeHandler,
  KafkaBatch,
  KafkaConsumer,
  KafkaRecord,
  TopicPartition,
} from '../../../../workers/clients/kafka/consumer.ts';
import { produceByJava } from '../../../support/java.ts';
import { noKafka, startTestKafka } from '../../../support/kafka.ts';
import type { TestKafka } from '../../../support/kafka.ts';

const silent = pino({ level: 'silent' });

/** Keeps what a member is given. */
class Reader implements ConsumeHandler {
  readonly taken: (KafkaRecord & TopicPartition)[] = [];
  readonly batches: KafkaBatch[] = [];
  readonly revokedFrom: TopicPartition[] = [];
  readonly faults: TidemarkError[] = [];
  readonly starts = new Map<number, bigint>();

  assigned({ partition }: TopicPartition): Promise<bigint> {
    return Promise.resolve(this.starts.get(partition) ?? 0n);
  }

  revoked(partition: TopicPartition): void {
    this.revokedFrom.push(partition);
  }

  records(batch: KafkaBatch): void {
    const { topic, partition } = batch;
    this.batches.push(batch);
    for (const record of batch.records) this.taken.push({ ...record, topic, partition });
  }

  failed(error: TidemarkError): void {
    this.faults.push(error);
  }

  get offsets(): number[] {
    return this.taken.map(({ offset }) => Number(offset));
  }
}

async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await pause(20);
}

describe('openKafka()', () => {
  it.each([
    ['', 'KAFKA_BROKERS'],
    ['localhost', 'KAFKA_BROKERS'],
    ['a:9092,b:0', 'KAFKA_BROKERS'],
    ['http://a:9092', 'KAFKA_BROKERS'],
  ])('refuses KAFKA_BROKERS=%j', (KAFKA_BROKERS, setting) => {
    const settings = readSettings({ KAFKA_BROKERS });
    expect(() => openKafka(settings, silent)).toThrow(
      expect.objectContaining({ setting }) as Error,
    );
  });

  it('takes several brokers and IPv6 addresses', () => {
    const settings = readSettings({ KAFKA_BROKERS: 'kafka-1.example:9092, [::1]:9093' });
    expect(openKafka(settings, silent)).toBeDefined();
  });

  it('refuses to log in without a password, and does not write it anywhere', () => {
    const settings = readSettings({
      KAFKA_BROKERS: 'a:9092',
      KAFKA_SASL_MECHANISM: 'plain',
      KAFKA_SASL_USERNAME: 'edge',
    });
    expect(() => openKafka(settings, silent)).toThrow('user or password is empty');
  });

  it('fails with a retryable error where nobody listens', async () => {
    const client = openKafka(readSettings({ KAFKA_BROKERS: '127.0.0.1:1' }), silent);
    const fault = { code: 'KAFKA', kafkaType: 'CONNECTION', retryable: true };
    await expect(client.openProducer()).rejects.toMatchObject(fault);
    await expect(client.openAdmin()).rejects.toMatchObject(fault);
    const handler = new Reader();
    await expect(client.consume({ groupId: 'g', topics: ['t'], handler })).rejects.toMatchObject(
      fault,
    );
  });
});

describe.skipIf(noKafka)('on a real broker', () => {
  let kafka: TestKafka;
  let admin: KafkaAdmin;
  let producer: KafkaProducer;

  beforeAll(async () => {
    kafka = await startTestKafka();
    [admin, producer] = await Promise.all([kafka.client.openAdmin(), kafka.client.openProducer()]);
  }, 360_000);

  afterAll(async () => {
    await Promise.all([producer.close(), admin.close()]);
    await kafka.close();
  });

  const topicOf = async (topic: string, partitions = 1, config: Record<string, string> = {}) => {
    await admin.createTopics([{ topic, partitions, config }]);
    return topic;
  };
  const write = (topic: string, count: number, partition = 0) =>
    producer.produce({
      topic,
      partition,
      records: Array.from({ length: count }, (_, index) => ({
        key: Buffer.from(`k${index}`),
        value: Buffer.from(`v${index}`),
        timestampMs: 1_700_000_000_000 + index,
      })),
    });
  const read = (topic: string, handler: Reader, groupId = `group-${topic}`) =>
    kafka.client.consume({ groupId, topics: [topic], handler });

  it('admin creates what is missing, names partitions and offsets, knows the cluster', async () => {
    await topicOf('admin-a', 3);
    const created = await admin.createTopics([
      { topic: 'admin-a', partitions: 5 },
      { topic: 'admin-b', partitions: 2 },
    ]);
    expect(created).toEqual(['admin-b']);
    expect(await admin.topics()).toEqual(expect.arrayContaining(['admin-a', 'admin-b']));
    expect(await admin.partitions('admin-a')).toEqual([0, 1, 2]);
    await write('admin-b', 4, 1);
    expect(await admin.offsets('admin-b')).toEqual([
      { partition: 0, low: 0n, high: 0n },
      { partition: 1, low: 0n, high: 4n },
    ]);
    expect(await admin.clusterId()).toBe('VGlkZW1hcmtFbWJlZGRlZA');
    await expect(admin.partitions('nobody-made-it')).rejects.toMatchObject({
      kafkaType: 'UNKNOWN_TOPIC_OR_PARTITION',
    });
  });

  it.each(['none', 'gzip', 'zstd'] as const)(
    'produce() and consume() give keys, values and headers back bit by bit (%s)',
    async (compression) => {
      const topic = await topicOf(`bits-${compression}`);
      // All byte values, nothing, null, what compresses well and what does not.
      const values = [
        Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
        Buffer.alloc(0),
        null,
        Buffer.alloc(900_000, 'tidemark '),
        randomBytes(50_000),
      ];
      const key = Buffer.from([0, 255, 128]);
      const headers = { tenant: Buffer.from('ü'), raw: Buffer.from([0, 200]) };
      const records = values.map((value) => ({ key, value, headers, timestampMs: 1 }));
      const beforeMs = Date.now();
      const produced = await producer.produce({ topic, partition: 0, records, compression });
      expect(produced.firstOffset).toBe(0n);
      const reader = new Reader();
      const member = await read(topic, reader);
      await until(() => reader.taken.length === values.length);
      await member.stop();
      for (const [index, value] of values.entries()) {
        const taken = reader.taken[index]?.value;
        expect(value === null ? taken === null : taken?.equals(value), `${index}`).toBe(true);
      }
      expect(reader.taken.every((record) => record.key?.equals(key))).toBe(true);
      expect(reader.taken[0]?.headers).toEqual(headers);
      expect(reader.offsets).toEqual([0, 1, 2, 3, 4]);
      // Broker time, not the producer's: LogAppendTime.
      const [first] = reader.taken;
      expect(first?.timestampMs).toBe(produced.appendedMs);
      expect(first?.timestampMs).toBeGreaterThanOrEqual(beforeMs);
      expect(reader.batches.at(-1)).toMatchObject({ nextOffset: 5n, highWatermark: 5n });
    },
  );

  it('zstd batches are what is stored: 900 kB of one text take few bytes', async () => {
    const topic = await topicOf('small', 1, { 'max.message.bytes': '2000' });
    const value = Buffer.alloc(900_000, 'tidemark ');
    const records = [{ key: null, value, timestampMs: 1 }];
    await expect(producer.produce({ topic, partition: 0, records })).resolves.toBeDefined();
    await expect(
      producer.produce({ topic, partition: 0, records, compression: 'none' }),
    ).rejects.toMatchObject({ kafkaType: 'MESSAGE_TOO_LARGE', retryable: false });
  });

  it('consume() gives back what the Java producer wrote, with every compression', async () => {
    const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
    const compressions = Object.fromEntries(codecs.map((codec) => [`java-${codec}`, codec]));
    for (const topic of Object.keys(compressions)) await topicOf(topic);
    const values = [
      Buffer.alloc(300_000, 'tidemark '),
      randomBytes(100_000),
      Buffer.alloc(0),
      ...Array.from({ length: 500 }, (_, index) => Buffer.from(`value ${index}`)),
    ];
    await produceByJava(kafka.brokers, compressions, values);
    for (const topic of Object.keys(compressions)) {
      const reader = new Reader();
      const member = await read(topic, reader);
      await until(() => reader.taken.length === values.length);
      await member.stop();
      const wrong = reader.taken.filter(
        ({ value }, index) => !value?.equals(values[index] ?? randomBytes(1)),
      );
      expect(wrong, topic).toEqual([]);
      expect(reader.faults).toEqual([]);
    }
  }, 60_000);

  it('consume() begins where it is told, goes to any offset, and holds still when paused', async () => {
    const topic = await topicOf('seek');
    await write(topic, 10);
    const reader = new Reader();
    reader.starts.set(0, 7n);
    const member = await read(topic, reader);
    const place = { topic, partition: 0 };
    await until(() => reader.taken.length === 3);
    expect(reader.offsets).toEqual([7, 8, 9]);
    member.seek(place, 2n);
    await until(() => reader.taken.length === 11);
    expect(reader.offsets.slice(3)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    member.pause(place);
    await write(topic, 2);
    await pause(700);
    expect(reader.taken.length).toBe(11);
    member.resume(place);
    await until(() => reader.taken.length === 13);
    expect(reader.offsets.slice(11)).toEqual([10, 11]);
    expect(member.assignment()).toEqual([place]);
    await member.stop();
    expect(reader.revokedFrom).toEqual([place]);
    expect(reader.faults).toEqual([]);
  });

  it('consume() shares partitions out; nothing is lost or doubled when a member comes and goes', async () => {
    const topic = await topicOf('shared', 4);
    for (const partition of [0, 1, 2, 3]) await write(topic, 5, partition);
    const first = new Reader();
    const memberOne = await read(topic, first);
    await until(() => first.taken.length === 20);
    expect(memberOne.assignment().length).toBe(4);
    const second = new Reader();
    for (const partition of [0, 1, 2, 3]) second.starts.set(partition, 5n);
    const memberTwo = await read(topic, second);
    await until(() => memberOne.assignment().length === 2 && memberTwo.assignment().length === 2);
    expect(first.revokedFrom.length).toBe(2);
    for (const partition of [0, 1, 2, 3]) await write(topic, 3, partition);
    await until(() => first.taken.length + second.taken.length === 32);
    for (const partition of [0, 1, 2, 3]) first.starts.set(partition, 8n);
    await memberTwo.stop();
    await until(() => memberOne.assignment().length === 4);
    for (const partition of [0, 1, 2, 3]) await write(topic, 1, partition);
    await until(() => first.taken.length + second.taken.length === 36);
    await memberOne.stop();
    const places = [...first.taken, ...second.taken].map((r) => `${r.partition}/${r.offset}`);
    expect(new Set(places).size).toBe(36);
  });

  it('consume() tells when the caller cannot say where to begin, and begins at a later seek', async () => {
    const topic = await topicOf('nowhere');
    await write(topic, 2);
    const reader = new Reader();
    reader.assigned = () => Promise.reject(new Error('no commit log'));
    const member = await read(topic, reader);
    await until(() => reader.faults.length > 0);
    expect(reader.taken).toEqual([]);
    member.seek({ topic, partition: 0 }, 1n);
    await until(() => reader.taken.length === 1);
    expect(reader.offsets).toEqual([1]);
    await member.stop();
  });

  it('a producer and a member go on after the broker was killed and came back', async () => {
    const topic = await topicOf('crash');
    await write(topic, 2);
    const reader = new Reader();
    const member: KafkaConsumer = await read(topic, reader);
    await until(() => reader.taken.length === 2);
    // A member that comes back under a new name asks again where to begin.
    reader.starts.set(0, 2n);
    await kafka.kill();
    const startMs = performance.now();
    await expect(write(topic, 1)).rejects.toMatchObject({ code: 'KAFKA', retryable: true });
    expect(performance.now() - startMs).toBeLessThan(30_000);
    await kafka.restart();
    const late = await write(topic, 3).catch(() => write(topic, 3));
    expect(late.firstOffset).toBe(2n);
    await until(() => reader.taken.length >= 5);
    expect(reader.offsets).toEqual([0, 1, 2, 3, 4]);
    await member.stop();
  }, 120_000);
});
