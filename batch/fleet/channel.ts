/**
 * The fleet's two topics: tasks, and what nobody can compute. Makes them where they are missing, and
 * sends; reads neither.
 */
import {
  deadTaskRetentionMs,
  taskRetentionMs,
  tasksPerRequest,
} from '../../schemas/limits/fleet.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { ShardTask } from '../../schemas/task.ts';
import type { KafkaRecord } from '../../workers/clients/kafka/consumer.ts';
import type { Kafka, KafkaAdmin, KafkaProducer } from '../../workers/clients/kafka/kafka.ts';

export type ChannelSettings = Pick<
  Settings,
  'TIDEMARK_TASK_TOPIC' | 'TIDEMARK_TASK_PARTITIONS' | 'TIDEMARK_TASK_GROUP'
>;

/** Where a task lies. */
export interface TaskPlace {
  readonly partition: number;
  readonly offset: bigint;
}

/** What lies in the topic of dead letters, beside the record's own value. */
export interface DeadLetter {
  readonly value: Uint8Array | null;
  readonly reason: string;
  /** Where it came from, such as `tidemark_batch_tasks/3/17`, or the coordinator's name. */
  readonly origin: string;
}

/** Lets Kafka choose the number of replicas, by the default of its brokers. */
const brokersDefault = -1;

/** The topic that the settings' tasks go to when they are dead. */
export function deadTopic({ TIDEMARK_TASK_TOPIC }: ChannelSettings): string {
  return `${TIDEMARK_TASK_TOPIC}_dead`;
}

/** Connections to one fleet's topics. */
export class Channel {
  readonly admin: KafkaAdmin;
  readonly topic: string;
  readonly #producer: KafkaProducer;
  readonly #deadTopic: string;
  readonly #now: () => number;
  readonly #partitions: readonly number[];

  /**
   * Connects, and makes the topics that are missing. `now` gives the time in ms since 1970. Throws
   * `KafkaError`.
   */
  static async open(kafka: Kafka, settings: ChannelSettings, now: () => number): Promise<Channel> {
    const admin = await kafka.openAdmin();
    try {
      await createTopics(admin, settings);
      const partitions = await admin.partitions(settings.TIDEMARK_TASK_TOPIC);
      return new Channel(settings, {
        admin,
        producer: await kafka.openProducer(),
        partitions,
        now,
      });
    } catch (error) {
      await admin.close().catch(() => undefined);
      throw error;
    }
  }

  private constructor(
    settings: ChannelSettings,
    parts: {
      readonly admin: KafkaAdmin;
      readonly producer: KafkaProducer;
      readonly partitions: readonly number[];
      readonly now: () => number;
    },
  ) {
    this.admin = parts.admin;
    this.topic = settings.TIDEMARK_TASK_TOPIC;
    this.#deadTopic = deadTopic(settings);
    this.#producer = parts.producer;
    this.#partitions = parts.partitions;
    this.#now = parts.now;
  }

  /** The partition for the `turn`-th task of anything: neighbours go to different workers. */
  partitionOf(turn: number): number {
    return this.#partitions[turn % this.#partitions.length] ?? 0;
  }

  /** Sends tasks of one partition; returns where each lies. Throws `KafkaError`. */
  async send(partition: number, tasks: readonly ShardTask[]): Promise<TaskPlace[]> {
    const places: TaskPlace[] = [];
    for (let at = 0; at < tasks.length; at += tasksPerRequest) {
      const part = tasks.slice(at, at + tasksPerRequest);
      const { firstOffset } = await this.#producer.produce({
        topic: this.topic,
        partition,
        records: part.map((task) => ({
          key: Buffer.from(`${task.computation}/${task.attempt}`),
          value: Buffer.from(JSON.stringify(task)),
          timestampMs: this.#now(),
        })),
      });
      places.push(...part.map((_, index) => ({ partition, offset: firstOffset + BigInt(index) })));
    }
    return places;
  }

  /** Puts what nobody can compute aside, with the reason. Throws `KafkaError`. */
  async bury({ value, reason, origin }: DeadLetter): Promise<void> {
    const headers = {
      'tidemark-reason': Buffer.from(reason),
      'tidemark-origin': Buffer.from(origin),
    };
    const body = value === null ? null : Buffer.from(value);
    const records = [{ key: null, value: body, headers, timestampMs: this.#now() }];
    await this.#producer.produce({ topic: this.#deadTopic, partition: 0, records });
  }

  /** How far the group's workers are: offsets below have been dealt with, or are gone. */
  async progress(groupId: string): Promise<ReadonlyMap<number, bigint>> {
    const [committed, offsets] = await Promise.all([
      this.admin.committed(groupId, this.topic),
      this.admin.offsets(this.topic),
    ]);
    return new Map(
      offsets.map(({ partition, low }) => {
        const own = committed.get(partition) ?? 0n;
        return [partition, own > low ? own : low] as const;
      }),
    );
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#producer.close(), this.admin.close()]);
  }
}

/** A topic that somebody made stays as it is. */
async function createTopics(admin: KafkaAdmin, settings: ChannelSettings): Promise<void> {
  await admin.createTopics([
    {
      topic: settings.TIDEMARK_TASK_TOPIC,
      partitions: settings.TIDEMARK_TASK_PARTITIONS,
      replicas: brokersDefault,
      config: { 'retention.ms': String(taskRetentionMs) },
    },
    {
      topic: deadTopic(settings),
      partitions: 1,
      replicas: brokersDefault,
      config: { 'retention.ms': String(deadTaskRetentionMs) },
    },
  ]);
}

/** Where a record was read, for people. */
export function originOf(topic: string, partition: number, { offset }: KafkaRecord): string {
  return `${topic}/${partition}/${offset}`;
}
