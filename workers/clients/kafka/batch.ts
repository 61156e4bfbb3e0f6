/**
 * What the client library hands out of a partition, in our words: offsets as bigints, headers that were sent
 * once. Keeps nothing, and never touches the bytes.
 */
import type { Batch } from 'kafkajs';
import { unreadableHeader } from './unreadable.ts';

type Message = Batch['messages'][number];

/** The offset that was asked for: a field of the library's batches that its types leave out. */
export function fetchedFrom(batch: Batch): bigint {
  const { fetchedOffset } = batch as Batch & { readonly fetchedOffset: string };
  return BigInt(fetchedOffset);
}

/** Its records, oldest first, and where reading goes on, as `KafkaBatch` says. */
export function toBatch(batch: Batch) {
  const { topic, partition, messages, highWatermark } = batch;
  return {
    topic,
    partition,
    records: messages.map(toRecord),
    nextOffset: BigInt(batch.lastOffset()) + 1n,
    highWatermark: BigInt(highWatermark),
  };
}

function toRecord({ offset, timestamp, key, value, headers }: Message) {
  const { [unreadableHeader]: fault, ...sent } = plainHeaders(headers ?? {});
  return {
    offset: BigInt(offset),
    timestampMs: Number(timestamp),
    key,
    value,
    headers: sent,
    ...(fault && { fault: fault.toString() }),
  };
}

function plainHeaders(headers: NonNullable<Message['headers']>) {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, sent]) => {
      const value = Array.isArray(sent) ? sent.at(-1) : sent;
      return value === undefined ? [] : [[name, Buffer.from(value)]];
    }),
  );
}
