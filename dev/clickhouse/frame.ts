/**
 * ClickHouse's own compressed frames, which its native clients ask for with `compress=1` and send with
 * `decompress=1`: a checksum, the method, the sizes, the data. Frames are read in every method that
 * such clients write; what is sent is framed but not compressed, because nothing of it leaves the
 * machine.
 */
import { zstdDecompressSync } from 'node:zlib';
import { clickHouseBodyBytesMax, clickHouseFrameBytes } from '../../schemas/limits/dev.ts';
import { inflateLz4Block } from '../../workers/clients/codecs/lz4.ts';
import { cityHash128 } from './city.ts';
import { fault } from './fault.ts';

/** As in ClickHouse's `CompressionMethodByte`. */
const methods = { none: 0x02, lz4: 0x82, zstd: 0x90 };

/** The checksum covers what follows it: a method, both sizes as 32 bits, and the data. */
const checksumBytes = 16;
const headerBytes = 9;

/** `bytes` in frames; none for no bytes. */
export function framed(bytes: Uint8Array): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += clickHouseFrameBytes) {
    frames.push(frameOf(bytes.subarray(at, at + clickHouseFrameBytes)));
  }
  return Buffer.concat(frames);
}

function frameOf(data: Uint8Array): Buffer {
  const frame = Buffer.alloc(checksumBytes + headerBytes + data.length);
  frame[checksumBytes] = methods.none;
  frame.writeUInt32LE(headerBytes + data.length, checksumBytes + 1);
  frame.writeUInt32LE(data.length, checksumBytes + 5);
  frame.set(data, checksumBytes + headerBytes);
  const [low, high] = cityHash128(frame.subarray(checksumBytes));
  frame.writeBigUInt64LE(low, 0);
  frame.writeBigUInt64LE(high, 8);
  return frame;
}

/**
 * What is in the frames that come in `chunks`, a frame at a time. Throws `ClickHouseError` 40 for a
 * wrong checksum, 271 for data that does not inflate or a frame that is cut, 89 for a method that
 * it does not know, 229 for a frame past the bound of a body.
 */
export async function* unframed(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let kept: Buffer[] = [];
  let bytes = 0;
  let needed = checksumBytes + headerBytes;
  for await (const chunk of chunks) {
    kept.push(chunk);
    bytes += chunk.length;
    if (bytes < needed) continue;
    let rest = Buffer.concat(kept);
    for (;;) {
      needed = frameBytes(rest);
      if (rest.length < needed) break;
      yield dataOf(rest.subarray(0, needed));
      rest = rest.subarray(needed);
    }
    [kept, bytes] = [[rest], rest.length];
  }
  if (bytes > 0)
    throw fault(271, 'CANNOT_DECOMPRESS', 'The request body ends in a compressed frame');
}

/** Of the frame at the start of `bytes`, or of the shortest one while its header is not there. */
function frameBytes(bytes: Buffer): number {
  if (bytes.length < checksumBytes + headerBytes) return checksumBytes + headerBytes;
  const compressed = bytes.readUInt32LE(checksumBytes + 1);
  const inflated = bytes.readUInt32LE(checksumBytes + 5);
  if (Math.max(compressed, inflated) > clickHouseBodyBytesMax) {
    const bound = clickHouseBodyBytesMax;
    throw fault(229, 'QUERY_IS_TOO_LARGE', `A compressed frame is larger than ${bound} bytes`);
  }
  if (compressed < headerBytes) {
    throw fault(271, 'CANNOT_DECOMPRESS', 'A compressed frame is smaller than its header');
  }
  return checksumBytes + compressed;
}

function dataOf(frame: Buffer): Buffer {
  const [low, high] = cityHash128(frame.subarray(checksumBytes));
  if (frame.readBigUInt64LE(0) !== low || frame.readBigUInt64LE(8) !== high) {
    throw fault(40, 'CHECKSUM_DOESNT_MATCH', "Checksum doesn't match: corrupted data");
  }
  const inflated = frame.readUInt32LE(checksumBytes + 5);
  const data = inflate(frame[checksumBytes], frame.subarray(checksumBytes + headerBytes), inflated);
  if (data.length === inflated) return data;
  throw fault(
    271,
    'CANNOT_DECOMPRESS',
    `A frame holds ${data.length} bytes instead of ${inflated}`,
  );
}

function inflate(method: number | undefined, data: Buffer, bytes: number): Buffer {
  try {
    if (method === methods.none) return data;
    if (method === methods.lz4) return inflateLz4Block(data, bytes);
    if (method === methods.zstd) return zstdDecompressSync(data, { maxOutputLength: bytes });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw fault(271, 'CANNOT_DECOMPRESS', `Cannot decompress a frame: ${reason}`);
  }
  throw fault(89, 'UNKNOWN_COMPRESSION_METHOD', `Unknown compression method ${method}`);
}
