/**
 * The OTLP/HTTP contract for traces, row by row, against the whole Worker in workerd: real
 * transcoder, real R2. Numbers are those of the contract's rows.
 */
import * as zlib from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { Transcoder } from '../../aggregator-as/host.ts';
import page from '../../edge/public/endpoint.html?raw';
import { createEdge } from '../../edge/serve.ts';
import { signalWires } from '../../edge/signal.ts';
import { settings } from '../../schemas/settings.ts';
import { keySettings, testKey } from './key.ts';
import {
  clear,
  jsonType,
  keys,
  nowMs,
  protobufType,
  requestBytes,
  requestJson,
  span,
  stack,
  stored,
  transcoder,
} from './stack.ts';
import { exportedOf, statusOf } from './status.ts';

const two = requestBytes([span(0), span(1)]);
const bad = { traceId: '00' };
const receipt = {
  tenantId: 'default',
  receivedMs: nowMs,
  pastMaxMs: Number(settings.TIDEMARK_PAST_MAX_MS.default),
  futureMaxMs: Number(settings.TIDEMARK_FUTURE_MAX_MS.default),
};

beforeEach(clear);

/** Settings that bound bodies at so many bytes, as sent and inflated. */
function settingsOf(bytes: number): Record<string, string> {
  return { TIDEMARK_BODY_BYTES_MAX: String(bytes), TIDEMARK_INFLATED_BYTES_MAX: String(bytes) };
}

describe('createEdge() routes', () => {
  it('row 1: POST /v1/traces archives the bytes as they came and inserts their rows', async () => {
    const { post, inserts, edge } = stack();
    const response = await post(two);
    expect(response.status).toBe(200);
    expect(await keys()).toEqual([`spool/archive/otlp_spans/${nowMs}+request-1+default`]);
    expect(await stored((await keys())[0] ?? '')).toEqual(two);
    const { rows, rowCount } = new Transcoder(transcoder).tracesToRowBinary(two, receipt);
    expect(rowCount).toBe(2);
    expect(inserts.map((insert) => insert.rows)).toEqual([rows]);
    await edge.drain();
    expect(inserts).toHaveLength(1);
  });

  it.each([
    '/v1development/profiles',
    '/v1/profiles',
    '/v2/traces',
    '/v1/tracesx',
    '/V1/traces',
    '/t/Not_A_Tenant/v1/traces',
    '/t/shop/v1',
    '/a',
  ])('rows 4, 5, 11: POST %s is 404 with a Status', async (path) => {
    const { edge } = stack();
    const body = new Uint8Array(3);
    for (const headers of [protobufType, jsonType]) {
      const init = { method: 'POST', body, headers };
      const response = await edge.fetch(new Request(`http://localhost${path}`, init));
      expect(response.status).toBe(404);
      expect(response.headers.get('content-type')).toBe(headers['content-type']);
      expect((await statusOf(response)).code).toBe(5);
    }
  });

  it.each(['GET', 'PUT', 'PATCH', 'DELETE'])(
    'row 9: %s is 405 with Allow and a Status',
    async (method) => {
      const { edge } = stack();
      const response = await edge.fetch(new Request('http://localhost/v1/traces', { method }));
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('POST');
      expect((await statusOf(response)).code).toBe(12);
    },
  );

  it.each(['POST', 'PUT', 'DELETE'])('%s of the read API is a problem: 405', async (method) => {
    const { edge } = stack();
    for (const path of ['services', 'traces/5b8efff798038103d269b633813fc60c']) {
      const request = new Request(`http://localhost/api/v1/${path}`, { method });
      const response = await edge.fetch(request);
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toContain('GET');
      expect(response.headers.get('content-type')).toBe('application/problem+json');
      expect(await response.json()).toMatchObject({ status: 405, title: 'Method not allowed' });
    }
  });

  it('the read API says of each parameter what it has to be', async () => {
    const { edge } = stack();
    const asked = 'timeseries?from=yesterday&step=7&kind=Servant&colour=red';
    const response = await edge.fetch(new Request(`http://localhost/api/v1/${asked}`));
    expect(response.status).toBe(400);
    const { faults } = await response.json<{ faults: { parameter: string; detail: string }[] }>();
    const said = Object.fromEntries(faults.map(({ parameter, detail }) => [parameter, detail]));
    expect(said).toEqual({
      from: expect.stringMatching(/^wanted: Begin, .* as 2026-11-21T13:00:00Z/),
      step: expect.stringMatching(/^wanted a number from 60 to 86400: /),
      kind: expect.stringMatching(/^wanted one of Server, Client, /),
      colour: 'there is no such parameter',
    });
  });

  it('row 10: OPTIONS is answered without a key, with a max age', async () => {
    const { edge } = stack({ settings: keySettings(await testKey(1, 'shop')) });
    const headers = { origin: 'https://shop.example', 'access-control-request-method': 'POST' };
    const request = new Request('http://localhost/v1/traces', { method: 'OPTIONS', headers });
    const response = await edge.fetch(request);
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(response.headers.get('access-control-allow-methods')).toContain('POST');
    expect(response.headers.get('access-control-allow-headers')).toContain('Content-Type');
    expect(Number(response.headers.get('access-control-max-age'))).toBeGreaterThan(0);
  });

  it.each(['/v1/traces/', '//v1/traces', '/v1//traces//'])(
    'row 12: POST %s is the same path',
    async (path) => {
      const { edge } = stack();
      const init = { method: 'POST', body: two, headers: protobufType };
      expect((await edge.fetch(new Request(`http://localhost${path}`, init))).status).toBe(200);
    },
  );

  it('GET /healthz says that it is well, and the page at / names every path', async () => {
    const { edge } = stack();
    expect((await edge.fetch(new Request('http://localhost/healthz'))).status).toBe(200);
    for (const { path } of Object.values(signalWires)) expect(page).toContain(`POST ${path}<`);
    for (const path of ['/metrics', '/healthz']) expect(page).toContain(`GET ${path}<`);
  });

  it('GET /metrics counts requests, spans by outcome and sinks', async () => {
    const { edge, post } = stack();
    const endBeforeStart = span(2, { endTimeUnixNano: '1' });
    const old = span(3, { startTimeUnixNano: '5' });
    await post(requestBytes([span(0), span(1, bad), endBeforeStart, old]));
    await post('garbage');
    const text = await (await edge.fetch(new Request('http://localhost/metrics'))).text();
    expect(text).toContain('tidemark_edge_requests_total{status="200"} 1\n');
    expect(text).toContain('tidemark_edge_requests_total{status="400"} 1\n');
    expect(text).toContain(
      'tidemark_edge_items_accepted_total{signal="traces",tenant="default"} 3\n',
    );
    expect(text).toContain(
      'tidemark_edge_items_rejected_total{signal="traces",reason="trace_id_length",tenant="default"} 1\n',
    );
    expect(text).toContain(
      'tidemark_edge_items_quarantined_total{signal="traces",tenant="default"} 1\n',
    );
    expect(text).toContain('tidemark_edge_durations_clamped_total{tenant="default"} 1\n');
    expect(text).toContain(
      'tidemark_edge_sink_total{sink="archive",result="ok",tenant="default"} 1\n',
    );
    expect(text).toContain(
      'tidemark_edge_exports_total{signal="traces",code="BAD_OTLP",tenant="default"} 1\n',
    );
    expect(text).toContain(
      'tidemark_edge_sink_seconds_count{service="clickhouse",tenant="default"} 1\n',
    );
    expect(text).toContain('tidemark_edge_in_flight_bytes 0\n');
  });
});

describe('createEdge() content types', () => {
  it('rows 8, 13, 15: both encodings are taken, and the answer has the type of the request', async () => {
    const { post } = stack();
    const protobuf = await post(two, protobufType);
    expect(protobuf.headers.get('content-type')).toBe('application/x-protobuf');
    const json = await post(requestJson([span(0), span(1)]), jsonType);
    expect(json.headers.get('content-type')).toBe('application/json');
    const archived = await Promise.all((await keys()).map(stored));
    expect(archived).toEqual([two, two]);
  });

  it.each(['application/json; charset=utf-8', 'APPLICATION/JSON', ' Application/Json ;x=y'])(
    'row 14: "%s" is JSON, and the answer has the bare type',
    async (type) => {
      const response = await stack().post('{}', { 'content-type': type });
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('application/json');
    },
  );

  it.each(['', 'text/plain', 'application/protobuf', 'application/json2', 'application/grpc'])(
    'row 16: type "%s" is 415 with a Status in JSON that names the types',
    async (type) => {
      const response = await stack().post(new Uint8Array(two), { 'content-type': type });
      expect(response.status).toBe(415);
      const { code, message } = await statusOf(response);
      expect(code).toBe(3);
      expect(message).toContain('application/x-protobuf');
      expect(message).toContain('application/json');
      expect(await keys()).toEqual([]);
    },
  );

  it('row 23: no type and a bad encoding is a Status in JSON', async () => {
    const response = await stack().post(new Uint8Array(two), { 'content-encoding': 'gzip' });
    expect(response.status).toBe(415);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect((await statusOf(response)).code).toBe(3);
  });
});

describe('createEdge() encodings', () => {
  it.each([
    ['gzip', zlib.gzipSync(two)],
    ['GZIP', zlib.gzipSync(two)],
    ['x-gzip', zlib.gzipSync(two)],
    ['zstd', zlib.zstdCompressSync(two)],
    ['deflate', zlib.deflateSync(two)],
    ['deflate', zlib.deflateRawSync(two)],
    ['zlib', zlib.deflateSync(two)],
    ['identity', two],
    ['none', two],
    ['', two],
  ])('rows 17, 18: encoding "%s" is taken', async (encoding, body) => {
    const response = await stack().post(body, { ...protobufType, 'content-encoding': encoding });
    expect(response.status).toBe(200);
    expect(await stored((await keys())[0] ?? '')).toEqual(two);
  });

  it.each(['br', 'snappy', 'gzip, gzip', 'lz4'])(
    'row 19: encoding "%s" is 415',
    async (encoding) => {
      const response = await stack().post(two, { ...protobufType, 'content-encoding': encoding });
      expect(response.status).toBe(415);
      expect((await statusOf(response)).message).toContain('zstd');
      expect(await keys()).toEqual([]);
    },
  );

  it.each(['gzip', 'zstd', 'deflate'])(
    'rows 20, 21: a plain body marked %s is 400 with code 3, in both types',
    async (encoding) => {
      const plain = new TextEncoder().encode(requestJson([span(0)]));
      for (const type of [protobufType, jsonType]) {
        const response = await stack().post(plain, { ...type, 'content-encoding': encoding });
        expect(response.status).toBe(400);
        expect(response.headers.get('content-type')).toBe(type['content-type']);
        expect((await statusOf(response)).code).toBe(3);
      }
      expect(await keys()).toEqual([]);
    },
  );
});

describe('createEdge() limits', () => {
  it('rows 25, 26, 28, 30: a body at the limit is taken, one byte more is 413', async () => {
    const exact = stack({ settings: settingsOf(two.length) });
    expect((await exact.post(two)).status).toBe(200);
    const less = stack({ settings: settingsOf(two.length - 1) });
    const response = await less.post(two);
    expect(response.status).toBe(413);
    expect((await statusOf(response)).message).toContain(String(two.length - 1));
    expect(less.inserts).toEqual([]);
    expect(await keys()).toHaveLength(1);
  });

  it('rows 25, 30: the limit holds for the inflated body too', async () => {
    const headers = { ...protobufType, 'content-encoding': 'gzip' };
    const exact = stack({ settings: { TIDEMARK_INFLATED_BYTES_MAX: String(two.length) } });
    expect((await exact.post(zlib.gzipSync(two), headers)).status).toBe(200);
    const less = stack({ settings: { TIDEMARK_INFLATED_BYTES_MAX: String(two.length - 1) } });
    expect((await less.post(zlib.gzipSync(two), headers)).status).toBe(413);
  });

  it('row 28: a Content-Length past the limit is refused before a byte is read', async () => {
    const { edge } = stack({ settings: settingsOf(1000) });
    let pulls = 0;
    const body = new ReadableStream(
      {
        pull(controller) {
          pulls += 1;
          controller.enqueue(new Uint8Array(100));
        },
      },
      { highWaterMark: 0 },
    );
    const headers = { ...protobufType, 'content-length': '1001' };
    const request = new Request('http://localhost/v1/traces', { method: 'POST', body, headers });
    expect((await edge.fetch(request)).status).toBe(413);
    expect(pulls).toBe(0);
  });

  it('row 29: a chunked body is taken, and stopped at the limit', async () => {
    const { post } = stack({ settings: settingsOf(1000) });
    const halves = [two.slice(0, 10), two.slice(10)];
    const chunked = new ReadableStream({
      pull(controller) {
        const half = halves.shift();
        if (half) controller.enqueue(half);
        else controller.close();
      },
    });
    expect((await post(chunked)).status).toBe(200);
    let sent = 0;
    const endless = new ReadableStream(
      {
        pull(controller) {
          sent += 100;
          controller.enqueue(new Uint8Array(100));
        },
      },
      { highWaterMark: 0 },
    );
    expect((await post(endless)).status).toBe(413);
    expect(sent).toBeLessThanOrEqual(1200);
  });

  it('row 44: past the bytes in flight a request is 503 with Retry-After', async () => {
    const { promise: gate, resolve: release } = Promise.withResolvers<Response>();
    const { post, edge } = stack({
      settings: { TIDEMARK_IN_FLIGHT_BYTES_MAX: '600' },
      clickhouse: () => gate,
    });
    const first = post(two);
    await expect.poll(keys).toHaveLength(1);
    const second = await post(requestBytes([span(0, { name: 'n'.repeat(400) })]));
    expect(second.status).toBe(503);
    expect(second.headers.get('retry-after')).toMatch(/^\d+$/);
    expect((await statusOf(second)).code).toBe(14);
    release(new Response(null));
    expect((await first).status).toBe(200);
    const large = requestBytes([span(0, { name: 'n'.repeat(4000) })]);
    expect((await post(large)).status, 'alone it is taken').toBe(200);
    expect(await keys()).toHaveLength(2);
    const metrics = await (await edge.fetch(new Request('http://localhost/metrics'))).text();
    expect(metrics).toContain('tidemark_edge_in_flight_bytes 0\n');
  });
});

describe('createEdge() answers', () => {
  it('row 31: full success leaves partial_success unset', async () => {
    const { post } = stack();
    expect((await (await post(two)).arrayBuffer()).byteLength).toBe(0);
    expect(await (await post(requestJson([span(0)]), jsonType)).text()).toBe('{}');
  });

  it('rows 32, 33: empty requests and envelopes are 200 and leave nothing', async () => {
    const { post, inserts } = stack();
    expect((await post(new Uint8Array(0))).status).toBe(200);
    expect((await post(null)).status).toBe(200);
    expect((await post('{}', jsonType)).status).toBe(200);
    expect((await post('{"resourceSpans":[{},{"scopeSpans":[{}]}]}', jsonType)).status).toBe(200);
    expect((await post(requestBytes([]))).status).toBe(200);
    expect(await keys()).toEqual([]);
    expect(inserts).toEqual([]);
  });

  it('row 32: an empty JSON body is 400', async () => {
    const response = await stack().post('', jsonType);
    expect(response.status).toBe(400);
    expect((await statusOf(response)).code).toBe(3);
  });

  it('rows 34, 35: some rejected is 200 with the exact count, and the archive has all bytes', async () => {
    const { post, inserts } = stack();
    const mixed = requestBytes([
      span(0),
      span(1, bad),
      span(2),
      span(3, { spanId: '' }),
      span(4, bad),
    ]);
    const response = await post(mixed);
    expect(response.status).toBe(200);
    expect(await exportedOf(response)).toEqual({
      partialSuccess: { rejectedSpans: '3', errorMessage: expect.stringContaining('3 of 5 spans') },
    });
    expect(await stored((await keys())[0] ?? '')).toEqual(mixed);
    const { rows, rowCount } = new Transcoder(transcoder).tracesToRowBinary(mixed, receipt);
    expect(rowCount).toBe(2);
    expect(inserts[0]?.rows).toEqual(rows);
  });

  it('rows 34, 69: all rejected is 200 with the count of all, and leaves nothing', async () => {
    const { post, inserts } = stack();
    const response = await post(requestBytes([span(0, bad), span(1, { spanId: '0'.repeat(16) })]));
    expect(response.status).toBe(200);
    expect(await exportedOf(response)).toMatchObject({ partialSuccess: { rejectedSpans: '2' } });
    expect(await keys()).toEqual([]);
    expect(inserts).toEqual([]);
  });

  it('row 36: quarantined spans are a warning, with nothing rejected, and get no row', async () => {
    const { post, inserts } = stack();
    const far = requestBytes([span(0, { startTimeUnixNano: '5' })]);
    const response = await post(far);
    expect(await exportedOf(response)).toEqual({
      partialSuccess: { errorMessage: expect.stringContaining('not shown live: 1 ') },
    });
    expect(await keys()).toHaveLength(1);
    expect(inserts).toEqual([]);
  });

  it('row 37: partial success in JSON has the count as a string', async () => {
    const { post } = stack();
    const response = await post(
      requestJson([span(0), span(1, { traceId: 'W47/95gDgQPSabYzgT/GDA==' })]),
      jsonType,
    );
    expect(await response.json()).toEqual({
      partialSuccess: { rejectedSpans: '1', errorMessage: expect.stringContaining('trace_id') },
    });
  });

  it('row 39: an answer stays small whatever the request says', async () => {
    const response = await stack().post(`{"resourceSpans":"${'x'.repeat(100_000)}"}`, jsonType);
    expect((await response.text()).length).toBeLessThan(30_000);
  });

  it.each([
    ['truncated protobuf', two.slice(0, two.length - 3)],
    ['garbage', new TextEncoder().encode('not protobuf at all')],
    ['a wrong wire type', Uint8Array.from([0x08, 0x01])],
    ['an endless varint', new Uint8Array(20).fill(0xff)],
  ])('rows 40, 41, 42: %s is 400 with BadRequest details', async (_what, body) => {
    const { post, inserts } = stack();
    const response = await post(body);
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toBe('application/x-protobuf');
    const { code, message, fields } = await statusOf(response);
    expect(code).toBe(3);
    expect(message).toMatch(/byte \d+/);
    expect(fields).toHaveLength(1);
    expect(inserts).toEqual([]);
    expect(await keys()).toEqual([]);
    expect((await post(two)).status).toBe(200);
  });

  it('row 42: in JSON the details name the path to the field', async () => {
    const json = '{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":true}]}]}]}';
    const { fields } = await statusOf(await stack().post(json, jsonType));
    expect(fields).toEqual(['resourceSpans[0].scopeSpans[0].spans[0].kind']);
  });

  it('row 46: 400 has no Retry-After', async () => {
    const response = await stack().post('garbage');
    expect(response.headers.get('retry-after')).toBeNull();
  });

  it('row 50: without a valid key 401, before the body is read', async () => {
    const [one, other] = [await testKey(1, 'shop'), await testKey(2, 'other')];
    const { edge, post } = stack({ settings: keySettings(one, other) });
    let pulls = 0;
    const body = new ReadableStream({ pull: () => void (pulls += 1) }, { highWaterMark: 0 });
    const init = { method: 'POST', body, headers: protobufType };
    const response = await edge.fetch(new Request('http://localhost/v1/traces', init));
    expect(response.status).toBe(401);
    expect((await statusOf(response)).code).toBe(16);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    expect(pulls).toBe(0);
    expect((await edge.fetch(new Request('http://localhost/metrics'))).status).toBe(401);
    expect(
      (await post(two, { ...protobufType, authorization: `Bearer ${other.key}` })).status,
    ).toBe(200);
    expect(await keys()).toEqual([`spool/archive/otlp_spans/${nowMs}+request-1+other`]);
  });

  it('row 52: CORS headers are on success and on errors, never with credentials', async () => {
    const listed = { TIDEMARK_CORS_ORIGINS: 'https://shop.example, https://b.example/' };
    for (const [settingsOfCase, origin, allowed] of [
      [{}, 'https://any.example', '*'],
      [listed, 'https://shop.example', 'https://shop.example'],
      [listed, 'https://b.example', 'https://b.example'],
      [listed, 'https://evil.example', null],
      [{ TIDEMARK_CORS_ORIGINS: '' }, 'https://shop.example', null],
    ] as const) {
      const { post } = stack({ settings: settingsOfCase });
      for (const body of [two, new Uint8Array([1])]) {
        const response = await post(body, { ...protobufType, origin });
        expect(response.headers.get('access-control-allow-origin')).toBe(allowed);
        expect(response.headers.get('access-control-allow-credentials')).toBeNull();
        expect(response.headers.get('vary')).toContain('Origin');
      }
    }
  });

  it('an amplifying request that does not fit the transcoder is 413 and leaves nothing', async () => {
    const attributes = [{ key: 'k', value: { stringValue: 'v'.repeat(1 << 20) } }];
    const spans = Array.from({ length: 200 }, (_value, index) => span(index));
    const json = JSON.stringify({
      resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans }] }],
    });
    const { post } = stack();
    const response = await post(json, jsonType);
    expect(response.status).toBe(413);
    expect(await keys()).toEqual([]);
    expect((await post(two)).status).toBe(200);
  });
});

describe('createEdge() settings', () => {
  const tools = {
    module: transcoder,
    now: () => 0,
    requestId: () => 'r',
    warn: () => {},
    fetch: () => Promise.reject(new Error('no network')),
    timeout: (ms: number) => AbortSignal.timeout(ms),
  };
  const bucket = {} as Parameters<typeof createEdge>[0]['ARCHIVE'];

  it.each([
    { TIDEMARK_UNKNOWN: '1' },
    { TIDEMARK_SINK_TIMEOUT_MS: 'soon' },
    { TIDEMARK_TENANT: 'Not/A/Tenant' },
    { TIDEMARK_KEYS: 'no-json' },
    { TIDEMARK_AUTH: 'keys' },
  ])('refuses %o', (values) => {
    expect(() => createEdge({ ARCHIVE: bucket, ...values }, tools)).toThrow(
      expect.objectContaining({ code: 'BAD_SETTING' }),
    );
  });
});
