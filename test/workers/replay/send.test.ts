/** OTLP/HTTP as a real server sees it: what is sent, what is sent again, and what is not. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { replayTriesMax } from '../../../schemas/limits/replay.ts';
import { sendRequest } from '../../../workers/replay/send.ts';
import type { SendOptions } from '../../../workers/replay/send.ts';
import { bytesField, message, varintField } from '../../aggregator-as/wire.ts';

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

let server: Server;
let endpoint: string;
let answers: (Answer | 'hang up')[];
let seen: { request: IncomingMessage; body: Buffer }[];

beforeEach(async () => {
  [answers, seen] = [[], []];
  server = createServer((request, response) => void serve(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  seen.push({ request, body: await buffer(request) });
  const answer = answers.shift() ?? { status: 200 };
  if (answer === 'hang up') request.socket.destroy();
  else response.writeHead(answer.status, answer.headers).end(answer.body);
}

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

const pauses: number[] = [];

function options(more: Partial<SendOptions> = {}): SendOptions {
  pauses.length = 0;
  return {
    endpoint,
    headers: { 'x-api-key': 'secret' },
    fetch,
    now: () => Date.parse('2026-11-22T13:00:00Z'),
    sleep: (ms) => {
      pauses.push(ms);
      return Promise.resolve();
    },
    random: () => 0.5,
    signal: new AbortController().signal,
    onRetry: () => undefined,
    ...more,
  };
}

const request = Buffer.from('not looked at');

describe('sendRequest()', () => {
  it('posts gzip and protobuf below the endpoint with the headers', async () => {
    const sent = await sendRequest('metrics', request, options(), { 'x-tenant': 'acme' });
    expect(sent).toMatchObject({ outcome: 'taken', rejected: 0, message: '' });
    const [{ request: got, body } = { request: undefined, body: Buffer.alloc(0) }] = seen;
    expect(got).toMatchObject({ method: 'POST', url: '/v1/metrics' });
    expect(got?.headers).toMatchObject({
      'content-type': 'application/x-protobuf',
      'content-encoding': 'gzip',
      'x-api-key': 'secret',
      'x-tenant': 'acme',
    });
    expect(gunzipSync(body)).toEqual(request);
  });

  it('reads what the receiver says that it rejected', async () => {
    const success = message(varintField(1, 300), bytesField(2, 'too old'));
    answers = [{ status: 200, body: bytesField(1, success) }];
    const sent = await sendRequest('logs', request, options());
    expect(sent).toMatchObject({ outcome: 'taken', rejected: 300, message: 'too old' });
  });

  it('sends again after 429, 502, 503, 504 and lost connections, and waits as it is told', async () => {
    answers = [
      { status: 429, headers: { 'retry-after': '7' } },
      { status: 503, headers: { 'retry-after': 'Sun, 22 Nov 2026 13:00:03 GMT' } },
      { status: 502 },
      'hang up',
      { status: 504 },
    ];
    const sent = await sendRequest('traces', request, options());
    expect(sent.outcome).toBe('taken');
    expect(seen).toHaveLength(6);
    expect(pauses).toEqual([7000, 3000, 3000, 6000, 12_000]);
  });

  it.each([400, 401, 403, 404, 301, 500])(
    'ends at %s, with what the receiver said',
    async (status) => {
      const body = message(varintField(1, 3), bytesField(2, 'no such thing'));
      answers = [{ status, body, headers: { 'content-type': 'application/x-protobuf' } }];
      await expect(sendRequest('traces', request, options())).rejects.toMatchObject({
        code: 'SINK_FAILED',
        retryable: false,
        message: `Cannot send to ${endpoint}/v1/traces: HTTP ${status}, no such thing`,
      });
      expect(seen).toHaveLength(1);
    },
  );

  it('gives up after so many tries, and says that it may work later', async () => {
    answers = Array.from({ length: replayTriesMax }, () => ({ status: 503 }));
    await expect(sendRequest('traces', request, options())).rejects.toMatchObject({
      code: 'SINK_FAILED',
      retryable: true,
    });
    expect(seen).toHaveLength(replayTriesMax);
  });

  it('tells a request that is too large, and ends at once when it is told to stop', async () => {
    answers = [{ status: 413 }];
    expect(await sendRequest('traces', request, options())).toEqual({ outcome: 'too large' });
    const signal = AbortSignal.abort(new Error('stopped'));
    await expect(sendRequest('traces', request, options({ signal }))).rejects.toThrow('stopped');
  });
});

describe('sendRequest() with what no try mends', () => {
  it.each<[string, Partial<SendOptions>]>([
    ['a port that fetch blocks', { endpoint: 'http://127.0.0.1:9' }],
    ['a header that no request may have', { headers: { 'x-name': 'snowman \u2603' } }],
  ])('says so at once: %s', async (_, more) => {
    const sending = sendRequest('traces', new Uint8Array(), options(more));
    await expect(sending).rejects.toMatchObject({ code: 'SINK_FAILED', retryable: false });
    expect(pauses).toEqual([]);
    expect(seen).toEqual([]);
  });
});
