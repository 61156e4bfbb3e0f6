/**
 * A backlog in Kafka: the benchmarks' requests over and over, each time with ids and times of their
 * own, so that nothing repeats that would not. Writes records as the edge's gateway does, zstd.
 */
import type { Signal } from '../../schemas/archive.ts';
import { recordKey, topics } from '../../schemas/archive.ts';
import type { Kafka } from '../../workers/clients/kafka/kafka.ts';
import { makeRequests, requestType, startMs } from '../payload.ts';
import { makeLogRequests } from '../payload/logs.ts';
import { makeMetricRequests } from '../payload/metrics.ts';

/** Of every kind of request. */
export const itemsPerRequest = 512;
export const partitions = 4;

const makers = { traces: makeRequests, logs: makeLogRequests, metrics: makeMetricRequests };
/** Requests that are made anew; the rest are these with other ids and times. */
const patterns = 200;
const recordsPerBatch = 4;

/** Where ids and times stand in a request. */
interface Pattern {
  readonly bytes: Uint8Array;
  readonly ids: readonly { readonly at: number; readonly bytes: number }[];
  readonly times: readonly number[];
}

export interface Load {
  readonly records: number;
  readonly items: number;
  /** OTLP bytes. */
  readonly bytes: number;
  /** Records of each partition. */
  readonly ends: readonly number[];
}

/** Writes so many items, at least, whose times are of the three hours before `nowMs`. */
export async function produce(
  kafka: Kafka,
  signal: Signal,
  itemsMin: number,
  nowMs: number,
): Promise<Load> {
  const producer = await kafka.openProducer();
  const records = Math.ceil(itemsMin / itemsPerRequest);
  const requestAt = requestsOf(signal, records, nowMs);
  const ends = Array.from({ length: partitions }, () => 0);
  let bytes = 0;
  for (let first = 0; first < records; first += recordsPerBatch) {
    const indexes = Array.from(
      { length: Math.min(recordsPerBatch, records - first) },
      (_, index) => first + index,
    );
    const batch = indexes.map((index) => {
      const value = requestAt(index);
      bytes += value.length;
      const key = Buffer.from(recordKey({ tenantId: 'default', requestId: `r${index}` }));
      return { key, value, timestampMs: nowMs };
    });
    const partition = (first / recordsPerBatch) % partitions;
    ends[partition] = (ends[partition] ?? 0) + batch.length;
    await producer.produce({ topic: topics[signal], partition, records: batch });
  }
  await producer.close();
  return { records, items: records * itemsPerRequest, bytes, ends };
}

/** Makes the request of each index below `records`. */
export function requestsOf(
  signal: Signal,
  records: number,
  nowMs: number,
): (index: number) => Buffer {
  const type = requestType(signal);
  const templates = makers[signal](type, patterns).map((request) =>
    patternOf(request, type.toObject(type.decode(request), { longs: String })),
  );
  return (index) => {
    const template = templates[index % patterns];
    if (!template) throw new Error('Bug: no pattern');
    const shiftMs = nowMs - startMs - 10_800_000 + Math.floor((index / records) * 10_000_000);
    return varied(template, index, BigInt(shiftMs) * 1_000_000n);
  };
}

/** Where the request's ids and times stand; `message` is the request as protobufjs reads it. */
function patternOf(request: Uint8Array, message: unknown): Pattern {
  const bytes = Buffer.from(request);
  const known = { ids: new Set<string>(), times: new Set<bigint>() };
  collect(message, known);
  const [ids, times]: [{ at: number; bytes: number }[], number[]] = [[], []];
  for (let at = 1; at + 8 <= bytes.length; at += 1) {
    const length = bytes[at - 1] ?? 0;
    const isId = length === 8 || length === 16;
    if (isId && known.ids.has(bytes.toString('hex', at, at + length))) {
      ids.push({ at, bytes: length });
      at += length - 1;
    } else if (known.times.has(bytes.readBigUInt64LE(at))) {
      times.push(at);
      at += 7;
    }
  }
  return { bytes, ids, times };
}

/** Gathers what fields called `…Id` and `…UnixNano` hold. */
function collect(value: unknown, known: { ids: Set<string>; times: Set<bigint> }): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, field] of Object.entries(value)) {
    if (field instanceof Uint8Array) {
      if (name.endsWith('Id') && field.length > 0)
        known.ids.add(Buffer.from(field).toString('hex'));
    } else if (name.endsWith('UnixNano')) {
      known.times.add(BigInt(String(field)));
    } else {
      collect(field, known);
    }
  }
}

/** The request with ids that no other index has, and later times. */
function varied({ bytes, ids, times }: Pattern, index: number, shiftNs: bigint): Buffer {
  const own = Buffer.from(bytes);
  // The same mask for all ids, so that spans still name their parents and traces hold together.
  const mask = Math.imul(Math.floor(index / patterns), 0x9e37_79b1) >>> 0;
  for (const { at, bytes: length } of ids) {
    own.writeUInt32LE((own.readUInt32LE(at) ^ mask) >>> 0, at);
    own.writeUInt32LE((own.readUInt32LE(at + length - 4) ^ mask) >>> 0, at + length - 4);
  }
  for (const at of times) own.writeBigUInt64LE(own.readBigUInt64LE(at) + shiftNs, at);
  return own;
}
