/**
 * Sends the requests of a check over real HTTP, byte for byte as the rows ask: without headers of
 * its own, with lengths that lie, chunked. Every request has a connection of its own.
 */
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { buffer } from 'node:stream/consumers';
import tls from 'node:tls';
import type { Answer, Send } from './row.ts';

export interface HttpOptions {
  /** The endpoint; rows' paths are appended to its own. */
  readonly url: URL;
  /** Sent with each request that is not anonymous; lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** How long a request may take. */
  readonly timeoutMs: number;
}

/** A `send` for a target. An answer that does not come in time has status 0. */
export function sender(options: HttpOptions): (request: Send) => Promise<Answer> {
  return async (request) => {
    const signal = AbortSignal.timeout(options.timeoutMs);
    try {
      return await exchange(options, request, signal);
    } catch (error) {
      const lost = signal.aborted ? `${options.timeoutMs} ms passed` : reasonOf(error);
      return { status: 0, headers: {}, body: new Uint8Array(), lost };
    }
  };
}

async function exchange(options: HttpOptions, send: Send, signal: AbortSignal): Promise<Answer> {
  const { url, headers } = options;
  const body = send.body ?? new Uint8Array();
  const given = send.isAnonymous ? {} : headers;
  const outgoing = (url.protocol === 'https:' ? https : http).request(url, {
    // Not through the URL class, which would make one slash of two.
    path: url.pathname.replace(/\/+$/, '') + send.path,
    method: send.method ?? 'POST',
    headers: { ...given, ...send.headers, ...framingOf(send, body.length) },
    agent: false,
    signal,
  });
  // An endpoint may answer before it has read everything, and close: the answer counts.
  const answered = once(outgoing, 'response') as Promise<[http.IncomingMessage]>;
  outgoing.on('error', () => undefined);
  if (typeof send.framing === 'number') outgoing.write(body);
  else writeAll(outgoing, body, send.framing === 'chunked');
  try {
    const [response] = await answered;
    return await read(response);
  } finally {
    outgoing.destroy();
  }
}

function framingOf({ framing, method = 'POST' }: Send, bytes: number): Record<string, string> {
  if (framing === 'chunked') return { 'transfer-encoding': 'chunked' };
  if (framing !== undefined) return { 'content-length': String(framing) };
  return method === 'GET' || method === 'OPTIONS' ? {} : { 'content-length': String(bytes) };
}

/** A chunked body is written in two parts, so that it has at least two chunks. */
function writeAll(outgoing: http.ClientRequest, body: Uint8Array, isChunked: boolean): void {
  const half = isChunked ? body.length >> 1 : 0;
  if (half > 0) outgoing.write(body.subarray(0, half));
  outgoing.end(body.subarray(half));
}

async function read(response: http.IncomingMessage): Promise<Answer> {
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
  );
  const body = new Uint8Array(await buffer(response));
  return { status: response.statusCode ?? 0, headers, body };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error ? String(error.code) : error.message;
}

/** The protocol that a TLS endpoint chooses of HTTP/2 and HTTP/1.1; `none` when it chooses none. */
export async function chosenProtocol(url: URL, timeoutMs: number): Promise<string> {
  const socket = tls.connect({
    host: url.hostname,
    port: Number(url.port || 443),
    servername: url.hostname,
    ALPNProtocols: ['h2', 'http/1.1'],
  });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(timeoutMs) });
    return socket.alpnProtocol || 'none';
  } catch (error) {
    return `none (${reasonOf(error)})`;
  } finally {
    socket.destroy();
  }
}
