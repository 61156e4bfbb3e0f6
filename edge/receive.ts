/**
 * Reads the body of an OTLP request within its limits and decompresses it. It never decodes what
 * the body says.
 */
import { TidemarkError } from '../schemas/errors.ts';
import { concatenate, encodingOf, inflate } from './inflate.ts';
import type { Lease } from './lease.ts';

export type MediaType = 'application/x-protobuf' | 'application/json';

export interface Received {
  readonly mediaType: MediaType;
  /** The inflated body. */
  readonly body: Uint8Array;
}

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
 * Reads and inflates the body of `request`, counting its bytes in `lease`. Throws
 * UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_ENCODING and BODY_TOO_LARGE (by Content-Length) before it
 * reads anything; BODY_TOO_LARGE, BAD_ENCODING and OVERLOADED while it does.
 */
export async function receive(
  request: Request,
  limits: ReceiveLimits,
  lease: Lease,
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
  if (Number(request.headers.get('content-length') ?? 0) > bodyBytesMax) {
    throw tooLarge(bodyBytesMax);
  }
  const sent = await readBody(request, bodyBytesMax, lease);
  const body = inflate(sent, encoding, inflatedBytesMax);
  if (body !== sent) {
    lease.take(body.length);
    lease.give(sent.length);
  }
  return { mediaType, body };
}

/** The bytes of the body as sent; reading stops at the first chunk past `bytesMax`. */
async function readBody(request: Request, bytesMax: number, lease: Lease): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array(0);
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await readChunk(reader);
      if (done) return concatenate(chunks, bytes);
      bytes += value.length;
      if (bytes > bytesMax) throw tooLarge(bytesMax);
      lease.take(value.length);
      chunks.push(value);
    }
  } catch (error) {
    // The sender may be gone already, so that cancelling fails as well: the first error counts.
    await reader.cancel().catch(() => undefined);
    throw error;
  }
}

async function readChunk(reader: ReadableStreamDefaultReader<Uint8Array>) {
  try {
    return await reader.read();
  } catch (cause) {
    throw new TidemarkError('BAD_ENCODING', 'Cannot read the body: the connection ended early', {
      cause,
      retryable: true,
    });
  }
}

function tooLarge(bytesMax: number): TidemarkError {
  return new TidemarkError(
    'BODY_TOO_LARGE',
    `Cannot accept the request: its body as sent is larger than the limit of ${bytesMax} bytes`,
  );
}
