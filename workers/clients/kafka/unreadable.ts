/**
 * Batches that cannot be read, as records that say so. The client library hands out a whole answer or
 * nothing: a single broken batch would hold up all partitions of its broker for good. In place of the
 * batch's records come as many without a value, with the reason in a header, so that their offsets can
 * be put aside and what is behind them goes on. Reads the head of the batch, which lies before the
 * compressed records in the same memory, and changes nothing.
 */
import { KafkaError } from '../../../schemas/errors.ts';
import { kafkaRecordsMax } from '../../../schemas/limits/kafka.ts';
import { crc32c } from '../codecs/crc32c.ts';

/** Header of stand-ins; its value is the reason. */
export const unreadableHeader = 'tidemark-unreadable';

/** Kafka protocol, "Record Batch": where the fields of a batch's head begin. */
const at = {
  length: 8,
  magic: 16,
  checksum: 17,
  attributes: 21,
  lastDelta: 23,
  count: 57,
} as const;
const headBytes = 61;

/** The head of the batch whose compressed records `compressed` is; `undefined` when it is not one. */
function headOf(compressed: Buffer): Buffer | undefined {
  const start = compressed.byteOffset - headBytes;
  if (start < 0) return undefined;
  const head = Buffer.from(compressed.buffer, start, headBytes);
  const isBatch = head[at.magic] === 2;
  const isWhole = head.readInt32BE(at.length) === headBytes - 12 + compressed.length;
  return isBatch && isWhole ? head : undefined;
}

/** Throws `KafkaError` CORRUPT_MESSAGE when the batch is not as its producer made it. */
export function assertChecksum(compressed: Buffer): void {
  const head = headOf(compressed);
  if (!head) return;
  const from = head.byteOffset + at.attributes;
  const length = headBytes - at.attributes + compressed.length;
  const checksum = crc32c(new Uint8Array(head.buffer, from, length));
  if (checksum === head.readUInt32BE(at.checksum)) return;
  throw new KafkaError('CORRUPT_MESSAGE', 'Cannot take the batch: its checksum is wrong');
}

/** Records in the place of those of the batch; `undefined` when there is no telling how many. */
export function standIns(compressed: Buffer, reason: string): Buffer | undefined {
  const head = headOf(compressed);
  if (!head) return undefined;
  const [count, lastDelta] = [head.readInt32BE(at.count), head.readInt32BE(at.lastDelta)];
  if (count < 1 || count > kafkaRecordsMax) return undefined;
  const header = [bytes(Buffer.from(unreadableHeader)), bytes(Buffer.from(reason))];
  return Buffer.concat(
    Array.from({ length: count }, (_, index) => {
      // Of a compacted batch some are missing, nobody knows which; the last one always counts.
      const delta = index === count - 1 ? lastDelta : index;
      const value = index === 0 ? bytes(compressed) : varint(-1);
      // Attributes, time, offset, no key, value, one header: "Record".
      const fields = [Buffer.of(0), varint(0), varint(delta), varint(-1), value, varint(1)];
      return bytes(Buffer.concat([...fields, ...header]));
    }),
  );
}

function bytes(value: Buffer): Buffer {
  return Buffer.concat([varint(value.length), value]);
}

/** A signed number of 32 bits: zigzag, then seven bits a byte. */
function varint(value: number): Buffer {
  const out: number[] = [];
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (; rest >= 0x80; rest >>>= 7) out.push((rest & 0x7f) | 0x80);
  return Buffer.from([...out, rest]);
}
