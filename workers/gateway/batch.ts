/**
 * Gathers the records of concurrent requests into few calls: per partition one call at a time, and
 * what comes meanwhile goes together into the next. Every record gets its own outcome; none is
 * reordered, none is tried again.
 */
import { KafkaError, TidemarkError } from '../../schemas/errors.ts';
import {
  gatewayBatchBytes,
  gatewayBatchRecordsMax,
  gatewayLingerMs,
} from '../../schemas/limits/kafka.ts';
import type { ProduceRequest, Produced } from '../clients/kafka/kafka.ts';
import type { GatewayRecord, Outcome } from './record.ts';

/** Sends one batch; throws `TidemarkError`. */
export type Send = (request: ProduceRequest) => Promise<Produced>;

/** What the overhead of a record in a batch is at most, beside key, value and headers. */
const recordOverheadBytes = 32;

/** The queues of all partitions. Their length is bounded by the requests that wait for them. */
export class Batcher {
  readonly #send: Send;
  readonly #lingerMs: number;
  readonly #lanes = new Map<string, Lane>();

  constructor(send: Send, lingerMs: number = gatewayLingerMs) {
    this.#send = send;
    this.#lingerMs = lingerMs;
  }

  /** Queues a record and resolves with what became of it; never rejects. */
  add(topic: string, partition: number, record: GatewayRecord): Promise<Outcome> {
    const name = `${topic}/${partition}`;
    let lane = this.#lanes.get(name);
    if (!lane) {
      const drop = (): void => void this.#lanes.delete(name);
      lane = new Lane(topic, partition, this.#send, this.#lingerMs, drop);
      this.#lanes.set(name, lane);
    }
    return lane.add(record);
  }
}

interface Waiting {
  readonly record: GatewayRecord;
  readonly bytes: number;
  readonly done: (outcome: Outcome) => void;
}

class Lane {
  readonly #topic: string;
  readonly #partition: number;
  readonly #send: Send;
  readonly #lingerMs: number;
  readonly #drop: () => void;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #isSending = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(topic: string, partition: number, send: Send, lingerMs: number, drop: () => void) {
    this.#topic = topic;
    this.#partition = partition;
    this.#send = send;
    this.#lingerMs = lingerMs;
    this.#drop = drop;
  }

  add(record: GatewayRecord): Promise<Outcome> {
    const bytes = sizeOf(record);
    const outcome = new Promise<Outcome>((done) => this.#waiting.push({ record, bytes, done }));
    this.#waitingBytes += bytes;
    const isFull =
      this.#waitingBytes >= gatewayBatchBytes || this.#waiting.length >= gatewayBatchRecordsMax;
    if (isFull) void this.#drain();
    else this.#timer ??= setTimeout(() => void this.#drain(), this.#lingerMs);
    return outcome;
  }

  async #drain(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isSending) return;
    this.#isSending = true;
    // What came during a call has waited long enough.
    while (this.#waiting.length > 0) await this.#produce(this.#take());
    this.#isSending = false;
    clearTimeout(this.#timer);
    this.#drop();
  }

  /** The oldest records that fit into one batch; one alone may be larger. */
  #take(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      if (count > 0 && bytes + waiting.bytes > gatewayBatchBytes) break;
      if (count === gatewayBatchRecordsMax) break;
      bytes += waiting.bytes;
      count += 1;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  async #produce(batch: readonly Waiting[]): Promise<void> {
    const [topic, partition] = [this.#topic, this.#partition];
    const records = batch.map(({ record }) => record);
    try {
      const { firstOffset, appendedMs } = await this.#send({ topic, partition, records });
      for (const [index, { record, done }] of batch.entries()) {
        const timestampMs = appendedMs ?? record.timestampMs;
        done({ partition, offset: firstOffset + BigInt(index), timestampMs });
      }
    } catch (error) {
      if (isTooLarge(error) && batch.length > 1) {
        // A topic with a lower bound than ours: the fault may be with one record alone.
        const middle = Math.ceil(batch.length / 2);
        await this.#produce(batch.slice(0, middle));
        await this.#produce(batch.slice(middle));
        return;
      }
      const fault = toFault(error);
      for (const { done } of batch) done(fault);
    }
  }
}

function sizeOf({ key, value, headers = {} }: GatewayRecord): number {
  let bytes = recordOverheadBytes + (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, values] of Object.entries(headers)) {
    for (const one of Array.isArray(values) ? values : [values]) {
      bytes += Buffer.byteLength(name) + one.length + 8;
    }
  }
  return bytes;
}

function isTooLarge(error: unknown): boolean {
  return error instanceof KafkaError && error.kafkaType.endsWith('_TOO_LARGE');
}

function toFault(error: unknown): TidemarkError {
  if (error instanceof TidemarkError) return error;
  return new KafkaError('CLIENT', `Cannot produce: ${String(error)}`, { cause: error });
}
