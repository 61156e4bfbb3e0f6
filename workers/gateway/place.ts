/** Knows the partitions of topics for a while, and picks one for each record. Never creates a topic. */
import { KafkaError, RestError } from '../../schemas/errors.ts';
import { gatewayTopicFreshMs, gatewayTopicsMax } from '../../schemas/limits/kafka.ts';
import type { GatewayRecord } from './record.ts';

export interface PlacerOptions {
  /** Partitions of a topic, ascending. Throws `KafkaError`. */
  readonly partitions: (topic: string) => Promise<number[]>;
  /** Index for a key among so many partitions, as Kafka's Java clients place it. */
  readonly indexOf: (key: Buffer, partitionCount: number) => number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Picks a partition for each record of one request. Throws `RestError` for one that is not there. */
export type Pick = (record: GatewayRecord) => number;

/** Kafka's own rule for names of topics. */
const topicPattern = /^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/;

/** Remembers topics that exist; those that do not are looked up every time. */
export class Placer {
  readonly #options: PlacerOptions;
  readonly #topics = new Map<string, { readonly partitions: number[]; readonly untilMs: number }>();
  #turn = 0;

  constructor(options: PlacerOptions) {
    this.#options = options;
  }

  /**
   * Where the records of a request to `topic` go: where they ask to, else by key, else together to
   * a partition that changes from request to request. Throws `RestError` 404 with `errorCode` for a
   * topic that is not there, and `KafkaError`.
   */
  async picker(topic: string, errorCode: number): Promise<Pick> {
    const partitions = await this.#partitions(topic, errorCode);
    this.#turn = (this.#turn + 1) % 1_000_000;
    const keyless = partitions[this.#turn % partitions.length] ?? 0;
    return ({ partition, key }) => {
      if (partition !== undefined) {
        if (partitions.includes(partition)) return partition;
        throw new RestError(404, 40_402, `Partition ${partition} not found`);
      }
      if (key === null) return keyless;
      return partitions[this.#options.indexOf(key, partitions.length)] ?? keyless;
    };
  }

  async #partitions(topic: string, errorCode: number): Promise<number[]> {
    const known = this.#topics.get(topic);
    const nowMs = this.#options.now();
    if (known && known.untilMs > nowMs) return known.partitions;
    const partitions = topicPattern.test(topic) ? await this.#look(topic) : [];
    if (partitions.length === 0) throw new RestError(404, errorCode, `Topic ${topic} not found`);
    if (this.#topics.size >= gatewayTopicsMax) this.#topics.clear();
    this.#topics.set(topic, { partitions, untilMs: nowMs + gatewayTopicFreshMs });
    return partitions;
  }

  async #look(topic: string): Promise<number[]> {
    try {
      return await this.#options.partitions(topic);
    } catch (error) {
      const isUnknown =
        error instanceof KafkaError && error.kafkaType === 'UNKNOWN_TOPIC_OR_PARTITION';
      if (isUnknown) return [];
      throw error;
    }
  }
}
