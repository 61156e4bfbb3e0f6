/** Tests of how a check speaks HTTP, against servers that look at the bytes that come. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import net from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sender } from '../../../bin/check/http.ts';

let raw: net.Server;
let echo: http.Server;
let received = '';

beforeAll(async () => {
  raw = net.createServer((socket: Socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
  });
  echo = http.createServer((request, response) => {
    if (request.url === '/early') {
      response.writeHead(413, { 'x-seen': 'early' }).end('too large');
      return;
    }
    if (request.url === '/close') {
      request.socket.destroy();
      return;
    }
    void tell(request, response);
  });
  await once(raw.listen(0, '127.0.0.1'), 'listening');
  await once(echo.listen(0, '127.0.0.1'), 'listening');
});

async function tell(request: http.IncomingMessage, response: http.ServerResponse) {
  const { length } = await buffer(request);
  response.setHeader('x-headers', JSON.stringify(request.headers));
  response.end(`${request.method} ${request.url} ${length}`);
}

afterAll(() => {
  raw.close();
  echo.closeAllConnections();
  echo.close();
});

function urlOf(server: net.Server, path = '/'): URL {
  return new URL(path, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

const body = new Uint8Array(1000);

describe('sender()', () => {
  const headers = { authorization: 'Bearer x' };

  it('appends the path to that of the endpoint, with the user’s headers but no type', async () => {
    const send = sender({ url: urlOf(echo, '/prefix/'), headers, timeoutMs: 30_000 });
    const answer = await send({ path: '//v1/traces', body });
    expect(new TextDecoder().decode(answer.body)).toBe('POST /prefix//v1/traces 1000');
    const seen = JSON.parse(answer.headers['x-headers'] ?? '') as Record<string, string>;
    expect(seen).toMatchObject({ authorization: 'Bearer x', 'content-length': '1000' });
    expect(seen['content-type']).toBeUndefined();
    expect(seen['accept-encoding']).toBeUndefined();
  });

  it('leaves the user’s headers out of anonymous requests', async () => {
    const send = sender({ url: urlOf(echo), headers, timeoutMs: 30_000 });
    const answer = await send({ path: '/', method: 'OPTIONS', isAnonymous: true });
    expect(answer.headers['x-headers']).not.toContain('authorization');
  });

  it('sends chunks without a length', async () => {
    const send = sender({ url: urlOf(echo), headers: {}, timeoutMs: 30_000 });
    const answer = await send({ path: '/', body, framing: 'chunked' });
    expect(answer.headers['x-headers']).toContain('"transfer-encoding":"chunked"');
    expect(answer.headers['x-headers']).not.toContain('content-length');
    expect(new TextDecoder().decode(answer.body)).toBe('POST / 1000');
  });

  it('promises more bytes than it sends, and says when no answer comes', async () => {
    const send = sender({ url: urlOf(raw), headers: {}, timeoutMs: 2000 });
    received = '';
    const answer = await send({ path: '/', body: Buffer.from('abc'), framing: 12_345 });
    expect(answer).toMatchObject({ status: 0, lost: '2000 ms passed' });
    expect(received).toMatch(/content-length: 12345\r\n/i);
    expect(received).toMatch(/\r\n\r\nabc$/);
  });

  it('takes an answer that comes before the body was read', async () => {
    const send = sender({ url: urlOf(echo), headers: {}, timeoutMs: 30_000 });
    const large = new Uint8Array(20 << 20);
    const answer = await send({ path: '/early', body: large });
    expect(answer).toMatchObject({ status: 413, headers: { 'x-seen': 'early' } });
  });

  it('says why there is no answer: status 0', async () => {
    const send = sender({ url: urlOf(echo), headers: {}, timeoutMs: 30_000 });
    expect(await send({ path: '/close', body })).toMatchObject({ status: 0, lost: 'ECONNRESET' });
    const gone = sender({ url: new URL('http://127.0.0.1:1'), headers: {}, timeoutMs: 30_000 });
    expect(await gone({ path: '/' })).toMatchObject({ status: 0, lost: 'ECONNREFUSED' });
  });
});
