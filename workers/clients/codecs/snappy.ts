/**
 * Snappy as Kafka's producers write it, inflated: one plain block (librdkafka, franz-go), or the blocks
 * of the xerial stream format (Java, sarama). Compresses nothing, and never writes more than allowed.
 */
import { snappyUncompressor } from 'hysnappy';
import { KafkaError } from '../../../schemas/errors.ts';

/** Then a version and the oldest version that reads it, four bytes each, and blocks with a length. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const xerialHeadBytes = 16;

let uncompress: ReturnType<typeof snappyUncompressor> | undefined;

/** Throws `KafkaError` CORRUPT_MESSAGE for a broken block and for more than `bytesMax` bytes. */
export function inflateSnappy(bytes: Buffer, bytesMax: number): Buffer {
  if (!bytes.subarray(0, xerialMagic.length).equals(xerialMagic)) return block(bytes, bytesMax);
  const blocks: Buffer[] = [];
  let left = bytesMax;
  for (let at = xerialHeadBytes; at < bytes.length;) {
    if (at + 4 > bytes.length) throw corrupt('it ends in the length of a block');
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) throw corrupt('it ends in a block');
    const inflated = block(bytes.subarray(at + 4, end), left);
    blocks.push(inflated);
    left -= inflated.length;
    at = end;
  }
  if (bytes.length < xerialHeadBytes) throw corrupt('it ends in its head');
  return Buffer.concat(blocks);
}

function block(bytes: Buffer, bytesMax: number): Buffer {
  const length = lengthOf(bytes);
  if (length > bytesMax) throw corrupt(`it inflates to ${length} bytes, limit is ${bytesMax}`);
  uncompress ??= snappyUncompressor();
  try {
    const inflated = uncompress(bytes, length);
    return Buffer.from(inflated.buffer, inflated.byteOffset, inflated.byteLength);
  } catch (cause) {
    throw corrupt(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** A block begins with its inflated length, as a varint of at most 32 bits. */
function lengthOf(bytes: Buffer): number {
  let length = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = bytes[index];
    if (byte === undefined) break;
    length += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return length;
  }
  throw corrupt('its length cannot be read');
}

function corrupt(reason: string, cause?: unknown): KafkaError {
  return new KafkaError('CORRUPT_MESSAGE', reason, { cause });
}
