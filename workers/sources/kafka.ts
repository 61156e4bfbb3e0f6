/**
 * One partition of a Kafka topic as a source: holds what was fetched and is not committed yet. Where
 * it begins is what the archive's log says, never the group's offsets. Does not fetch by itself, and
 * forgets what it holds when told to: Kafka has it still.
 */
import {
  padOffset,
  parseRecordKey,
  recordHeaders,
  tenantPattern,
  topics,
} from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import type { Commit } from '../../schemas/commit.ts';
import { KafkaError } from '../../schemas/errors.ts';
import { receivedMsOf } from '../../schemas/requestid.ts';
import { watermarkIntervalMs } from '../../schemas/limits/archive.ts';
import { edgeClockMsMax, heldRecordBytes, kafkaVisibleMsMax } from '../../schemas/limits/kafka.ts';
import type { Budget, Holder } from './budget.ts';
import type { KafkaBatch, KafkaRecord } from '../clients/kafka/consumer.ts';
import type { Backlog, Bounds, Source, SourcePosition, SourceRecord } from './source.ts';

/** The partition as its consumer has it. */
export interface Reader {
  /** Goes on at `offset`, paused or not. */
  seek(offset: bigint): void;
  pause(): void;
  resume(): void;
  /** Tells the group how far the archive is. Never rejects: nothing reads it back. */
  commit(offset: bigint): Promise<void>;
  /** Offset of the next record that will be written. Throws `KafkaError`. */
  end(): Promise<bigint>;
}

export interface KafkaSourceOptions {
  readonly signal: Signal;
  readonly partition: number;
  readonly reader: Reader;
  readonly budget: Budget;
  /** Ms since 1970. */
  readonly now: () => number;
  /** Of records that name none, as those of a plain Collector. */
  readonly defaultTenant: string;
  /** Of this partition alone; more is not fetched. */
  readonly heldBytesMax: number;
  /** Told of offsets that Kafka has no more: `count` from `offset` on. */
  readonly onMissing: (offset: bigint, count: bigint) => void;
}

/** At `seenMs` the partition ended at `offset` or before. */
interface End {
  readonly offset: bigint;
  readonly seenMs: number;
}

interface Held extends SourceRecord {
  readonly heldSinceMs: number;
}

export class KafkaSource implements Source, Holder {
  readonly signal: Signal;
  readonly topic: string;
  readonly partition: string;
  readonly partitionNumber: number;
  /** Resolves with the offset to begin with, once the log is known; when closed before, with 0. */
  readonly start: Promise<bigint>;
  readonly #options: KafkaSourceOptions;
  readonly #started = Promise.withResolvers<bigint>();
  #hasStarted = false;
  #held: Held[] = [];
  #bytes = 0;
  /** Offset of the next record to hold; `undefined` while suspended. */
  #next: bigint | undefined;
  /** Where the adopted commit ends. */
  #adopted = 0n;
  /** The gap that was seen: `[from, to)`. */
  #gap: readonly [from: bigint, to: bigint] | undefined;
  #end: End = { offset: 0n, seenMs: 0 };
  #isPaused = false;
  #isClosed = false;
  #isFlushing = false;
  #changed = new AbortController();

  constructor(options: KafkaSourceOptions) {
    this.#options = options;
    this.signal = options.signal;
    this.topic = topics[options.signal];
    this.partition = String(options.partition);
    this.partitionNumber = options.partition;
    this.start = this.#started.promise;
    options.budget.add(this);
  }

  get heldBytes(): number {
    return this.#bytes + this.#held.length * heldRecordBytes;
  }

  get isFlushing(): boolean {
    return this.#isFlushing;
  }

  /** Throws `KafkaError`, OFFSET_OUT_OF_RANGE when the topic ends before the archive does. */
  async adopt(head: Commit | undefined): Promise<void> {
    const next = BigInt(head?.nextOffset ?? 0);
    void this.#options.reader.commit(next);
    this.#isFlushing = false;
    if (this.#isClosed) return;
    if (this.#next === undefined) await this.#begin(next);
    else if (next >= this.#adopted && next <= this.#next) this.#drop(next);
    else this.#goTo(next);
    this.#adopted = next;
  }

  async #begin(next: bigint): Promise<void> {
    await this.#seeEnd(next);
    if (this.#isClosed) return;
    if (this.#hasStarted) this.#goTo(next);
    else this.#next = next;
    this.#hasStarted = true;
    this.#started.resolve(next);
    this.settle();
  }

  #goTo(next: bigint): void {
    this.#held = [];
    this.#bytes = 0;
    this.#next = next;
    // Seeking resumes.
    this.#isPaused = false;
    this.#options.reader.seek(next);
    this.settle();
  }

  /** Forgets what is committed. */
  #drop(next: bigint): void {
    const kept = this.#held.findIndex(({ offset }) => offset >= next);
    const dropped = this.#held.splice(0, kept === -1 ? this.#held.length : kept);
    for (const { request } of dropped) this.#bytes -= request.byteLength;
    this.settle();
  }

  async #seeEnd(next: bigint): Promise<void> {
    const seenMs = this.#options.now();
    const offset = await this.#options.reader.end();
    this.#end = { offset, seenMs };
    if (next <= offset) return;
    const place = `offset ${next} of ${this.topic}/${this.partition}`;
    const reason = `it ends at ${offset}, so it is not the topic that was archived`;
    throw new KafkaError('OFFSET_OUT_OF_RANGE', `Cannot go on at ${place}: ${reason}`);
  }

  /**
   * Holds a fetched batch. A gap in front of it is believed when it is seen again after a seek: Kafka
   * may have deleted, compacted or aborted records, but none may get lost between it and us.
   */
  take(batch: KafkaBatch): void {
    const first = batch.records[0]?.offset;
    if (this.#next === undefined || first === undefined || batch.nextOffset <= this.#next) return;
    if (first > this.#next) {
      // Equal at both ends: a record that got lost behind a true gap would else pass for a part of it.
      const isSeenAgain = this.#gap?.[0] === this.#next && this.#gap[1] === first;
      this.#gap = [this.#next, first];
      if (!isSeenAgain) return this.#options.reader.seek(this.#next);
      this.#options.onMissing(this.#next, first - this.#next);
    }
    this.#hold(batch, this.#next);
    this.settle();
  }

  #hold(batch: KafkaBatch, from: bigint): void {
    const heldSinceMs = this.#options.now();
    for (const record of batch.records) {
      if (record.offset < from) continue;
      const held = this.#toHeld(record, heldSinceMs);
      this.#held.push(held);
      this.#bytes += held.request.byteLength;
    }
    this.#next = batch.nextOffset;
    // When the broker said so is not known: an answer may wait for a process that sleeps. That the
    // partition had not ended later when `seenMs` was stays true.
    const { offset, seenMs } = this.#end;
    if (batch.highWatermark > offset) this.#end = { offset: batch.highWatermark, seenMs };
  }

  #toHeld(record: KafkaRecord, heldSinceMs: number): Held {
    const { offset, timestampMs, value, fault } = record;
    const { topic, partition } = this;
    return {
      offset,
      // Records of very old producers carry no time: -1.
      receivedMs: timestampMs >= 0 ? timestampMs : heldSinceMs,
      edgeMs: edgeMsOf(record),
      tenantId: tenantOf(record) ?? this.#options.defaultTenant,
      // A record without a value is an empty request.
      request: value ?? new Uint8Array(),
      ...(fault !== undefined && { fault }),
      name: `${partition}+${padOffset(offset)}`,
      origin: { topic, partition, offset: String(offset) },
      heldSinceMs,
    };
  }

  /** Throws as `adopt` does. */
  async look(bounds: Bounds): Promise<KafkaBacklog> {
    const now = this.#options.now();
    const next = this.#next ?? 0n;
    // Of an idle partition nothing is fetched that would tell its end.
    const isStale = now - this.#end.seenMs >= watermarkIntervalMs;
    if (this.#held.length === 0 && isStale) await this.#seeEnd(next);
    this.#changed = new AbortController();
    return new KafkaBacklog(this.#held, bounds, {
      isPressed: this.#options.budget.isPressed(this),
      isComplete: this.#next !== undefined && next >= this.#end.offset,
      endSeenMs: this.#end.seenMs,
      nowMs: now,
      changed: this.#changed.signal,
      onRead: this.#onRead,
    });
  }

  /** A flush has begun; it ends with `adopt` or `suspend`. */
  readonly #onRead = (): void => {
    this.#isFlushing = true;
    this.#options.budget.update();
  };

  position(): SourcePosition {
    return {
      endOffset: this.#end.seenMs === 0 ? undefined : this.#end.offset,
      waiting: this.#held.length,
      oldestMs: this.#held[0]?.receivedMs,
      heldBytes: this.heldBytes,
    };
  }

  /** Forgets all that it holds, and fetches no more until the next `adopt`. */
  suspend(): void {
    this.#held = [];
    this.#bytes = 0;
    this.#next = undefined;
    this.#isFlushing = false;
    this.settle();
  }

  /** The partition is another member's now. */
  close(): void {
    this.#isClosed = true;
    this.suspend();
    this.#options.budget.remove(this);
    this.#started.resolve(0n);
    this.wake();
  }

  wake(): void {
    this.#changed.abort();
  }

  /** Fetches or not, as what is held by this and by all asks for. */
  settle(): void {
    const { budget, heldBytesMax, reader } = this.#options;
    const isFull = this.#bytes >= heldBytesMax;
    const pause = this.#next === undefined || isFull || budget.isShut;
    if (pause !== this.#isPaused && !this.#isClosed) {
      this.#isPaused = pause;
      if (pause) reader.pause();
      else reader.resume();
    }
    if (isFull) this.wake();
    budget.update();
  }
}

/** How many of the records fit into the bounds, and their bytes. */
function firstOf(held: readonly Held[], { recordsMax, bytesMax }: Bounds) {
  let [count, bytes] = [0, 0];
  for (const { request } of held) {
    if (count >= recordsMax || bytes >= bytesMax) break;
    count += 1;
    bytes += request.byteLength;
  }
  return { count, bytes };
}

interface Situation {
  readonly isPressed: boolean;
  readonly isComplete: boolean;
  readonly endSeenMs: number;
  readonly nowMs: number;
  readonly changed: AbortSignal;
  /** Told that the records are being read. */
  readonly onRead: () => void;
}

/** The first of the held records, up to the bounds of a flush. */
class KafkaBacklog implements Backlog {
  readonly count: number;
  readonly bytes: number;
  readonly full: boolean;
  readonly complete: boolean;
  readonly changed: AbortSignal;
  readonly #held: readonly Held[];
  readonly #bounds: Bounds;
  /** One more than `count`, if more are held. */
  #records: readonly Held[];
  readonly #situation: Situation;

  constructor(held: readonly Held[], bounds: Bounds, situation: Situation) {
    const { count, bytes } = firstOf(held, bounds);
    this.#held = held;
    this.#bounds = bounds;
    this.count = count;
    this.bytes = bytes;
    this.full = situation.isPressed || count >= bounds.recordsMax || bytes >= bounds.bytesMax;
    this.complete = situation.isComplete;
    this.changed = situation.changed;
    this.#records = held.slice(0, count + 1);
    this.#situation = situation;
  }

  /** Since when it is held: not its age, or a long backlog would be archived in tiny files. */
  get waitingSinceMs(): number | undefined {
    return this.count > 0 ? this.#records[0]?.heldSinceMs : undefined;
  }

  /** What has come while the flush waited for its turn is in it: the fewer files there are. */
  async *records(): AsyncGenerator<SourceRecord, void, undefined> {
    this.#situation.onRead();
    const { count } = firstOf(this.#held, this.#bounds);
    this.#records = this.#held.slice(0, count + 1);
    yield* this.#records.slice(0, count);
  }

  /** Producers' clocks, and brokers', may differ by `kafkaVisibleMsMax`. */
  watermarkAfter(taken: number): number {
    const { isComplete, endSeenMs, nowMs } = this.#situation;
    const left = this.#records[taken]?.receivedMs;
    const last = this.#records[taken - 1]?.receivedMs ?? 0;
    const reachedMs = left ?? Math.max(last, isComplete ? endSeenMs : 0);
    return Math.max(0, Math.min(reachedMs, nowMs) - kafkaVisibleMsMax);
  }

  spoolKeys(): string[] {
    return [];
  }
}

/**
 * When the edge received it, by the id of its request. A time that is far from the broker's is not the edge's: whoever
 * writes to the topic may write any key.
 */
function edgeMsOf(record: KafkaRecord): number | undefined {
  const edgeMs = receivedMsOf(requestOf(record));
  if (edgeMs === undefined || record.timestampMs < 0) return edgeMs;
  return Math.abs(record.timestampMs - edgeMs) <= edgeClockMsMax ? edgeMs : undefined;
}

/** The id of the request that the record is, or is a piece of; empty when it says none. */
function requestOf({ key, headers }: KafkaRecord): string {
  const header = headers[recordHeaders.requestId]?.toString();
  if (header !== undefined) return header;
  return key === null ? '' : (parseRecordKey(key.toString())?.requestId ?? '');
}

/** What the record says of its tenant: in a header, as v3 proxies send it, or in its key. */
function tenantOf({ key, headers }: KafkaRecord): string | undefined {
  const header = headers[recordHeaders.tenant]?.toString();
  if (header !== undefined && tenantPattern.test(header)) return header;
  return key === null ? undefined : parseRecordKey(key.toString())?.tenantId;
}
