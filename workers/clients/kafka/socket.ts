/**
 * Connections to Kafka's brokers for the client library. Hands it whole answers only: what it keeps of
 * one that was cut off, it would put before the next connection's first answer, and never understand
 * anything again. Never reads what an answer says.
 */
import { connect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ISocketFactory, ISocketFactoryArgs } from 'kafkajs';
import { KafkaError } from '../../../schemas/errors.ts';
import { kafkaFrameBytesMax, kafkaKeepAliveMs } from '../../../schemas/limits/kafka.ts';

/** Connections that end together. */
export interface Sockets {
  readonly open: ISocketFactory;
  /** Ends all that are open; none is opened after it. */
  close(): void;
}

/** Makes connections, none yet. */
export function openSockets(): Sockets {
  const sockets = new Set<Socket>();
  let isClosed = false;
  return {
    open(options) {
      if (isClosed) throw closed();
      const socket = open(options);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      return socket;
    },
    close() {
      isClosed = true;
      // The library waits for an answer unless it is told of an error.
      for (const socket of sockets) socket.destroy(closed());
    },
  };
}

function closed(): KafkaError {
  return new KafkaError('CONNECTION', 'This client has been closed', { retryable: true });
}

function open({ host, port, ssl, onConnect }: ISocketFactoryArgs): Socket {
  const names = isIP(host) === 0 ? { servername: host } : {};
  // Its types do not say that there is none without TLS.
  const tls = ssl as ISocketFactoryArgs['ssl'] | undefined | null | false;
  const socket = tls
    ? connectTls({ host, port, ...names, ...tls }, onConnect)
    : connect({ host, port }, onConnect);
  socket.setKeepAlive(true, kafkaKeepAliveMs);
  return holdParts(socket);
}

/** Lets `data` events of a socket be of whole frames: a length in four bytes, and so many bytes. */
function holdParts(socket: Socket): Socket {
  const emit = socket.emit.bind(socket) as (event: string, ...values: unknown[]) => boolean;
  let parts: Buffer[] = [];
  let held = 0;
  let wanted = 4;
  const take = (chunk: Buffer): boolean => {
    parts.push(chunk);
    held += chunk.length;
    if (held < wanted) return true;
    const bytes = parts.length === 1 ? chunk : Buffer.concat(parts, held);
    const { end, next } = wholeFrames(bytes);
    parts = end < bytes.length ? [bytes.subarray(end)] : [];
    held = bytes.length - end;
    wanted = next;
    if (next > kafkaFrameBytesMax) {
      const message = `An answer has ${next} bytes, limit is ${kafkaFrameBytesMax}`;
      socket.destroy(new KafkaError('CONNECTION', message, { retryable: true }));
      return false;
    }
    return end === 0 || emit('data', bytes.subarray(0, end));
  };
  socket.emit = (event: string | symbol, ...values: unknown[]) =>
    event === 'data' ? take(values[0] as Buffer) : emit(event as string, ...values);
  return socket;
}

/** Where the last whole frame ends, and how many bytes the part behind it needs to become one. */
function wholeFrames(bytes: Buffer): { readonly end: number; readonly next: number } {
  let end = 0;
  while (bytes.length - end >= 4) {
    const frameBytes = 4 + bytes.readUInt32BE(end);
    if (end + frameBytes > bytes.length) return { end, next: frameBytes };
    end += frameBytes;
  }
  return { end, next: 4 };
}
