/**
 * Kafka as the programs use it: produce, administer, consume; over kafkajs, which nothing else
 * imports. Errors are `KafkaError`s that say whether another try may help; the library's log lines
 * go to ours. Producers wait for all in-sync replicas and are not idempotent: the library reuses
 * sequence numbers after a failed call, and a broker would take the next batch for a repetition and
 * acknowledge what it drops. A record may therefore be stored twice; the batch layer removes that.
 */
import kafkajs from 'kafkajs';
import type {
  Admin,
  ConsumerConfig,
  Kafka as Client,
  KafkaConfig,
  Producer,
  RetryOptions,
} from 'kafkajs';
import pRetry from 'p-retry';
import { KafkaError } from '../../../schemas/errors.ts';
import * as limits from '../../../schemas/limits/kafka.ts';
import { gzip, lz4, snappy, zstd } from '../codecs/codecs.ts';
import { heartbeatMsOf, startConsumer } from './consumer.ts';
import type { ConsumeOptions, KafkaConsumer } from './consumer.ts';
import { attempt } from './fault.ts';
import { groupCalls } from './group.ts';
import type { GroupCalls } from './group.ts';
import type { OpenConsumer } from './life.ts';
import { loginOf } from './login.ts';
import type { KafkaLog, KafkaSettings } from './login.ts';
import { openSockets } from './socket.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

export interface OutgoingRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, Buffer | Buffer[]>>;
  /** Ms since 1970; topics with `LogAppendTime` ignore it. */
  readonly timestampMs: number;
}

export interface ProduceRequest {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly OutgoingRecord[];
  /** @default 'zstd' */
  readonly compression?: Compression;
}

/** Where the records of one request lie. */
export interface Produced {
  /** Offset of the first; the others follow without a gap. */
  readonly firstOffset: bigint;
  /** The broker's time in topics with `LogAppendTime`, else `undefined`. Ms since 1970. */
  readonly appendedMs: number | undefined;
}

export interface KafkaProducer {
  /**
   * Stores the records as one batch, all or none, on all in-sync replicas. Throws `KafkaError`:
   * when it is retryable the records may be stored nevertheless.
   */
  produce(request: ProduceRequest): Promise<Produced>;
  /** Waits for what is under way. */
  close(): Promise<void>;
}

export interface TopicOptions {
  readonly topic: string;
  readonly partitions: number;
  /** @default 1 */
  readonly replicas?: number;
  /** Settings of the topic, such as `retention.ms`. Time stamps are the broker's anyhow. */
  readonly config?: Readonly<Record<string, string>>;
}

export interface PartitionOffsets {
  readonly partition: number;
  /** Offset of the oldest record. */
  readonly low: bigint;
  /** Offset of the next record to be written. */
  readonly high: bigint;
}

/** Every method throws `KafkaError` once its tries are spent. */
export interface KafkaAdmin extends GroupCalls {
  clusterId(): Promise<string>;
  /** Names of all topics but Kafka's own, sorted. */
  topics(): Promise<string[]>;
  /** Numbers of a topic's partitions, ascending. Throws UNKNOWN_TOPIC_OR_PARTITION. */
  partitions(topic: string): Promise<number[]>;
  /** Oldest and next offset of each partition. */
  offsets(topic: string): Promise<PartitionOffsets[]>;
  /**
   * Resolves when the group has a coordinator that serves it. A fresh cluster makes one with the
   * first question, and a broker that comes back loads it; members that join meanwhile are turned
   * away.
   */
  groupReady(groupId: string, topic: string): Promise<void>;
  /** Creates those that are not there; returns their names. Others keep what they have. */
  createTopics(topics: readonly TopicOptions[]): Promise<string[]>;
  close(): Promise<void>;
}

/** One cluster. Nothing is sent before the first call. */
export interface Kafka {
  openProducer(): Promise<KafkaProducer>;
  openAdmin(): Promise<KafkaAdmin>;
  consume(options: ConsumeOptions): Promise<KafkaConsumer>;
}

const { CompressionTypes } = kafkajs;
const compressionTypes = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  zstd: CompressionTypes.ZSTD,
};

const partitioner = kafkajs.Partitioners.DefaultPartitioner();

/** Calls that a user waits for: given up after about the time-out of one request. */
const briefly: RetryOptions = {
  retries: limits.kafkaTriesMax - 1,
  initialRetryTime: limits.kafkaRetryMs,
  maxRetryTime: limits.kafkaRetryMsMax,
};

/**
 * Calls of a member: through a restart of its broker, because under a new name it would have to wait
 * until the group takes its old one for dead. When they do not help, `consumer.ts` starts over.
 */
const patiently: NonNullable<ConsumerConfig['retry']> = {
  retries: limits.kafkaMemberTriesMax - 1,
  initialRetryTime: limits.kafkaRetryMs,
  maxRetryTime: limits.kafkaMemberRetryMsMax,
  restartOnFailure: () => Promise.resolve(false),
};

/** Makes a client of the cluster. Throws `SettingError` when the settings name none. */
export function openKafka(settings: KafkaSettings, log: KafkaLog): Kafka {
  const codecs = kafkajs.CompressionCodecs;
  codecs[CompressionTypes.GZIP] = () => gzip;
  codecs[CompressionTypes.Snappy] = () => snappy;
  codecs[CompressionTypes.LZ4] = () => lz4;
  codecs[CompressionTypes.ZSTD] = () => zstd;
  const login = loginOf(settings, log);
  const openAdmin = () => startAdmin(openClient(login));
  return {
    openAdmin,
    openProducer: () => startProducer(openClient(login)),
    async consume(options) {
      const admin = await openAdmin();
      await admin.groupReady(options.groupId, options.topics[0] ?? '').catch(async (error) => {
        await admin.close();
        throw error;
      });
      return startConsumer(() => openConsumer(login, options), options, {
        async oldest({ topic, partition }) {
          const all = await admin.offsets(topic);
          return all.find((offsets) => offsets.partition === partition)?.low ?? 0n;
        },
        close: () => admin.close(),
      });
    },
  };
}

interface OpenClient {
  readonly client: Client;
  /** Cuts all connections; calls under way fail. */
  readonly cut: () => void;
}

/**
 * For one admin or producer. The library forgets a connection that comes about while it takes its
 * leave, or after a call to connect has failed; the process would not end for it.
 */
function openClient(login: KafkaConfig): OpenClient {
  const sockets = openSockets();
  const [socketFactory, requestTimeout] = [sockets.open, limits.kafkaRequestMs];
  const client = new kafkajs.Kafka({ ...login, socketFactory, requestTimeout, retry: briefly });
  return { client, cut: () => sockets.close() };
}

/**
 * Asks the brokers whether they let us in. Throws `KafkaError` AUTHENTICATION or TLS when they, or
 * we, refuse; returns when they do not answer now, because that may pass.
 */
export async function assertLogin(kafka: Kafka): Promise<void> {
  try {
    const admin = await kafka.openAdmin();
    await admin.close();
  } catch (error) {
    if (!(error instanceof KafkaError) || !error.retryable) throw error;
  }
}

/** A consumer with connections of its own: what has befallen others is not its. */
function openConsumer(login: KafkaConfig, options: ConsumeOptions): OpenConsumer {
  const sockets = openSockets();
  const sessionTimeout = options.sessionMs ?? limits.kafkaSessionMs;
  // The library has no time-out of its own for SyncGroup, which waits as long as JoinGroup.
  const requestTimeout = sessionTimeout + limits.kafkaPatienceMs;
  const socketFactory = sockets.open;
  const client = new kafkajs.Kafka({ ...login, socketFactory, requestTimeout, retry: patiently });
  const consumer = client.consumer({
    groupId: options.groupId,
    allowAutoTopicCreation: false,
    sessionTimeout,
    heartbeatInterval: heartbeatMsOf(options),
    rebalanceTimeout: sessionTimeout,
    ...fetchBytesOf(options),
    maxWaitTimeInMs: options.waitMsMax ?? limits.kafkaFetchWaitMs,
    retry: patiently,
  });
  return { consumer, cut: () => sockets.close() };
}

/** Which of `partitionCount` partitions a key belongs to, by the rule of Kafka's Java clients. */
export function partitionIndex(key: Buffer, partitionCount: number): number {
  const partitionMetadata = Array.from({ length: partitionCount }, (_, partitionId) => ({
    partitionId,
    partitionErrorCode: 0,
    leader: 0,
    replicas: [],
    isr: [],
  }));
  return partitioner({ topic: '', partitionMetadata, message: { key, value: null } });
}

function fetchBytesOf({ fetchBytesMax = limits.kafkaFetchBytes }: ConsumeOptions) {
  const maxBytesPerPartition = Math.min(limits.kafkaFetchBytesPerPartition, fetchBytesMax);
  return { maxBytes: fetchBytesMax, maxBytesPerPartition };
}

async function startProducer({ client, cut }: OpenClient): Promise<KafkaProducer> {
  const producer = client.producer({
    allowAutoTopicCreation: false,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    retry: briefly,
  });
  await connected(producer, cut);
  return {
    produce: (request) =>
      attempt(`Cannot produce to ${request.topic}/${request.partition}`, () =>
        produce(producer, request),
      ),
    close: () => disconnected(producer, cut),
  };
}

async function connected(part: Admin | Producer, cut: () => void): Promise<void> {
  try {
    await attempt('Cannot connect to Kafka', () => part.connect());
  } catch (error) {
    cut();
    throw error;
  }
}

async function disconnected(part: Admin | Producer, cut: () => void): Promise<void> {
  try {
    await attempt('Cannot disconnect from Kafka', () => part.disconnect());
  } finally {
    cut();
  }
}

async function produce(producer: Producer, request: ProduceRequest): Promise<Produced> {
  const { topic, partition, records, compression = 'zstd' } = request;
  const [result] = await producer.send({
    topic,
    acks: -1,
    timeout: limits.kafkaAcksMs,
    compression: compressionTypes[compression],
    messages: records.map(({ key, value, headers, timestampMs }) => ({
      key,
      value,
      partition,
      timestamp: String(timestampMs),
      ...(headers && { headers: { ...headers } }),
    })),
  });
  if (!result || result.partition !== partition || result.baseOffset === undefined) {
    throw new KafkaError('CLIENT', `Cannot produce to ${topic}/${partition}: no offset came back`);
  }
  const appendedMs = Number(result.logAppendTime ?? -1);
  return {
    firstOffset: BigInt(result.baseOffset),
    appendedMs: appendedMs < 0 ? undefined : appendedMs,
  };
}

async function startAdmin({ client, cut }: OpenClient): Promise<KafkaAdmin> {
  const admin = client.admin({ retry: briefly });
  await connected(admin, cut);
  return {
    clusterId: () =>
      attempt('Cannot describe the Kafka cluster', async () => {
        return (await admin.describeCluster()).clusterId;
      }),
    topics: () =>
      attempt('Cannot list topics', async () => {
        const names = await admin.listTopics();
        return names.filter((name) => !name.startsWith('__')).toSorted();
      }),
    partitions: (topic) =>
      attempt(`Cannot look up topic ${topic}`, async () => {
        const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
        const partitions = topics[0]?.partitions ?? [];
        return partitions.map(({ partitionId }) => partitionId).toSorted((a, b) => a - b);
      }),
    offsets: (topic) =>
      attempt(`Cannot read the offsets of ${topic}`, async () => {
        const all = await admin.fetchTopicOffsets(topic);
        return all
          .map(({ partition, low, high }) => ({ partition, low: BigInt(low), high: BigInt(high) }))
          .toSorted((a, b) => a.partition - b.partition);
      }),
    groupReady: (groupId, topic) =>
      again(
        () =>
          attempt(`Cannot find the coordinator of group ${groupId}`, async () => {
            await admin.fetchOffsets({ groupId, topics: [topic] });
          }),
        /COORDINATOR|GROUP_LOAD/,
      ),
    createTopics: (topics) => attempt('Cannot create topics', () => createTopics(admin, topics)),
    ...groupCalls(admin),
    close: () => disconnected(admin, cut),
  };
}

async function createTopics(admin: Admin, wanted: readonly TopicOptions[]): Promise<string[]> {
  const present = new Set(await admin.listTopics());
  const missing = wanted.filter(({ topic }) => !present.has(topic));
  if (missing.length === 0) return [];
  await admin.createTopics({
    waitForLeaders: false,
    topics: missing.map(({ topic, partitions, replicas, config = {} }) => ({
      topic,
      numPartitions: partitions,
      replicationFactor: replicas ?? 1,
      configEntries: Object.entries({ 'message.timestamp.type': 'LogAppendTime', ...config }).map(
        ([name, value]) => ({ name, value }),
      ),
    })),
  });
  const names = missing.map(({ topic }) => topic);
  await again(() => assertLeaders(admin, names), /UNKNOWN_TOPIC|LEADER_NOT_AVAILABLE/);
  return names;
}

/** The cluster's nodes hear of a new topic, and its partitions get their leaders, a moment later. */
async function assertLeaders(admin: Admin, topics: string[]): Promise<void> {
  const metadata = await attempt('Cannot look up new topics', () =>
    admin.fetchTopicMetadata({ topics }),
  );
  const partitions = metadata.topics.flatMap((topic) => topic.partitions);
  if (partitions.every(({ leader }) => leader >= 0)) return;
  throw new KafkaError('LEADER_NOT_AVAILABLE', 'Cannot use new topics: they have no leaders yet', {
    retryable: true,
  });
}

/** Calls again, with growing pauses, while the fault is one of these types. */
function again(call: () => Promise<void>, types: RegExp): Promise<void> {
  return pRetry(call, {
    retries: limits.kafkaMemberTriesMax - 1,
    minTimeout: limits.kafkaRetryMs,
    maxTimeout: limits.kafkaMemberRetryMsMax,
    shouldRetry: ({ error }) => error instanceof KafkaError && types.test(error.kafkaType),
  });
}
