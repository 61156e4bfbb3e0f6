/**
 * Decompresses request bodies. It stops one byte past the bound, whatever a body claims about
 * itself, and never takes bytes that follow the compressed ones.
 */
import * as zlib from 'node:zlib';
import { TidemarkError } from '../schemas/errors.ts';
import { zstdFramesMax, zstdWindowLogMax } from '../schemas/limits.ts';

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

const chunkSize = 65_536;

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
  return concatenate(parts, bytes);
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
  try {
    const { buffer, engine } = decompress(body, { info: true, chunkSize, maxOutputLength, params });
    if (buffer.length > bytesMax) throw tooLarge(bytesMax);
    return { buffer, used: engine.bytesWritten };
  } catch (error) {
    if (error instanceof TidemarkError) throw error;
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(bytesMax);
    throw damaged(encoding, error instanceof Error ? error.message : 'it is damaged', error);
  }
}

/** Joins byte arrays whose lengths add up to `bytes`; a single one is returned as it is. */
export function concatenate(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first;
  const joined = new Uint8Array(bytes);
  let at = 0;
  for (const bytesOfPart of parts) {
    joined.set(bytesOfPart, at);
    at += bytesOfPart.length;
  }
  return joined;
}

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
