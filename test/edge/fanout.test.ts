/** The edge's promise, with faults in either sink: real R2, a ClickHouse that fails on demand. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { fanOut } from '../../edge/fanout.ts';
import { Meter } from '../../edge/meter.ts';
import { openSinks } from '../../edge/sink.ts';
import { breakerFailuresMax, breakerOpenMs } from '../../schemas/limits.ts';
import { readSettings } from '../../schemas/settings.ts';
import {
  clear,
  jsonType,
  keys,
  nowMs,
  requestBytes,
  requestJson,
  silent,
  span,
  stack,
  stored,
} from './stack.ts';
import type { Options } from './stack.ts';
import { statusOf } from './status.ts';

const two = requestBytes([span(0), span(1)]);
const archiveKey = `spool/archive/otlp_spans/${nowMs}+request-1+default`;
/** The deduplication token stands in the place of the request id. */
const speedKey = new RegExp(`^spool/speed/otel_traces/${nowMs}\\+[0-9a-f]{32}\\+default$`);

beforeEach(clear);

/** The test's bucket, whose writes under `prefix` go wrong. */
function failing(prefix: string, put: () => Promise<never>): NonNullable<Options['bucket']> {
  return {
    get: (key) => env.ARCHIVE.get(key),
    list: (options) => env.ARCHIVE.list(options),
    delete: (all) => env.ARCHIVE.delete(all),
    put: (key, value) => (key.startsWith(prefix) ? put() : env.ARCHIVE.put(key, value)),
  };
}

const unused = () => Promise.reject(new Error('not called'));
const broken = () => Promise.reject(new Error('R2 is gone'));
const quick = { TIDEMARK_SINK_TIMEOUT_MS: '50' };

const requestOf = (index: number) => requestBytes([span(index)]);

describe('fanOut()', () => {
  it('fanOut() starts both legs at once', async () => {
    const order: string[] = [];
    const { promise: inserting, resolve: begun } = Promise.withResolvers<void>();
    const settings = readSettings({});
    await fanOut(
      {
        signal: 'traces',
        parts: [
          { parts: { receivedMs: 1, requestId: 'r', tenantId: 't' }, otlp: two, digest: 'd' },
        ],
        tables: [{ table: 'otel_traces', rows: two, rowCount: 2 }],
      },
      settings,
      {
        meter: new Meter(),
        sinks: openSinks(settings, {}, { fetch: unused, now: () => nowMs }),
        warn: () => {},
        timeout: (ms) => AbortSignal.timeout(ms),
        bucket: {
          put: async () => {
            order.push('archive begins');
            await inserting;
            order.push('archive ends');
          },
        },
        fetch: async () => {
          order.push('insert begins');
          begun();
          return new Response(null);
        },
      },
    );
    expect(order).toEqual(['archive begins', 'insert begins', 'archive ends']);
  });

  it.each<[string, NonNullable<Options['clickhouse']>]>([
    ['answers 500', () => new Response('boom', { status: 500 })],
    [
      'answers 503 with a code',
      () => new Response('', { status: 503, headers: { 'x-clickhouse-exception-code': '252' } }),
    ],
    ['refuses', () => Promise.reject(new Error('connection refused'))],
    ['is silent', silent],
    ['redirects', () => Response.redirect('http://elsewhere.example/', 302)],
    ['answers 200 with a page', () => new Response('<html>log in</html>')],
    [
      'answers 200 with an exception',
      () => new Response(null, { headers: { 'x-clickhouse-exception-code': '27' } }),
    ],
  ])('a ClickHouse that %s: 200, and the rows wait in the spool', async (_what, clickhouse) => {
    const { post, inserts, warnings } = stack({ clickhouse, settings: quick });
    const response = await post(two);
    expect(response.status).toBe(200);
    expect((await response.arrayBuffer()).byteLength).toBe(0);
    const [first, second = ''] = await keys();
    expect(first).toBe(archiveKey);
    expect(second).toMatch(speedKey);
    expect(await stored(archiveKey)).toEqual(two);
    expect(await stored(second)).toEqual(inserts[0]?.rows);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).not.toContain('boom');
  });

  it.each([
    ['fails', broken],
    ['is silent', () => new Promise<never>(() => {})],
  ])('row 43: an archive that %s is 503 with Retry-After, never 500', async (_what, put) => {
    const bucket = failing('spool/archive/', put);
    for (const clickhouse of [() => new Response(null), silent]) {
      const { post } = stack({ bucket, clickhouse, settings: quick });
      const response = await post(two);
      expect(response.status).toBe(503);
      expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
      expect(response.headers.get('content-type')).toBe('application/x-protobuf');
      expect((await statusOf(response)).code).toBe(14);
      expect(await keys(), 'the client sends it again: nothing is spooled').toEqual([]);
    }
  });

  it('rows 43, 45: neither ClickHouse nor the spool of rows is 503', async () => {
    const bucket = failing('spool/speed/', broken);
    const { post } = stack({ bucket, clickhouse: silent, settings: quick });
    const response = await post(requestJson([span(0)]), jsonType);
    expect(response.status).toBe(503);
    expect((await statusOf(response)).code).toBe(14);
    expect(await keys()).toEqual([archiveKey]);
  });

  it('row 38: partial success is answered only when the promise holds', async () => {
    const { post } = stack({ bucket: failing('spool/', broken) });
    const response = await post(requestBytes([span(0), span(1, { traceId: '' })]));
    expect(response.status).toBe(503);
  });

  it('the Worker goes on after each fault', async () => {
    let healthy = false;
    const clickhouse = () => new Response(null, { status: healthy ? 200 : 500 });
    const { post } = stack({ clickhouse });
    expect((await post(two)).status).toBe(200);
    healthy = true;
    expect((await post(two)).status).toBe(200);
    expect(await keys()).toHaveLength(3);
  });

  it('a request that is delivered twice has one deduplication token; another tenant, another', async () => {
    const { postTo, inserts } = stack({
      settings: { TIDEMARK_INFLATED_BYTES_MAX: '100000' },
    });
    for (const path of ['/v1/traces', '/v1/traces', '/t/default/v1/traces']) {
      expect((await postTo(path, two)).status).toBe(200);
    }
    await postTo('/v1/traces', requestBytes([span(0), span(2)]));
    const tokens = inserts.map(({ url }) => url.searchParams.get('insert_deduplication_token'));
    expect(tokens[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(tokens.slice(0, 3)).toEqual([tokens[0], tokens[0], tokens[0]]);
    expect(tokens[3]).not.toBe(tokens[0]);
  });

  it('ClickHouse is not asked while its breaker is open, and then with one request', async () => {
    let nowNow = nowMs;
    const { post, inserts } = stack({
      now: () => nowNow,
      clickhouse: () => new Response('', { status: 500 }),
    });
    for (let index = 0; index < breakerFailuresMax + 3; index += 1) await post(requestOf(index));
    expect(inserts).toHaveLength(breakerFailuresMax);
    nowNow += breakerOpenMs;
    await Promise.all([20, 21, 22].map((index) => post(requestOf(index))));
    expect(inserts).toHaveLength(breakerFailuresMax + 1);
    const spooled = (await keys()).filter((key) => key.startsWith('spool/speed/'));
    expect(spooled).toHaveLength(breakerFailuresMax + 6);
  });
});
