/**
 * Kafka's partitions as they come and go: one member of a consumer group for each topic, so that
 * the fault of one topic is not the others'. Whatever the group gives us becomes a source; what it
 * takes away is closed. Decodes and commits nothing.
 */
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import type { TidemarkError } from '../../schemas/errors.ts';
import { KafkaError } from '../../schemas/errors.ts';
import { requestTriesMax } from '../../schemas/limits.ts';
import { kafkaRestMsMax, kafkaTopicPollMs } from '../../schemas/limits/kafka.ts';
import type { Settings } from '../../schemas/settings.ts';
import { Budget } from './budget.ts';
import type {
  ConsumeHandler,
  KafkaConsumer,
  Reading,
  TopicPartition,
} from '../clients/kafka/consumer.ts';
import type { Kafka, KafkaAdmin } from '../clients/kafka/kafka.ts';
import type { ArchiveContext } from '../context.ts';
import { hintOf } from '../watch/hint.ts';
import { KafkaSource } from './kafka.ts';
import type { Reader } from './kafka.ts';
import type { TopicState } from '../watch/vitals.ts';

export type FeedSettings = Pick<
  Settings,
  | 'KAFKA_GROUP'
  | 'KAFKA_SESSION_MS'
  | 'TIDEMARK_TENANT'
  | 'TIDEMARK_HELD_BYTES_MAX'
  | 'TIDEMARK_FLUSH_BYTES'
>;

export interface FeedOptions {
  readonly kafka: Kafka;
  readonly settings: FeedSettings;
  readonly context: ArchiveContext;
  /**
   * Archives a source until `signal` aborts, or with `once` until it is empty. Never rejects.
   */
  readonly archive: (source: KafkaSource, signal: AbortSignal) => Promise<void>;
  /** Told how far the reading of a topic is. */
  readonly onState: (topic: string, state: TopicState) => void;
  /** Told what keeps a topic from being read; it is over when the topic is joined again. */
  readonly onFault: (topic: string, message: string) => void;
  /** Hears of a topic's fetches, for who watches over them. */
  readonly onReading: (topic: string, reading: Reading) => void;
}

/**
 * Fetches are bounded by their compressed bytes: this part of what may be held. OTLP seldom shrinks to
 * less, so one fetch hardly exceeds the bound.
 */
const fetchShare = 1 / 64;

/** What a partition is allowed to hold: one flush, and as much again meanwhile. */
const flushesHeld = 2;

/** All topics of one archiver; they share the bound on memory. */
export class KafkaFeed {
  readonly #options: FeedOptions;
  readonly #budget: Budget;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#budget = new Budget(options.settings.TIDEMARK_HELD_BYTES_MAX);
  }

  /**
   * Reads one signal's topic until the archiver ends, or with `once` until what waits in our
   * partitions is archived; a topic that does not exist is looked for again. Throws `KafkaError`:
   * then nothing of this topic is being read any more, and it may be called again.
   */
  async read(signal: Signal): Promise<void> {
    const { kafka, context, onState } = this.#options;
    const topic = topics[signal];
    onState(topic, 'joining');
    const admin = await kafka.openAdmin();
    try {
      for (let looks = 0; !context.signal.aborted; looks += 1) {
        const known = await admin.topics();
        if (known.includes(topic)) return await this.#member(signal, admin);
        onState(topic, 'absent');
        const message =
          'Waits for a topic that Kafka does not have; it is read as soon as it is there';
        if (looks === 0) context.log.info({ topic, everyMs: kafkaTopicPollMs }, message);
        if (context.once) return;
        await context.clock.sleep(kafkaTopicPollMs, context.signal);
      }
    } finally {
      await admin.close();
    }
  }

  async #member(signal: Signal, admin: KafkaAdmin): Promise<void> {
    const { kafka, settings, context, onState } = this.#options;
    onState(topics[signal], 'joining');
    const member = new Member(signal, this.#options, this.#budget, admin);
    let consumer: KafkaConsumer | undefined;
    try {
      consumer = await kafka.consume({
        groupId: `${settings.KAFKA_GROUP}-${signal}`,
        topics: [topics[signal]],
        sessionMs: settings.KAFKA_SESSION_MS,
        fetchBytesMax: Math.ceil(settings.TIDEMARK_HELD_BYTES_MAX * fetchShare),
        handler: member,
      });
      member.use(consumer);
      await member.end(context.signal);
    } finally {
      // Partitions are not given back before nothing of them is being committed any more.
      await member.quiet();
      await consumer?.stop();
      onState(topics[signal], 'joining');
    }
  }
}

interface Ours {
  readonly source: KafkaSource;
  readonly revoked: AbortController;
}

/** Our part in one topic's group. */
class Member implements ConsumeHandler {
  readonly #signal: Signal;
  readonly #options: FeedOptions;
  readonly #budget: Budget;
  readonly #admin: KafkaAdmin;
  readonly #ours = new Map<number, Ours>();
  /** Logs that are still running, revoked ones included. */
  readonly #running = new Set<Promise<void>>();
  readonly #ended = Promise.withResolvers<undefined>();
  #consumer: KafkaConsumer | undefined;
  /** What is to be done as soon as the consumer is known. */
  readonly #waiting: ((consumer: KafkaConsumer) => void)[] = [];
  #failures = 0;

  constructor(signal: Signal, options: FeedOptions, budget: Budget, admin: KafkaAdmin) {
    this.#signal = signal;
    this.#options = options;
    this.#budget = budget;
    this.#admin = admin;
    // It may fail before anybody waits for it.
    this.#ended.promise.catch(() => undefined);
  }

  /** The consumer whose handler this is. */
  use(consumer: KafkaConsumer): void {
    this.#consumer = consumer;
    for (const call of this.#waiting.splice(0)) call(consumer);
  }

  /** Resolves when the archiver ends or, with `once`, is done; throws what ended the consumer. */
  async end(stop: AbortSignal): Promise<void> {
    const onStop = () => this.#ended.resolve(undefined);
    stop.addEventListener('abort', onStop, { once: true });
    if (stop.aborted) onStop();
    try {
      await this.#ended.promise;
    } finally {
      stop.removeEventListener('abort', onStop);
    }
  }

  /** Ends all logs, and resolves when they have. */
  async quiet(): Promise<void> {
    for (const partition of this.#ours.keys()) this.#close(partition);
    await Promise.all(this.#running);
  }

  async assigned({ topic, partition }: TopicPartition): Promise<bigint> {
    const { settings, context } = this.#options;
    const revoked = new AbortController();
    const source = new KafkaSource({
      signal: this.#signal,
      partition,
      reader: this.#readerOf({ topic, partition }),
      budget: this.#budget,
      now: () => context.clock.now(),
      defaultTenant: settings.TIDEMARK_TENANT,
      heldBytesMax: flushesHeld * settings.TIDEMARK_FLUSH_BYTES,
      onMissing: (offset, count) => this.#miss({ topic, partition }, offset, count),
    });
    this.#ours.set(partition, { source, revoked });
    const running = this.#options.archive(source, revoked.signal).finally(() => {
      this.#running.delete(running);
      this.#endOnce();
    });
    this.#running.add(running);
    return source.start;
  }

  /** Before the first commit it is where the topic begins by now; behind one it is a loss. */
  #miss(place: TopicPartition, offset: bigint, count: bigint): void {
    const { counters, log } = this.#options.context;
    const figures = { ...place, offset: String(offset), count: String(count) };
    if (offset === 0n) {
      log.info(figures, 'Begins with the oldest record that Kafka still has');
      return;
    }
    counters.missing.inc({ signal: this.#signal }, Number(count));
    const hint = 'deleted by retention or compaction before they were read: see docs/FLEET.md';
    const message = 'Kafka has these offsets no more: they are not in the archive';
    log.warn({ ...figures, hint }, message);
  }

  joined(): void {
    const { context, onState } = this.#options;
    const partitions = [...this.#ours.keys()].toSorted((a, b) => a - b);
    context.log.info({ topic: topics[this.#signal], partitions }, 'Reads these partitions');
    onState(topics[this.#signal], 'joined');
    this.#endOnce();
  }

  revoked({ partition }: TopicPartition): void {
    this.#close(partition);
  }

  records(batch: Parameters<ConsumeHandler['records']>[0]): Promise<void> | undefined {
    this.#ours.get(batch.partition)?.source.take(batch);
    return this.#budget.isTight ? this.#rest() : undefined;
  }

  /**
   * Keeps the next fetch waiting for room. What lasts longer is a pause: the group is not shared out
   * anew while we rest, but a client that has paused looks only twice a second whether it still has.
   */
  async #rest(): Promise<void> {
    const { clock, signal } = this.#options.context;
    await clock.sleep(kafkaRestMsMax, AbortSignal.any([this.#budget.room, signal]));
    this.#budget.shut();
  }

  reads(reading: Reading): void {
    this.#options.onReading(topics[this.#signal], reading);
  }

  failed(error: TidemarkError): void {
    const { context, onFault } = this.#options;
    this.#failures += 1;
    onFault(topics[this.#signal], `${error.message} [${error.code}]`);
    const isLast = context.once && this.#failures >= requestTriesMax;
    if (!error.retryable || isLast) this.#ended.reject(error);
    context.counters.errors.inc({ signal: this.#signal, code: error.code });
    const { code, message: reason } = error;
    const fields = { topic: topics[this.#signal], code, reason, hint: hintOf(error) };
    context.log.warn(fields, 'Cannot read from Kafka now');
    context.log.debug({ err: error }, 'Where it failed');
  }

  #endOnce(): void {
    if (this.#options.context.once && this.#running.size === 0) this.#ended.resolve(undefined);
  }

  #close(partition: number): void {
    const ours = this.#ours.get(partition);
    this.#ours.delete(partition);
    ours?.revoked.abort();
    ours?.source.close();
  }

  #readerOf(place: TopicPartition): Reader {
    const { context } = this.#options;
    const call = (use: (consumer: KafkaConsumer) => void): void => {
      if (this.#consumer) use(this.#consumer);
      else this.#waiting.push(use);
    };
    return {
      seek: (offset) => call((consumer) => consumer.seek(place, offset)),
      pause: () => call((consumer) => consumer.pause(place)),
      resume: () => call((consumer) => consumer.resume(place)),
      commit: async (offset) => {
        try {
          await this.#consumer?.commit(place, offset);
        } catch (error) {
          context.log.debug({ err: error, ...place }, 'Cannot tell Kafka how far the archive is');
        }
      },
      end: async () => {
        const all = await this.#admin.offsets(place.topic);
        const found = all.find(({ partition }) => partition === place.partition);
        if (found) return found.high;
        const message = `Cannot find partition ${place.partition} of ${place.topic}`;
        throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', message, { retryable: true });
      },
    };
  }
}
