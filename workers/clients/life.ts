/**
 * One life of a group's member: one consumer of the client library, with connections of its own. Ends
 * once, whatever ends it, and says why; what begins after it is somebody else's. The library's own ways
 * to start over are not used: after some faults it stays silent, or reads on with what it had before.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Consumer, EachBatchPayload } from 'kafkajs';
import { KafkaError } from '../../schemas/errors.ts';
import {
  kafkaGraceMs,
  kafkaLeaveMsMax,
  kafkaPartitionsAtOnce,
  kafkaSilenceMs,
} from '../../schemas/limits/kafka.ts';

/** What the library makes, and its connections. */
export interface OpenConsumer {
  readonly consumer: Consumer;
  /** Cuts all connections; calls under way fail. */
  readonly cut: () => void;
}

export interface LifeOptions {
  readonly topics: readonly string[];
  readonly sessionMs: number;
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
  #watch: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor({ consumer, cut }: OpenConsumer, options: LifeOptions) {
    this.consumer = consumer;
    this.#cut = cut;
    this.#options = options;
    this.ended = this.#end.promise;
  }

  /** Resolves when the group has let us in, or when `ended` does. Throws the library's errors. */
  async start(): Promise<void> {
    const { consumer } = this;
    const { GROUP_JOIN, HEARTBEAT, REQUEST, CRASH } = consumer.events;
    consumer.on(GROUP_JOIN, ({ payload }) => {
      if (this.#isOver) return;
      this.#generation = undefined;
      this.#options.joined(payload.memberId, payload.memberAssignment);
    });
    consumer.on(HEARTBEAT, ({ payload }) => this.#assertGeneration(payload.groupGenerationId));
    consumer.on(REQUEST, ({ payload }) => {
      if (groupRequests.has(payload.apiName)) this.#hear();
    });
    consumer.on(CRASH, ({ payload }) => this.end(payload.error));
    await consumer.connect();
    await consumer.subscribe({ topics: [...this.#options.topics], fromBeginning: true });
    this.#hear();
    const running = consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: kafkaPartitionsAtOnce,
      eachBatch: (payload) => (this.#isOver ? Promise.resolve() : this.#options.take(payload)),
    });
    await Promise.race([running, this.ended]);
  }

  /** It is over: nothing of it is handed out any more. */
  end(reason: unknown): void {
    this.#isOver = true;
    clearTimeout(this.#watch);
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

  /** The group has answered. Where it does not for so long, it has given us up, or we it. */
  #hear(): void {
    if (this.#isOver) return;
    clearTimeout(this.#watch);
    const silentMs = this.#options.sessionMs + kafkaSilenceMs;
    this.#watch = setTimeout(() => this.#listen(silentMs), silentMs);
  }

  /** This process may have slept, or been starved: what has come meanwhile is heard first. */
  #listen(silentMs: number): void {
    const message = `The group has not answered for ${silentMs} ms`;
    const silence = new KafkaError('TIMEOUT', message, { retryable: true });
    this.#watch = setTimeout(() => this.end(silence), kafkaGraceMs);
  }

  /**
   * When joining again fails half-way, the library goes on with the new generation's number and the
   * partitions of the old one; and the group, which hears from all its members, sees no fault.
   */
  #assertGeneration(generation: number): void {
    this.#generation ??= generation;
    if (generation === this.#generation) return;
    const message = `The group is at generation ${generation}, which gave us nothing to read`;
    this.end(new KafkaError('ILLEGAL_GENERATION', message, { retryable: true }));
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
