/**
 * A server between a client and an endpoint: passes requests on as they are, keeps what the
 * endpoint took, and may answer in its place.
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import zlib from 'node:zlib';

export interface Passed {
  readonly path: string;
  readonly encoding: string;
  readonly type: string;
  /** Decompressed. */
  readonly body: Uint8Array;
  /** Of the answer. */
  readonly status: number;
  /** When it came, in ms of a clock that only goes forward. */
  readonly atMs: number;
}

export interface Refusal {
  readonly status: number;
  readonly headers?: () => Record<string, string>;
  readonly body?: string;
}

export interface Front {
  readonly endpoint: string;
  /** Every request, in order of their answers. */
  readonly passed: Passed[];
  /** Answers to the next requests, one each, instead of passing them on. */
  readonly refusals: Refusal[];
  close(): void;
}

/** Starts it before `endpoint`. */
export async function startFront(endpoint: string): Promise<Front> {
  const passed: Passed[] = [];
  const refusals: Refusal[] = [];
  const server = http.createServer((request, response) => {
    void pass(request, response).catch(() => response.destroy());
  });
  async function pass(request: http.IncomingMessage, response: http.ServerResponse) {
    const atMs = performance.now();
    const sent = await buffer(request);
    const encoding = request.headers['content-encoding'] ?? 'none';
    const [path, type] = [request.url ?? '', request.headers['content-type'] ?? ''];
    const refusal = refusals.shift();
    const answer = refusal ? refused(refusal) : await forward(endpoint, request, sent);
    passed.push({ path, encoding, type, atMs, body: plain(sent, encoding), status: answer.status });
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    response.end(Buffer.from(await answer.arrayBuffer()));
  }
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { endpoint: `http://127.0.0.1:${port}`, passed, refusals, close };
}

function refused({ status, headers, body = '' }: Refusal): Response {
  return new Response(body, { status, headers: headers?.() ?? {} });
}

function forward(endpoint: string, request: http.IncomingMessage, body: Buffer) {
  const names = ['content-type', 'content-encoding'] as const;
  const headers = names.flatMap((name): [string, string][] => {
    const value = request.headers[name];
    return value === undefined ? [] : [[name, value]];
  });
  return fetch(`${endpoint}${request.url}`, { method: 'POST', headers, body });
}

function plain(body: Buffer, encoding: string): Uint8Array {
  if (encoding === 'gzip') return zlib.gunzipSync(body);
  return encoding === 'zstd' ? zlib.zstdDecompressSync(body) : body;
}
