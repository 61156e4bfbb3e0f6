/** The edge's promise, with faults in either sink: real R2, a ClickHouse that fails on demand. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { fanOut } from '../../edge/fanout.ts';
import { Meter } from '../../edge/meter.ts';
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
const speedKey = `spool/speed/otel_traces/${nowMs}+request-1+default`;

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

const broken = () => Promise.reject(new Error('R2 is gone'));
const quick = { TIDEMARK_SINK_TIMEOUT_MS: '50' };

describe('fanOut()', () => {
  it('fanOut() starts both legs at once', async () => {
    const order: string[] = [];
    const settings = readSettings({});
    await fanOut(
      {
        signal: 'traces',
        parts: [{ parts: { receivedMs: 1, requestId: 'r', tenantId: 't' }, otlp: two }],
        tables: [{ table: 'otel_traces', rows: two, rowCount: 2 }],
      },
      settings,
      {
        meter: new Meter(),
        warn: () => {},
        timeout: (ms) => AbortSignal.timeout(ms),
        bucket: {
          put: async () => {
            order.push('archive begins');
            await Promise.resolve();
            order.push('archive ends');
          },
        },
        fetch: async () => {
          order.push('insert begins');
          return new Response(null);
        },
      },
    );
    expect(order.slice(0, 2).toSorted()).toEqual(['archive begins', 'insert begins']);
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
    expect(await keys()).toEqual([archiveKey, speedKey]);
    expect(await stored(archiveKey)).toEqual(two);
    expect(await stored(speedKey)).toEqual(inserts[0]?.rows);
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
});
