/**
 * The gateway's connections to Kafka, opened when they are first needed and again after a failure, so
 * that the gateway starts, and says that it is not ready, while Kafka is away.
 */
import type { Kafka, KafkaAdmin, KafkaProducer } from '../clients/kafka/kafka.ts';

/** Opens and shares one producer and one admin client. Every method throws `KafkaError`. */
export class Connection {
  readonly #kafka: Kafka;
  #producer: Promise<KafkaProducer> | undefined;
  #admin: Promise<KafkaAdmin> | undefined;
  #clusterId: Promise<string> | undefined;

  constructor(kafka: Kafka) {
    this.#kafka = kafka;
  }

  producer(): Promise<KafkaProducer> {
    return (this.#producer ??= this.#kafka.openProducer().catch((error: unknown) => {
      this.#producer = undefined;
      throw error;
    }));
  }

  admin(): Promise<KafkaAdmin> {
    return (this.#admin ??= this.#kafka.openAdmin().catch((error: unknown) => {
      this.#admin = undefined;
      throw error;
    }));
  }

  /** Asked once: a cluster does not change its name. */
  clusterId(): Promise<string> {
    return (this.#clusterId ??= this.#askClusterId().catch((error: unknown) => {
      this.#clusterId = undefined;
      throw error;
    }));
  }

  /** Whether Kafka answers now. */
  async check(): Promise<void> {
    await this.#askClusterId();
    await this.producer();
  }

  /** Waits for calls under way. */
  async close(): Promise<void> {
    const clients = await Promise.allSettled([this.#producer, this.#admin]);
    for (const client of clients) {
      if (client.status === 'fulfilled') await client.value?.close();
    }
  }

  async #askClusterId(): Promise<string> {
    return (await this.admin()).clusterId();
  }
}
