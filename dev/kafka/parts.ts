/**
 * Kafka's part of the embedded stack: the broker, the topics of all signals and the REST gateway that
 * the edge writes to. Starts and stops them in order; supervises each as a program of its own.
 */
import path from 'node:path';
import pino from 'pino';
import { topics } from '../../schemas/archive.ts';
import type { TidemarkError } from '../../schemas/errors.ts';
import type { Settings } from '../../schemas/settings.ts';
import { openKafka } from '../../workers/clients/kafka/kafka.ts';
import type { Child } from '../child.ts';
import { assertPortFree } from '../port.ts';
import { clusterId } from './broker.ts';
import { keepClasses } from './classes.ts';
import { assertJava, kafkaJars } from './jars.ts';
import type { JarOptions } from './jars.ts';

/** Makes a supervised program that says on stdout when it is ready. */
export type MakeChild = (name: string, args: readonly string[]) => Child;

export interface KafkaPartsOptions {
  readonly settings: Settings;
  /** Data directory of the stack. */
  readonly directory: string;
  /** Kafka's jars. */
  readonly jars: string;
  readonly child: MakeChild;
}

const root = path.join(import.meta.dirname, '..', '..');

/** The given settings with the addresses of the embedded Kafka and its gateway. */
export function withKafka(settings: Settings): Settings {
  return {
    ...settings,
    KAFKA_BROKERS: `127.0.0.1:${settings.TIDEMARK_KAFKA_PORT}`,
    KAFKA_REST_URL: `http://127.0.0.1:${settings.TIDEMARK_KAFKA_REST_PORT}`,
    KAFKA_REST_CLUSTER: clusterId,
    TIDEMARK_KAFKA_REST_HOST: '127.0.0.1',
    // Nobody but this stack talks to them.
    KAFKA_TLS: 'off',
    KAFKA_SASL_MECHANISM: 'none',
  };
}

/**
 * Looks whether Kafka can run here, and fetches it if it is not in the cache; returns its jars. Throws
 * PROGRAM_MISSING, PORT_TAKEN, and what the fetching throws.
 */
export async function prepareKafka(settings: Settings, options: JarOptions): Promise<string> {
  await assertJava(options.environment);
  await assertPortFree(settings.TIDEMARK_KAFKA_PORT, 'Kafka', '--kafka-port');
  await assertPortFree(settings.TIDEMARK_KAFKA_REST_PORT, 'Kafka REST', '--kafka-rest-port');
  const cache = settings.TIDEMARK_CACHE;
  const kept = { ...options, ...(cache !== '' && { cache }) };
  const jars = await kafkaJars(kept);
  await keepClasses(jars, kept);
  return jars;
}

/** Broker and gateway. */
export class KafkaParts {
  readonly #settings: Settings;
  readonly #broker: Child;
  readonly #gateway: Child;

  constructor({ settings, directory, jars, child }: KafkaPartsOptions) {
    this.#settings = settings;
    this.#broker = child('kafka', [
      path.join(root, 'dev/kafka/main.ts'),
      '--directory',
      path.join(directory, 'kafka'),
      '--port',
      String(settings.TIDEMARK_KAFKA_PORT),
      '--jars',
      jars,
    ]);
    this.#gateway = child('kafka-rest', [
      path.join(root, 'bin/tidemark.js'),
      'kafka-rest',
      '--json',
    ]);
  }

  /** Resolves with the reason when one of them has ended for good without being told to. */
  get died(): Promise<TidemarkError> {
    return Promise.race([this.#broker.died, this.#gateway.died]);
  }

  /** Resolves when all topics are there and the gateway takes records. */
  async start(): Promise<void> {
    await this.#broker.start();
    await this.#createTopics();
    await this.#gateway.start();
  }

  /** The gateway first: it answers what it has read. */
  async stop(): Promise<void> {
    await this.#gateway.stop();
    await this.#broker.stop();
  }

  async #createTopics(): Promise<void> {
    const admin = await openKafka(this.#settings, pino({ level: 'silent' })).openAdmin();
    try {
      const partitions = this.#settings.TIDEMARK_KAFKA_PARTITIONS;
      await admin.createTopics(Object.values(topics).map((topic) => ({ topic, partitions })));
    } finally {
      await admin.close();
    }
  }
}
