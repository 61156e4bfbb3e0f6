/** Reads a request's body whole, within bounds. Parses nothing. */
import type { IncomingMessage } from 'node:http';
import { RestError } from '../../schemas/errors.ts';
import type { Reservation } from './record.ts';

/**
 * The body's bytes. Throws `RestError` 413 past `bytesMax`, 429 when the gateway holds too much
 * already, 400 when the sender went away before its end.
 */
export async function readBody(
  message: IncomingMessage,
  bytesMax: number,
  reservation: Reservation,
): Promise<Buffer> {
  if (Number(message.headers['content-length'] ?? 0) > bytesMax) throw tooLarge(bytesMax);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of message.iterator({ destroyOnReturn: false })) {
      const piece = chunk as Buffer;
      bytes += piece.length;
      if (bytes > bytesMax) throw tooLarge(bytesMax);
      if (!reservation.grow(piece.length)) throw busy();
      chunks.push(piece);
    }
  } catch (error) {
    if (error instanceof RestError) throw error;
    throw new RestError(400, 400, 'The request ended before its body did', { cause: error });
  }
  return Buffer.concat(chunks, bytes);
}

function tooLarge(bytesMax: number): RestError {
  return new RestError(413, 413, `The request is larger than ${bytesMax} bytes`);
}

function busy(): RestError {
  return new RestError(429, 429, 'The gateway holds as much as it may; try again');
}
