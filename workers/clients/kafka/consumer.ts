/**
 * Reads partitions of Kafka as a member of a consumer group, from offsets that the caller gives: the
 * group only shares partitions out. Commits to Kafka only what it is told to, for tools that show the
 * lag, and never hands out a record twice or out of order within one assignment.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Consumer, EachBatchPayload } from 'kafkajs';
import type { TidemarkError } from '../../../schemas/errors.ts';
import { KafkaError } from '../../../schemas/errors.ts';
import {
  kafkaFetchSilenceMs,
  kafkaHeartbeatMs,
  kafkaMemberRetryMsMax,
  kafkaPatienceMs,
  kafkaRetryMs,
  kafkaSessionMs,
} from '../../../schemas/limits/kafka.ts';
import { fetchedFrom, toBatch } from './batch.ts';
import { kafkaFault } from './fault.ts';
import { alive, Life } from './life.ts';
import type { OpenConsumer } from './life.ts';

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A record as it lies in Kafka. Its bytes are the caller's. */
export interface KafkaRecord {
  readonly offset: bigint;
  /** Broker time in topics with `LogAppendTime`, as ours are; else the producer's. Ms since 1970. */
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Names as sent. Of a name that was sent several times the last value stays. */
  readonly headers: Readonly<Record<string, Buffer>>;
  /**
   * Why its batch cannot be read; then the first record of the batch has the compressed bytes of them
   * all for its value, the others have none.
   */
  readonly fault?: string;
}

/** Records of one partition, oldest first. */
export interface KafkaBatch extends TopicPartition {
  readonly records: readonly KafkaRecord[];
  /** Where reading goes on: behind the last record, and behind what follows it but is no record. */
  readonly nextOffset: bigint;
  /** Offset of the next record to be written, as of this fetch: equal means that nothing waits. */
  readonly highWatermark: bigint;
}

export interface ConsumeHandler {
  /**
   * The group gave us this partition. Returns the offset to begin with; reading waits for it. An
   * offset that retention has deleted already is raised to the oldest that is there. When it
   * throws, `failed` is told and the partition stays unread until `seek`.
   */
  assigned(partition: TopicPartition): Promise<bigint>;
  /** Partitions were shared out, none perhaps: `assigned` has been called for all that are new. */
  joined?(): void;
  /** The partition is not ours any more: another member may be reading it already. */
  revoked(partition: TopicPartition): void;
  /**
   * Takes records. While it runs the group is kept alive, but nothing else of the same broker is
   * fetched: keep the records and return, and `pause` when enough are kept. Must not throw, and is not
   * waited for longer than for a fetch.
   */
  records(batch: KafkaBatch): Promise<void> | void;
  /**
   * What went wrong. Reading goes on by itself when `error.retryable`; else the consumer has ended,
   * unless the fault was thrown by `assigned`.
   */
  failed(error: TidemarkError): void;
  /** Hears of the reading as such, at every change and at every answer: for who watches over it. */
  reads?(reading: Reading): void;
}

/** Records are wanted from now on; a fetch was answered, with or without any; none are wanted. */
export type Reading = 'begins' | 'goes on' | 'rests';

export interface ConsumeOptions {
  readonly groupId: string;
  /** They must exist. */
  readonly topics: readonly string[];
  readonly handler: ConsumeHandler;
  /** Bytes of one fetch, about, as they are compressed. @default 10 MiB */
  readonly fetchBytesMax?: number;
  /** Silence after which the group takes this member for dead, ms. @default 30 s */
  readonly sessionMs?: number;
  /** How long the broker may wait for new records before it answers a fetch. @default 500 */
  readonly waitMsMax?: number;
  /** Silence of fetches, though records are wanted, after which the member starts over, ms. */
  readonly silenceMsMax?: number;
}

/** A running member of a group. */
export interface KafkaConsumer {
  /** Partitions that are ours now. */
  assignment(): TopicPartition[];
  /** No more records of this partition until `resume`; those just fetched are not lost. */
  pause(partition: TopicPartition): void;
  resume(partition: TopicPartition): void;
  /**
   * Goes on at `offset`; the next records have this offset or, where that one is no more, the
   * first after it. No record of before the call is handed out after it. Resumes a partition.
   */
  seek(partition: TopicPartition, offset: bigint): void;
  /** Tells the group how far we are. Nothing here reads it back. Throws `KafkaError`. */
  commit(partition: TopicPartition, offset: bigint): Promise<void>;
  /** Leaves the group; resolves when no call of the handler is under way. */
  stop(): Promise<void>;
}

/** What a member asks of the cluster beside its records. */
export interface PartitionEnds {
  /** Oldest offset that a partition still has. Throws `KafkaError`. */
  oldest(partition: TopicPartition): Promise<bigint>;
  close(): Promise<void>;
}

/** How often a member tells the group that it lives: three times before it would be taken for dead. */
export function heartbeatMsOf({ sessionMs = kafkaSessionMs }: ConsumeOptions): number {
  return Math.min(kafkaHeartbeatMs, Math.floor(sessionMs / 3));
}

/**
 * Joins the group and reads; joins again, as a new member with new connections, after every fault that
 * may pass. `open` makes the library's consumer of one such life. Throws `KafkaError` when the
 * brokers cannot be reached at first.
 */
export async function startConsumer(
  open: () => OpenConsumer,
  options: ConsumeOptions,
  ends: PartitionEnds,
): Promise<KafkaConsumer> {
  const member = new Member(open, options, ends);
  await member.start();
  return member;
}

class Member implements KafkaConsumer {
  readonly #open: () => OpenConsumer;
  readonly #options: ConsumeOptions;
  readonly #ends: PartitionEnds;
  readonly #partitions = new Map<string, Position>();
  /** Calls of the handler that are under way. */
  readonly #taking = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #life: Life;
  #lives: Promise<void> | undefined;
  #memberId = '';
  /** Something of ours is to be fetched. */
  #isReading = false;
  /** Lives that ended before the group let them in, in a row. */
  #failures = 0;

  constructor(open: () => OpenConsumer, options: ConsumeOptions, ends: PartitionEnds) {
    this.#open = open;
    this.#options = options;
    this.#ends = ends;
    this.#life = this.#newLife();
  }

  async start(): Promise<void> {
    try {
      await this.#life.start();
    } catch (error) {
      await Promise.allSettled([this.#life.leave(), this.#ends.close()]);
      throw kafkaFault(error, `Cannot join the Kafka group ${this.#options.groupId}`);
    }
    this.#lives = this.#liveOn();
  }

  #newLife(): Life {
    const { topics, handler, sessionMs = kafkaSessionMs } = this.#options;
    const { silenceMsMax = sessionMs + kafkaPatienceMs + kafkaFetchSilenceMs } = this.#options;
    return new Life(this.#open(), {
      topics,
      sessionMs,
      silenceMsMax,
      fetched: () => this.#isReading && handler.reads?.('goes on'),
      joined: (memberId, assignment) => {
        this.#failures = 0;
        this.#adopt(memberId, assignment);
      },
      take: (payload) => this.#track(this.#take(payload)),
    });
  }

  /** One life after the other, until one ends by our wish or by a fault that does not pass. */
  async #liveOn(): Promise<void> {
    for (;;) {
      const reason = await this.#life.ended;
      if (this.#stopping.signal.aborted) return;
      this.#revokeAll();
      const { groupId, handler } = this.#options;
      const fault = kafkaFault(reason, `Cannot read from Kafka in group ${groupId}`);
      await this.#life.leave();
      handler.failed(fault);
      if (!fault.retryable) return;
      await this.#rest();
      if (this.#stopping.signal.aborted) return;
      this.#life = this.#newLife();
      const life = this.#life;
      await life.start().catch((error: unknown) => life.end(error));
    }
  }

  async #rest(): Promise<void> {
    const ms = Math.min(kafkaRetryMs * 2 ** this.#failures, kafkaMemberRetryMsMax);
    this.#failures += 1;
    await pause(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }

  async #track(taking: Promise<void>): Promise<void> {
    this.#taking.add(taking);
    try {
      await taking;
    } finally {
      this.#taking.delete(taking);
    }
  }

  assignment(): TopicPartition[] {
    return [...this.#partitions.values()].map(({ topic, partition }) => ({ topic, partition }));
  }

  pause(partition: TopicPartition): void {
    const position = this.#partitions.get(nameOf(partition));
    if (!position) return;
    position.isPaused = true;
    this.#pause(position);
    this.#note();
  }

  resume(partition: TopicPartition): void {
    const position = this.#partitions.get(nameOf(partition));
    if (!position) return;
    position.isPaused = false;
    if (position.next !== undefined) this.#resume(position);
  }

  seek(partition: TopicPartition, offset: bigint): void {
    const position = this.#partitions.get(nameOf(partition));
    if (!position) return;
    position.next = offset;
    position.isPaused = false;
    this.#goTo(position, offset);
  }

  async commit({ topic, partition }: TopicPartition, offset: bigint): Promise<void> {
    try {
      await this.#life.consumer.commitOffsets([{ topic, partition, offset: String(offset) }]);
    } catch (error) {
      throw kafkaFault(error, `Cannot commit offset ${offset} of ${topic}/${partition}`);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#life.leave();
    await this.#lives;
    await Promise.allSettled(this.#taking);
    this.#revokeAll();
    await this.#ends.close();
  }

  /** A new generation of the group. Partitions that stay ours go on where they were. */
  #adopt(memberId: string, assignment: Readonly<Record<string, number[]>>): void {
    // Under a new name we had left the group, and somebody else may have read our partitions.
    const isSame = memberId === this.#memberId;
    this.#memberId = memberId;
    const given = Object.entries(assignment).flatMap(([topic, partitions]) =>
      partitions.map((partition) => ({ topic, partition })),
    );
    const names = new Set(given.map(nameOf));
    for (const [name, position] of this.#partitions) {
      if (!isSame || !names.has(name)) this.#revoke(position);
    }
    for (const partition of given) {
      const kept = this.#partitions.get(nameOf(partition));
      if (kept?.next !== undefined) this.#goTo(kept, kept.next);
      if (!kept) void this.#begin(partition);
    }
    this.#options.handler.joined?.();
  }

  #revokeAll(): void {
    for (const position of this.#partitions.values()) this.#revoke(position);
  }

  #revoke(position: Position): void {
    this.#partitions.delete(nameOf(position));
    this.#options.handler.revoked({ topic: position.topic, partition: position.partition });
    this.#note();
  }

  /** Who watches over the reading hears whether there is any. */
  #note(): void {
    const wanted = [...this.#partitions.values()].filter((each) => !each.isPaused);
    const isReading = wanted.some(({ next }) => next !== undefined);
    if (isReading === this.#isReading) return;
    this.#isReading = isReading;
    this.#life.reads(isReading);
    this.#options.handler.reads?.(isReading ? 'begins' : 'rests');
  }

  async #begin({ topic, partition }: TopicPartition): Promise<void> {
    const position: Position = { topic, partition, next: undefined, isPaused: false };
    this.#partitions.set(nameOf(position), position);
    this.#pause(position);
    try {
      const wanted = await this.#options.handler.assigned({ topic, partition });
      // Where it cannot be known now, the first fetch shows whether the offset is still there.
      const oldest = await this.#ends.oldest({ topic, partition }).catch(() => wanted);
      if (this.#partitions.get(nameOf(position)) !== position) return;
      // The caller may have called `seek` in the meantime.
      position.next ??= wanted > oldest ? wanted : oldest;
      this.#goTo(position, position.next);
    } catch (error) {
      this.#options.handler.failed(kafkaFault(error, `Cannot begin ${topic}/${partition}`));
    }
  }

  #goTo(position: Position, offset: bigint): void {
    const { topic, partition } = position;
    this.#tell((consumer) => consumer.seek({ topic, partition, offset: String(offset) }));
    if (!position.isPaused) this.#resume(position);
  }

  #pause({ topic, partition }: Position): void {
    this.#tell((consumer) => consumer.pause([{ topic, partitions: [partition] }]));
  }

  #resume({ topic, partition }: Position): void {
    this.#tell((consumer) => consumer.resume([{ topic, partitions: [partition] }]));
    this.#note();
  }

  /** A consumer that is ending takes no orders; the next life begins all partitions anew. */
  #tell(order: (consumer: Consumer) => void): void {
    try {
      order(this.#life.consumer);
    } catch (cause) {
      const message = 'The consumer has stopped';
      this.#life.end(new KafkaError('CLIENT', message, { cause, retryable: true }));
    }
  }

  async #take(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const position = this.#partitions.get(nameOf(batch));
    if (position?.next === undefined || position.isPaused || payload.isStale()) return;
    if (fetchedFrom(batch) !== position.next) return this.#realign(position);
    const taken = toBatch(batch);
    position.next = taken.nextOffset;
    payload.resolveOffset(batch.lastOffset());
    await alive(payload, heartbeatMsOf(this.#options), this.#options.handler.records(taken));
  }

  /** The library went elsewhere: it does when retention has deleted the offset that it wanted. */
  async #realign(position: Position): Promise<void> {
    const { topic, partition, next } = position;
    const oldest = await this.#ends.oldest({ topic, partition });
    if (position.next !== next || next === undefined) return;
    position.next = next > oldest ? next : oldest;
    this.#goTo(position, position.next);
  }
}

interface Position extends TopicPartition {
  /** Offset of the next record to hand out; `undefined` until the caller has said it. */
  next: bigint | undefined;
  isPaused: boolean;
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
