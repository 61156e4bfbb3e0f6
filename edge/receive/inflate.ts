/**
 * Decompresses request bodies. It stops one byte past the bound, whatever a body claims about
 * itself, and never takes bytes that follow the compressed ones.
 */
import * as zlib from 'node:zlib';
import { TidemarkError } from '../../schemas/errors.ts';
import { zstdFramesMax, zstdWindowLogMax } from '../../schemas/limits.ts';
import { concatenate } from '../concatenate.ts';

export type Encoding = 'identity' | 'gzip' | 'deflate' | 'zstd';

/** Values of Content-Encoding and what they mean here; `zlib` is the Collector's word. */
const encodings: ReadonlyMap<string, Encoding> = new Map([
  ['', 'identity'],
  ['identity', 'identity'],
  ['none', 'identity'],
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
  ['zlib', 'deflate'],
  ['zstd', 'zstd'],
]);

/** Output is made in pieces of so many bytes when the body does not say how long it is. */
const pieceBytes = 65_536;
/** The smallest piece that zlib takes. */
const pieceBytesMin = 64;

/** The encoding that a Content-Encoding header names. Throws UNSUPPORTED_ENCODING. */
export function encodingOf(header: string | null): Encoding {
  const encoding = encodings.get((header ?? '').trim().toLowerCase());
  if (encoding !== undefined) return encoding;
  throw new TidemarkError(
    'UNSUPPORTED_ENCODING',
    'Cannot read the body: its Content-Encoding is not one of identity, gzip, deflate, zstd',
  );
}

/**
 * Returns the plain bytes of `body` (the body itself for `identity`). Throws BODY_TOO_LARGE when
 * they are more than `bytesMax`, and BAD_ENCODING when `body` is cut, damaged, of another
 * encoding, or followed by other bytes.
 */
export function inflate(body: Uint8Array, encoding: Encoding, bytesMax: number): Uint8Array {
  switch (encoding) {
    case 'identity':
      if (body.length > bytesMax) throw tooLarge(bytesMax);
      return body;
    case 'gzip':
      return whole(body, encoding, bytesMax, zlib.gunzipSync);
    case 'deflate':
      // RFC 9110 means zlib (RFC 1950); some clients send the bare stream (RFC 1951).
      return whole(body, encoding, bytesMax, isZlib(body) ? zlib.inflateSync : zlib.inflateRawSync);
    case 'zstd':
      return unframe(body, bytesMax);
    default:
      encoding satisfies never;
      return body;
  }
}

const zstdMagic = 0xfd2fb528;

type Decompress = (bytes: Uint8Array, options: zlib.ZlibOptions) => zlib.Inflated;

function whole(
  body: Uint8Array,
  encoding: Encoding,
  bytesMax: number,
  decompress: Decompress,
): Uint8Array {
  const { buffer, used } = part(body, encoding, bytesMax, decompress);
  if (used !== body.length) throw damaged(encoding, 'other bytes follow it');
  return buffer;
}

/** Decompresses the frames of a Zstandard body one by one: the runtime takes one a call. */
function unframe(body: Uint8Array, bytesMax: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  let bytes = 0;
  for (let frames = 0; at < body.length || frames === 0; frames += 1) {
    if (frames === zstdFramesMax) throw damaged('zstd', `it has more than ${frames} frames`);
    const rest = body.subarray(at);
    const { buffer, used } = part(rest, 'zstd', bytesMax - bytes, zlib.zstdDecompressSync);
    if (used === 0) throw damaged('zstd', 'it ends early');
    at += used;
    bytes += buffer.length;
    parts.push(buffer);
  }
  return concatenate(parts);
}

function part(
  body: Uint8Array,
  encoding: Encoding,
  bytesMax: number,
  decompress: Decompress,
): { buffer: Uint8Array; used: number } {
  const params =
    encoding === 'zstd' ? { [zlib.constants.ZSTD_d_windowLogMax]: zstdWindowLogMax } : {};
  // The runtime wants a bound of at least one byte.
  const maxOutputLength = Math.max(1, bytesMax);
  // One byte more than the output fits in one piece, which then needs no joining: half the memory.
  const likely = Math.min(claimedBytes(body, encoding) ?? pieceBytes, maxOutputLength);
  const chunkSize = Math.max(pieceBytesMin, likely + 1);
  try {
    const { buffer, engine } = decompress(body, { info: true, chunkSize, maxOutputLength, params });
    if (buffer.length > bytesMax) throw tooLarge(bytesMax);
    return { buffer: trim(buffer), used: engine.bytesWritten };
  } catch (error) {
    if (error instanceof TidemarkError) throw error;
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(bytesMax);
    throw damaged(encoding, error instanceof Error ? error.message : 'it is damaged', error);
  }
}

/** Lets go of memory that the output does not use, when a body claimed more than it holds. */
function trim(bytes: Uint8Array): Uint8Array {
  return bytes.length * 2 < bytes.buffer.byteLength ? bytes.slice() : bytes;
}

/**
 * How long the output will be, as far as the body says: a hint that may be wrong. A gzip body ends
 * with it (RFC 1952, ISIZE); a Zstandard frame may begin with it (RFC 8878, section 3.1.1.1).
 */
export function claimedBytes(body: Uint8Array, encoding: Encoding): number | undefined {
  const { length } = body;
  if (length < 18) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, length);
  if (encoding === 'gzip') return view.getUint32(length - 4, true);
  if (encoding !== 'zstd' || view.getUint32(0, true) !== zstdMagic) return undefined;
  const descriptor = view.getUint8(4);
  const isSingleSegment = (descriptor & 32) !== 0;
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const at = 5 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes;
  switch (descriptor >> 6) {
    case 0:
      return isSingleSegment ? view.getUint8(at) : undefined;
    case 1:
      return view.getUint16(at, true) + 256;
    case 2:
      return view.getUint32(at, true);
    default:
      return Number(view.getBigUint64(at, true));
  }
}

/** A gzip body (RFC 1952) of one member without any of the optional fields. */
export interface PlainGzip {
  readonly deflated: Uint8Array;
  /** What the body says of its contents: how many bytes (modulo 2^32), and their CRC-32. */
  readonly bytes: number;
  readonly crc: number;
}

/** The parts of the usual gzip body; undefined for any other. */
export function plainGzip(body: Uint8Array): PlainGzip | undefined {
  const { length } = body;
  if (length < gzipHeadBytes + gzipTailBytes) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, length);
  if (view.getUint32(0, true) !== gzipPlainMagic) return undefined;
  return {
    deflated: body.subarray(gzipHeadBytes, length - gzipTailBytes),
    bytes: view.getUint32(length - 4, true),
    crc: view.getUint32(length - gzipTailBytes, true),
  };
}

const gzipHeadBytes = 10;
const gzipTailBytes = 8;
/** Two bytes of gzip, deflate, no flags. */
const gzipPlainMagic = 0x00_08_8b_1f;

/** RFC 1950, section 2.2: method 8, and the first two bytes are a multiple of 31. */
function isZlib(body: Uint8Array): boolean {
  const [method = 0, flags = 0] = body;
  return (method & 15) === 8 && (method * 256 + flags) % 31 === 0;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function tooLarge(bytesMax: number): TidemarkError {
  return new TidemarkError(
    'BODY_TOO_LARGE',
    `Cannot accept the request: its body inflates past the limit of ${bytesMax} bytes`,
  );
}

function damaged(encoding: Encoding, why: string, cause?: unknown): TidemarkError {
  const message = `Cannot decompress the body as ${encoding}: ${why}`;
  return new TidemarkError('BAD_ENCODING', message, { cause });
}
