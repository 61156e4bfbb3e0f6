/**
 * Sends the requests of a check over real HTTP, byte for byte as the rows ask: without headers of
 * its own, with lengths that lie, chunked. Every request has a connection of its own.
 */
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { buffer } from 'node:stream/consumers';
import tls from 'node:tls';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { Answer, Send } from './row.ts';
import type { Connection } from './run.ts';

export interface HttpOptions {
  /** The endpoint; rows' paths are appended to its own. */
  readonly url: URL;
  /** Sent with each request that is not anonymous; lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** How long a request may take. */
  readonly timeoutMs: number;
}

/** What a check takes from its program's entry. */
export interface Surroundings {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
}

/** A connection for `check` that reaches the endpoint over HTTP. */
export function connect(options: HttpOptions, { now, randomBytes }: Surroundings): Connection {
  const { url, timeoutMs } = options;
  return {
    url,
    send: sender(options),
    nowNs: () => BigInt(now()) * 1_000_000n,
    randomBytes,
    gzip: (bytes) => new Uint8Array(gzipSync(bytes)),
    gunzip: (bytes) => new Uint8Array(gunzipSync(bytes)),
    zstd: (bytes) => new Uint8Array(zstdCompressSync(bytes)),
    ...(url.protocol === 'https:' && { protocol: () => chosenProtocol(url, timeoutMs) }),
  };
}

/** Who refuses a request by its length does so at once: nobody is waited for longer. */
const promisedMs = 3000;

/** A `send` for a target. An answer that does not come in time has status 0. */
export function sender(options: HttpOptions): (request: Send) => Promise<Answer> {
  return async (request) => {
    const isPromised = typeof request.framing === 'number';
    const timeoutMs = isPromised ? Math.min(promisedMs, options.timeoutMs) : options.timeoutMs;
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      return await exchange(options, request, signal);
    } catch (error) {
      const lost = signal.aborted ? `${timeoutMs} ms passed` : reasonOf(error);
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
async function chosenProtocol(url: URL, timeoutMs: number): Promise<string> {
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
