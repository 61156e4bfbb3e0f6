/**
 * One life of a group's member: one consumer of the client library, with connections of its own. Ends
 * once, whatever ends it, and says why; what begins after it is somebody else's. The library's own ways
 * to start over are not used: after some faults it stays silent, or reads on with what it had before.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Consumer, EachBatchPayload } from 'kafkajs';
import { KafkaError } from '../../../schemas/errors.ts';
import {
  kafkaGraceMs,
  kafkaLeaveMsMax,
  kafkaOpenMsMax,
  kafkaPartitionsAtOnce,
  kafkaSilenceMs,
} from '../../../schemas/limits/kafka.ts';
import { kafkaFault } from './fault.ts';

/** What the library makes, and its connections. */
export interface OpenConsumer {
  readonly consumer: Consumer;
  /** Cuts all connections; calls under way fail. */
  readonly cut: () => void;
}

export interface LifeOptions {
  readonly topics: readonly string[];
  readonly sessionMs: number;
  /** Silence of fetches, while records are wanted, that ends it, ms. */
  readonly silenceMsMax: number;
  /** A fetch was answered. */
  readonly fetched: () => void;
  /** A new generation of the group: partition numbers of ours, by topic. */
  readonly joined: (memberId: string, assignment: Readonly<Record<string, number[]>>) => void;
  readonly take: (payload: EachBatchPayload) => Promise<void>;
}

/** Requests whose answers say that the group still knows us, or may soon. */
const groupRequests = new Set(['JoinGroup', 'SyncGroup', 'Heartbeat']);

export class Life {
  readonly consumer: Consumer;
  /** Resolves with what has ended it; never before it has begun. */
  readonly ended: Promise<unknown>;
  readonly #cut: () => void;
  readonly #options: LifeOptions;
  readonly #end = Promise.withResolvers<unknown>();
  /** Of the group, since it was last shared out; `undefined` until we have said that we live. */
  #generation: number | undefined;
  /** JoinGroup has been answered, and what follows it has not been seen to succeed. */
  #isJoining = false;
  readonly #groupWatch: Watch;
  readonly #fetchWatch: Watch;
  /** Fetches that are under way, by broker. */
  readonly #fetches = new Map<unknown, Watch>();
  #isReading = false;
  #isOver = false;

  constructor({ consumer, cut }: OpenConsumer, options: LifeOptions) {
    this.consumer = consumer;
    this.#cut = cut;
    this.#options = options;
    this.ended = this.#end.promise;
    const { sessionMs, silenceMsMax } = options;
    this.#groupWatch = this.#newWatch('The group has not answered', sessionMs + kafkaSilenceMs);
    this.#fetchWatch = this.#newWatch('No fetch has been answered', silenceMsMax);
  }

  /** Resolves when the group has let us in, or when `ended` does. Throws the library's errors. */
  async start(): Promise<void> {
    const { consumer } = this;
    this.#listen();
    await this.#open();
    this.#groupWatch.hear();
    const running = consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: kafkaPartitionsAtOnce,
      eachBatch: (payload) => (this.#isOver ? Promise.resolve() : this.#options.take(payload)),
    });
    await Promise.race([running, this.ended]);
  }

  #listen(): void {
    const { consumer } = this;
    const { GROUP_JOIN, HEARTBEAT, REQUEST, FETCH_START, FETCH, CRASH } = consumer.events;
    consumer.on(GROUP_JOIN, ({ payload }) => {
      if (this.#isOver) return;
      this.#generation = undefined;
      this.#isJoining = false;
      this.#options.joined(payload.memberId, payload.memberAssignment);
    });
    consumer.on(HEARTBEAT, ({ payload }) => this.#assertGeneration(payload.groupGenerationId));
    consumer.on(REQUEST, ({ payload }) => this.#hear(payload.apiName));
    consumer.on(FETCH_START, ({ payload }) => this.#begin(payload.nodeId));
    consumer.on(FETCH, ({ payload }) => this.#fetches.get(payload.nodeId)?.stop());
    consumer.on(CRASH, ({ payload }) => this.end(payload.error));
  }

  /** Brokers that take connections and say nothing would else be waited for over and over. */
  async #open(): Promise<void> {
    const late = this.#newWatch('Kafka cannot be reached', kafkaOpenMsMax);
    late.hear();
    const { topics } = this.#options;
    const opened = this.consumer
      .connect()
      .then(() => this.consumer.subscribe({ topics: [...topics], fromBeginning: true }))
      .then(() => true);
    try {
      if ((await Promise.race([opened, this.ended.then(() => false)])) && !this.#isOver) return;
    } finally {
      late.stop();
    }
    throw kafkaFault(await this.ended, 'Cannot connect to Kafka');
  }

  /** Something is to be fetched from now on, or nothing is. */
  reads(isReading: boolean): void {
    this.#isReading = isReading;
    if (isReading && !this.#isOver) this.#fetchWatch.hear();
    else this.#fetchWatch.stop();
  }

  /** It is over: nothing of it is handed out any more. */
  end(reason: unknown): void {
    this.#isOver = true;
    for (const watch of [this.#groupWatch, this.#fetchWatch, ...this.#fetches.values()]) {
      watch.stop();
    }
    this.#end.resolve(reason);
  }

  /** Says goodbye to the group, if it answers in time, and gives up all connections. */
  async leave(): Promise<void> {
    this.end(undefined);
    const late = new AbortController();
    // What fails now has no effect on anybody.
    const left = this.consumer.disconnect().catch(() => undefined);
    await Promise.race([left, pause(kafkaLeaveMsMax, undefined, late).catch(() => undefined)]);
    late.abort();
    this.#cut();
  }

  /** Where nobody answers for so long, the group has given us up, or we it. */
  #hear(apiName: string): void {
    if (this.#isOver) return;
    if (groupRequests.has(apiName)) this.#groupWatch.hear();
    if (apiName === 'JoinGroup') this.#isJoining = true;
    if (apiName !== 'Fetch') return;
    if (this.#isReading) this.#fetchWatch.hear();
    this.#options.fetched();
  }

  /** One broker may be silent while the others answer. */
  #begin(broker: unknown): void {
    if (this.#isOver) return;
    const { silenceMsMax } = this.#options;
    const name = `Broker ${String(broker)} has not answered a fetch`;
    const watch = this.#fetches.get(broker) ?? this.#newWatch(name, silenceMsMax);
    this.#fetches.set(broker, watch);
    watch.hear();
  }

  #newWatch(what: string, ms: number): Watch {
    const fault = new KafkaError('TIMEOUT', `${what} for ${ms} ms`, { retryable: true });
    return new Watch(ms, () => this.end(fault));
  }

  /**
   * When joining again fails half-way, the library goes on with the new generation's number and the
   * partitions of the old one; and the group, which hears from all its members, sees no fault.
   */
  #assertGeneration(generation: number): void {
    if (!this.#isJoining) this.#generation ??= generation;
    if (generation === this.#generation) return;
    const message = `The group is at generation ${generation}, which gave us nothing to read`;
    this.end(new KafkaError('ILLEGAL_GENERATION', message, { retryable: true }));
  }
}

/** Tells of a silence. This process may have slept, or been starved: what came meanwhile is heard first. */
class Watch {
  readonly #ms: number;
  readonly #onSilence: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, onSilence: () => void) {
    this.#ms = ms;
    this.#onSilence = onSilence;
  }

  /** Something was heard: a silence begins here. */
  hear(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = setTimeout(this.#onSilence, kafkaGraceMs);
    }, this.#ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** Waits for a handler that may take long; the group would take a silent member for dead. */
export async function alive(
  payload: EachBatchPayload,
  everyMs: number,
  work: Promise<void> | void,
): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  const timer = setInterval(() => {
    payload.heartbeat().catch((error: unknown) => (failure ??= { error }));
  }, everyMs);
  try {
    await work;
  } finally {
    clearInterval(timer);
  }
  // Tells the library that the group is being shared out anew.
  if (failure) throw failure.error;
}
