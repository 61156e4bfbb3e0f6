/**
 * Reads the body of an OTLP request within its limits and decompresses it. It never decodes what
 * the body says.
 */
import { TidemarkError } from '../schemas/errors.ts';
import {
  bodyReadBytes,
  heldPerByte,
  heldPerJsonByte,
  wholeBodyBytesMax,
} from '../schemas/limits.ts';
import { claimedBytes, encodingOf, inflate } from './receive/inflate.ts';
import type { Lease } from './lease.ts';
import type { Lent } from './lend.ts';

export type MediaType = 'application/x-protobuf' | 'application/json';

export interface Received {
  readonly mediaType: MediaType;
  /** The inflated body. */
  readonly body: Lent;
}

/**
 * Inflates a gzip body to where it is used, when it can and the result is at most so many bytes. It may
 * give up on anything: the body is then inflated here, and refused if need be.
 */
export type Inflater = (sent: Uint8Array, bytesMax: number) => (() => Uint8Array) | undefined;

export interface ReceiveLimits {
  /** Largest body as sent. */
  readonly bodyBytesMax: number;
  /** Largest body after decompression. */
  readonly inflatedBytesMax: number;
}

/**
 * The media type of a Content-Type header, or undefined for any that OTLP does not know.
 * Parameters and letter case do not matter.
 */
export function mediaTypeOf(header: string | null): MediaType | undefined {
  const [type = ''] = (header ?? '').split(';');
  const bare = type.trim().toLowerCase();
  if (bare === 'application/x-protobuf' || bare === 'application/json') return bare;
  return undefined;
}

/**
 * Reads and inflates the body of `request`, with `inflater` where that can, counting its bytes in `lease`. Throws
 * UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_ENCODING and BODY_TOO_LARGE (by Content-Length) before it
 * reads anything; BODY_TOO_LARGE, BAD_ENCODING and OVERLOADED while it does.
 */
export async function receive(
  request: Request,
  limits: ReceiveLimits,
  lease: Lease,
  inflater?: Inflater,
): Promise<Received> {
  const mediaType = mediaTypeOf(request.headers.get('content-type'));
  if (mediaType === undefined) {
    throw new TidemarkError(
      'UNSUPPORTED_MEDIA_TYPE',
      'Cannot read the body: its Content-Type is not one of ' +
        'application/x-protobuf, application/json',
    );
  }
  const encoding = encodingOf(request.headers.get('content-encoding'));
  const { bodyBytesMax, inflatedBytesMax } = limits;
  const length = Number(request.headers.get('content-length') ?? 0);
  if (length > bodyBytesMax) throw tooLarge(bodyBytesMax);
  const heldPer = mediaType === 'application/json' ? heldPerJsonByte : heldPerByte;
  if (encoding === 'identity') lease.check(length * heldPer);
  const sent = await readAll(request, length, bodyBytesMax, lease);
  const claimed = claimedBytes(sent, encoding) ?? 0;
  lease.check(Math.min(claimed, inflatedBytesMax) * heldPer);
  const body = lease.within(inflatedBytesMax, (bytesMax) => {
    const placed = encoding === 'gzip' ? inflater?.(sent, bytesMax) : undefined;
    return placed ?? inflate(sent, encoding, bytesMax);
  });
  // What was sent stays while the rest can be made of it again.
  if (!(body instanceof Uint8Array)) lease.take(body().length);
  else if (body !== sent) {
    lease.take(body.length);
    lease.give(sent.length);
  }
  return { mediaType, body };
}

/** The bytes of the body as sent, of which `length` were announced; 0 when it is not known. */
async function readAll(
  request: Request,
  length: number,
  bytesMax: number,
  lease: Lease,
): Promise<Uint8Array> {
  if (!(length > 0 && length <= wholeBodyBytesMax)) {
    const { body } = request;
    return body === null ? new Uint8Array(0) : readBody(body, length, bytesMax, lease);
  }
  // The runtime holds a body to its length, and reads a short one at the least cost.
  lease.take(length);
  const sent = new Uint8Array(await whole(request));
  if (sent.length > bytesMax) throw tooLarge(bytesMax);
  if (sent.length > length) lease.take(sent.length - length);
  else lease.give(length - sent.length);
  return sent;
}

async function whole(request: Request): Promise<ArrayBuffer> {
  try {
    return await request.arrayBuffer();
  } catch (cause) {
    throw endedEarly(cause);
  }
}

/**
 * The bytes of the body as sent; reading stops at the first chunk past `bytesMax`. They are read
 * into one buffer, of `length` bytes when that is known: a list of chunks, and joining them, would
 * need the memory twice or thrice.
 */
async function readBody(
  body: ReadableStream<Uint8Array>,
  length: number,
  bytesMax: number,
  lease: Lease,
): Promise<Uint8Array> {
  const reader = openReader(body);
  lease.take(length);
  let held = length;
  let sent: Uint8Array = new Uint8Array(0);
  let bytes = 0;
  try {
    for (;;) {
      // As many bytes as are announced come in one piece: every turn of a stream costs.
      const value = await readChunk(reader, Math.max(0, length - bytes));
      if (value === undefined) break;
      const end = bytes + value.length;
      if (end > bytesMax) throw tooLarge(bytesMax);
      const isWhole = bytes === 0 && value.length >= length && length > 0;
      const room = end <= sent.length || isWhole ? end : roomFor(end, length, bytesMax);
      if (room > held) lease.take(room - held);
      held = Math.max(held, room);
      if (isWhole) sent = value;
      else {
        if (end > sent.length) sent = enlarge(sent, bytes, room);
        sent.set(value, bytes);
      }
      bytes = end;
    }
  } catch (error) {
    // The sender may be gone already, so that cancelling fails as well: the first error counts.
    await reader.cancel().catch(() => undefined);
    throw error;
  }
  lease.give(held - bytes);
  return bytes === sent.length ? sent : sent.slice(0, bytes);
}

/** Bytes of a buffer that has to hold `end` of them, when `length` were announced. */
function roomFor(end: number, length: number, bytesMax: number): number {
  return end <= length ? length : Math.min(bytesMax, 2 * end);
}

interface ChunkReader {
  /**
   * The next bytes, or undefined at the end: as many as are asked for, where the stream can wait for
   * them and does not end before, else what there is, valid until the next call.
   */
  readonly read: (atLeast: number) => Promise<Uint8Array | undefined>;
  readonly cancel: () => Promise<void>;
}

/**
 * Reads what is announced into memory that the caller keeps, and the rest into the same few bytes
 * again and again, where the stream can: nothing is left to collect.
 */
function openReader(body: ReadableStream<Uint8Array>): ChunkReader {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = body.getReader({ mode: 'byob' });
  } catch {
    return openPlainReader(body);
  }
  let spare: ArrayBufferLike | undefined;
  return {
    read: async (atLeast) => {
      const view =
        atLeast > 0
          ? new Uint8Array(atLeast)
          : new Uint8Array(spare ?? new ArrayBuffer(bodyReadBytes));
      const { value } = await reader.readAtLeast(Math.max(1, atLeast), view);
      if (value === undefined || value.length === 0) return undefined;
      if (atLeast === 0) spare = value.buffer;
      return value;
    },
    cancel: () => reader.cancel(),
  };
}

/** For a stream that is not one of bytes: one that JavaScript made. */
function openPlainReader(body: ReadableStream<Uint8Array>): ChunkReader {
  const reader: ReadableStreamDefaultReader<Uint8Array> = body.getReader();
  return {
    read: async () => (await reader.read()).value,
    cancel: () => reader.cancel(),
  };
}

function enlarge(buffer: Uint8Array, used: number, bytes: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(bytes);
  larger.set(buffer.subarray(0, used));
  return larger;
}

async function readChunk(reader: ChunkReader, atLeast: number): Promise<Uint8Array | undefined> {
  try {
    return await reader.read(atLeast);
  } catch (cause) {
    throw endedEarly(cause);
  }
}

function endedEarly(cause: unknown): TidemarkError {
  const message = 'Cannot read the body: the connection ended early';
  return new TidemarkError('BAD_ENCODING', message, { cause, retryable: true });
}

function tooLarge(bytesMax: number): TidemarkError {
  return new TidemarkError(
    'BODY_TOO_LARGE',
    `Cannot accept the request: its body as sent is larger than the limit of ${bytesMax} bytes`,
  );
}
