/**
 * Compression of Kafka record batches: all that producers use is read, gzip and zstd are written. Never
 * keeps more of an inflated batch than its bound.
 */
import { promisify } from 'node:util';
import { constants, gunzip, gzip as compressGzip, zstdCompress, zstdDecompress } from 'node:zlib';
import { KafkaError } from '../../../schemas/errors.ts';
import { kafkaInflatedBytesMax, kafkaZstdLevel } from '../../../schemas/limits/kafka.ts';
import { inflateLz4 } from './lz4.ts';
import { inflateSnappy } from './snappy.ts';
import { assertChecksum, standIns } from '../kafka/unreadable.ts';
import { inflatedRoom } from './zstd.ts';

/** Compresses and inflates the records of one batch, in the shape that kafkajs calls. */
export interface Codec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
  /**
   * For a batch that is broken or inflates past the bound: the records of `standIns`. Throws
   * `KafkaError` when `buffer` is no part of a batch.
   */
  decompress(buffer: Buffer): Promise<Buffer>;
}

const bounded = { maxOutputLength: kafkaInflatedBytesMax, chunkSize: 256 * 1024 };
const spareBytes = 64;
/** The part of inflated bytes that their memory may be larger by. */
const unusedShare = 1 / 8;
const zstdLevel = { params: { [constants.ZSTD_c_compressionLevel]: kafkaZstdLevel } };
const [toGzip, toZstd] = [promisify(compressGzip), promisify(zstdCompress)];
const [fromGzip, fromZstd] = [promisify(gunzip), promisify(zstdDecompress)];

/** Members of gzip, one after the other. */
export const gzip: Codec = {
  compress: ({ buffer }) => toGzip(buffer),
  decompress: (buffer) => inflated('gzip', buffer, () => fromGzip(buffer, bounded)),
};

/** Zstandard frames. */
export const zstd: Codec = {
  compress: ({ buffer }) => toZstd(buffer, zstdLevel),
  decompress: (buffer) => inflated('zstd', buffer, () => inflateZstd(buffer)),
};

/** In one piece, where its size can be told: pieces would be garbage once they are put together. */
function inflateZstd(buffer: Buffer): Promise<Buffer> {
  const room = Math.min(inflatedRoom(buffer), kafkaInflatedBytesMax);
  // A piece that is filled to the end makes zlib begin another.
  return fromZstd(buffer, { ...bounded, ...(room > 0 && { chunkSize: room + spareBytes }) });
}

/** Plain snappy and the xerial stream format. */
export const snappy: Codec = {
  compress: () => refuse('snappy'),
  decompress: (buffer) =>
    inflated('snappy', buffer, () => inflateSnappy(buffer, kafkaInflatedBytesMax)),
};

/** LZ4 frames. */
export const lz4: Codec = {
  compress: () => refuse('lz4'),
  decompress: (buffer) => inflated('lz4', buffer, () => inflateLz4(buffer, kafkaInflatedBytesMax)),
};

/** One batch that is broken must not hold up what is behind it: it is given as `standIns`. */
async function inflated(
  name: string,
  buffer: Buffer,
  inflate: () => Buffer | Promise<Buffer>,
): Promise<Buffer> {
  try {
    assertChecksum(buffer);
    return fitted(await inflate());
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `Cannot inflate a batch of ${buffer.length} bytes (${name}): ${reason}`;
    const records = standIns(buffer, message);
    if (records) return records;
    throw final(new KafkaError('CORRUPT_MESSAGE', message, { cause }));
  }
}

/** Records are held for long; the memory that they leave unused would be held with them. */
function fitted(bytes: Buffer): Buffer {
  const { buffer, byteOffset, length } = bytes;
  const isOwn = byteOffset === 0 && buffer.byteLength > Buffer.poolSize;
  if (!isOwn || buffer.byteLength <= length * (1 + unusedShare)) return bytes;
  return Buffer.from((buffer as ArrayBuffer).transfer(length));
}

function refuse(name: string): Promise<never> {
  const message = `Cannot write batches compressed with ${name}: use zstd, gzip or none`;
  return Promise.reject(final(new KafkaError('UNSUPPORTED_COMPRESSION_TYPE', message)));
}

/** Tells the library, which has its own spelling of the field, not to read the batch again. */
function final(error: KafkaError): KafkaError {
  return Object.assign(error, { retriable: false });
}
