/**
 * Compression of Kafka record batches that the client library leaves to others: Zstandard, over the
 * runtime's own zlib. Never keeps more of an inflated batch than its bound.
 */
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { KafkaError } from '../../schemas/errors.ts';
import { kafkaInflatedBytesMax, kafkaZstdLevel } from '../../schemas/limits/kafka.ts';

/** Compresses and inflates the records of one batch, in the shape that kafkajs calls. */
export interface Codec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
  decompress(buffer: Buffer): Promise<Buffer>;
}

const deflate = promisify(zstdCompress);
const inflate = promisify(zstdDecompress);

/** Zstandard frames. Throws `KafkaError` for a batch that is broken or inflates past the bound. */
export const zstd: Codec = {
  compress: ({ buffer }) =>
    deflate(buffer, { params: { [constants.ZSTD_c_compressionLevel]: kafkaZstdLevel } }),
  async decompress(buffer) {
    try {
      return await inflate(buffer, { maxOutputLength: kafkaInflatedBytesMax });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `Cannot inflate a batch of ${buffer.length} bytes (zstd): ${reason}`;
      throw final(new KafkaError('CORRUPT_MESSAGE', message, { cause }));
    }
  },
};

/** A codec that says why it cannot be used. `name` is Kafka's, such as `snappy`. */
export function missingCodec(name: string): Codec {
  const refuse = (): never => {
    const advice = 'let producers use gzip, zstd or none';
    const message = `Cannot read or write batches compressed with ${name}: ${advice}`;
    throw final(new KafkaError('UNSUPPORTED_COMPRESSION_TYPE', message));
  };
  return { compress: async () => refuse(), decompress: async () => refuse() };
}

/** Tells the library, which has its own spelling of the field, not to read the batch again. */
function final(error: KafkaError): KafkaError {
  return Object.assign(error, { retriable: false });
}
