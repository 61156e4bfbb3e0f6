/**
 * The rows of `tidemark check` (bin/check/) against the Worker in workerd, one test a row. The edge
 * asks for keys and admits all origins, so that these rows can be judged as well. What no answer
 * can show is tested elsewhere; test/bin/check.test.ts holds that every number is somewhere.
 */
import * as zlib from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { post, valid } from '../../bin/check/payload.ts';
import type { Answer, Send, Target } from '../../bin/check/row.ts';
import { rows } from '../../bin/check/rows.ts';
import { checkRow, inOrder, openTarget } from '../../bin/check/run.ts';
import type { Connection } from '../../bin/check/run.ts';
import { keySettings, testKey } from './key.ts';
import { nowMs, stack } from './stack.ts';

const origin = 'http://localhost';

/** Rows that this target cannot be judged by, and why. */
const notApplicable = new Map([
  [6, 'the port is the caller’s'],
  [7, 'HTTP versions are the matter of Cloudflare, or of who calls workerd'],
  [38, 'a test of its own injects the fault'],
  [43, 'a test of its own injects the fault'],
  [44, 'a test of its own fills the isolate'],
  [45, 'a test of its own injects the fault'],
  [47, 'a rule for clients'],
  [48, 'a rule for clients'],
]);

type Change = (answer: Answer, request: Send) => Answer;

/** An edge that any row can be run against; `change` may spoil its answers. */
async function connect(change: Change = (answer) => answer): Promise<Connection> {
  const key = await testKey(1, 'default');
  const { edge } = stack({ settings: { ...keySettings(key), TIDEMARK_CORS_ORIGINS: '*' } });
  return {
    url: new URL(origin),
    send: async (request) => {
      const answer = await edge.fetch(toRequest(request, key.key)).then(toAnswer);
      return change(answer, request);
    },
    nowNs: () => BigInt(nowMs) * 1_000_000n,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    gzip: (bytes) => zlib.gzipSync(bytes),
    gunzip: (bytes) => zlib.gunzipSync(bytes, { info: true }).buffer,
    zstd: (bytes) => zlib.zstdCompressSync(bytes),
  };
}

function toRequest(send: Send, key: string): Request {
  const { method = 'POST', body = new Uint8Array(), framing } = send;
  const headers = new Headers(send.headers);
  if (!send.isAnonymous) headers.set('authorization', `Bearer ${key}`);
  if (typeof framing === 'number') headers.set('content-length', String(framing));
  const plain = framing === undefined ? body : undefined;
  const isBare = method === 'GET' || method === 'OPTIONS';
  return new Request(`${origin}${send.path}`, {
    method,
    headers,
    ...(!isBare && { body: plain ?? streamed(body, framing !== 'chunked') }),
  });
}

/** The bytes in two chunks; a body that never ends has no third. */
function streamed(body: Uint8Array, isEndless: boolean): ReadableStream<Uint8Array> {
  const half = body.length >> 1;
  const chunks = [body.subarray(0, half), body.subarray(half)].filter(({ length }) => length > 0);
  return new ReadableStream({
    pull: (controller) => {
      const chunk = chunks.shift();
      if (chunk) controller.enqueue(chunk);
      else if (!isEndless) controller.close();
      return isEndless && !chunk ? new Promise(() => undefined) : undefined;
    },
  });
}

async function toAnswer(response: Response): Promise<Answer> {
  const body = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, headers: Object.fromEntries(response.headers), body };
}

describe('the edge', () => {
  let target: Target;
  beforeAll(async () => {
    target = await openTarget(await connect());
  });

  it('takes all signals in both encodings', () => {
    expect(target.signals).toEqual(['traces', 'metrics', 'logs']);
    expect(target.encodings).toEqual(['protobuf', 'json']);
  });

  it.each(inOrder(rows).map((row) => [row.number, row.title, row] as const))(
    'row %i: %s',
    async (number, _title, row) => {
      const outcome = await checkRow(row, target);
      const expected = notApplicable.has(number) ? 'n/a' : 'pass';
      expect(outcome).toMatchObject({ verdict: expected });
    },
  );
});

/** Ways in which an endpoint can be wrong. */
const wrong = {
  refuses: (answer) => (answer.status === 200 ? { ...answer, status: 400 } : answer),
  accepts: ({ headers }) => ({
    status: 200,
    headers,
    body: utf8(headers['content-type'] === 'application/json' ? '{}' : ''),
  }),
  'answers in HTML': ({ status }) => ({
    status,
    headers: { 'content-type': 'text/html' },
    body: utf8('<h1>hello</h1>'),
  }),
  'answers nothing': () => ({ status: 0, headers: {}, body: new Uint8Array(), lost: 'closed' }),
  'answers 500': (answer) => ({ ...answer, status: 500 }),
  'says 400 for 413': (answer) => ({ ...answer, status: answer.status === 413 ? 400 : 200 }),
  'sets an empty partial_success': (answer) => ({
    ...answer,
    body:
      answer.headers['content-type'] === 'application/json'
        ? utf8('{"partialSuccess":{}}')
        : Uint8Array.of(10, 0),
  }),
  'counts one too many': (answer) => ({ ...answer, body: Uint8Array.of(10, 2, 8, 2) }),
  'gives no reason': (answer) => ({ ...answer, body: Uint8Array.of(10, 2, 8, 1) }),
  'writes a number for an int64': (answer) => ({
    ...answer,
    body: utf8('{"partialSuccess":{"rejectedSpans":1,"errorMessage":"bad"}}'),
  }),
  'answers 5 MiB': (answer) => ({ ...answer, body: new Uint8Array(5 << 20) }),
  'says Retry-After: soon': (answer) => withHeader(answer, 'retry-after', 'soon'),
  'allows origins on success alone': (answer) =>
    answer.status === 200 ? answer : withHeader(answer, 'access-control-allow-origin', undefined),
  'lets no preflight be kept': (answer) => withHeader(answer, 'access-control-max-age', undefined),
  'says gzip of what is none': (answer) => withHeader(answer, 'content-encoding', 'gzip'),
} satisfies Record<string, Change>;

function withHeader({ headers, ...answer }: Answer, name: string, value?: string): Answer {
  const { [name]: _, ...others } = headers;
  return { ...answer, headers: value === undefined ? others : { ...others, [name]: value } };
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** For each way to be wrong the rows that must tell it. */
const told: Readonly<Record<keyof typeof wrong, readonly number[]>> = {
  refuses: [
    1, 2, 3, 8, 12, 13, 14, 17, 18, 22, 29, 31, 32, 33, 53, 54, 55, 56, 57, 58, 59, 61, 62, 63, 64,
    65, 66, 67, 70, 72, 73, 74, 75, 76, 77, 78, 79, 80,
  ],
  accepts: [
    9, 11, 13, 16, 19, 20, 21, 22, 23, 27, 28, 42, 54, 55, 60, 65, 66, 67, 68, 69, 71, 72, 73, 74,
    75,
  ],
  'answers in HTML': [1, 4, 11, 14, 15, 19, 20, 21, 23, 24, 31, 40, 41, 42, 49],
  'answers nothing': [1, 4, 8, 9, 10, 15, 16, 17, 24, 39, 41, 42, 51, 54, 60, 65, 69],
  'answers 500': [1, 4, 9, 11, 13, 16, 19, 20, 21, 22, 23, 42, 50, 54, 60, 65, 69],
  'says 400 for 413': [26, 28],
  'sets an empty partial_success': [31],
  'counts one too many': [34],
  'gives no reason': [35],
  'writes a number for an int64': [37],
  'answers 5 MiB': [39],
  'says Retry-After: soon': [45, 46],
  'allows origins on success alone': [52],
  'lets no preflight be kept': [10],
  'says gzip of what is none': [24],
};

describe('an endpoint that', () => {
  const cases = Object.entries(told).flatMap(([fault, numbers]) =>
    numbers.map((number) => [fault as keyof typeof wrong, number] as const),
  );

  it.each(cases)('%s breaks row %i', async (fault, number) => {
    let isOpen = false;
    const change: Change = wrong[fault];
    const target = await openTarget(
      await connect((answer) => (isOpen ? change(answer, { path: '' }) : answer)),
    );
    isOpen = true;
    // Some rows judge what was answered before.
    await target.send(post('traces', 'protobuf', valid(target, 'traces', 'protobuf')));
    const row = rows.find((candidate) => candidate.number === number);
    const outcome = row && (await checkRow(row, target));
    expect(outcome?.verdict, outcome?.seen).toMatch(/^(fail|differs)$/);
  });

  it('can be wrong in all rows but those that always hold or cannot be judged', () => {
    const always = new Set([5, 25, 30, 36, ...notApplicable.keys()]);
    const missing = rows
      .map(({ number }) => number)
      .filter((number) => !always.has(number) && !cases.some(([, told_]) => told_ === number));
    expect(missing).toEqual([]);
  });
});
