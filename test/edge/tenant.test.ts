/**
 * Keys, limits and tenants through the whole Worker in workerd: what is answered, in which encoding
 * and with which headers, and what is stored under whose name.
 */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { recordName } from '../../schemas/key.ts';
import type { KeyRecord } from '../../schemas/key.ts';
import { keySettings, testKey } from './key.ts';
import { clear, jsonType, keys, protobufType, requestBytes, span, stack } from './stack.ts';
import { statusOf } from './status.ts';

const two = requestBytes([span(0), span(1)]);
const origin = 'https://shop.example';

beforeEach(clear);

/** A body that counts how often it was asked for bytes. */
function lazyBody() {
  const asked = { times: 0 };
  const pull = (controller: ReadableStreamDefaultController) => {
    asked.times += 1;
    controller.enqueue(two);
    controller.close();
  };
  return { asked, body: new ReadableStream({ pull }, { highWaterMark: 0 }) };
}

/** A stack with one key of tenant `shop`, and a way to POST with it. */
async function shop(
  fields: Partial<KeyRecord> = {},
  settings: Record<string, string> = {},
  bindings: NonNullable<Parameters<typeof stack>[0]>['bindings'] = {},
) {
  const key = await testKey(1, 'shop', fields);
  const made = stack({ settings: { ...keySettings(key), ...settings }, bindings });
  const post = (
    headers: Record<string, string>,
    { path = '/v1/traces', body = two }: { path?: string; body?: BodyInit } = {},
  ) => {
    const init = { method: 'POST', body, headers: { 'x-api-key': key.key, ...headers } };
    return made.edge.fetch(new Request(`https://edge.example${path}`, init));
  };
  return { ...made, post, key };
}

/** GET /metrics with a key that has these fields. */
async function readMetrics(fields: Partial<KeyRecord>): Promise<Response> {
  const { edge, key } = await shop(fields);
  const headers = { authorization: `Basic ${btoa(`prometheus:${key.key}`)}` };
  return edge.fetch(new Request('https://edge.example/metrics', { headers }));
}

describe('createEdge() permissions', () => {
  it('row 50: what a key may not do is 403 with a Status in the type of the request', async () => {
    const { post } = await shop({ signals: ['logs'] });
    for (const type of [protobufType, jsonType]) {
      const { asked, body } = lazyBody();
      const response = await post({ ...type, origin }, { body });
      expect(response.status).toBe(403);
      expect(response.headers.get('content-type')).toBe(type['content-type']);
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(response.headers.get('vary')).toContain('Origin');
      expect(response.headers.get('retry-after')).toBeNull();
      const { code, message } = await statusOf(response);
      expect(code).toBe(7);
      expect(message).toContain('may not send traces');
      expect(asked.times).toBe(0);
    }
    expect(await keys()).toEqual([]);
  });

  it('GET /metrics wants a key that may read them', async () => {
    expect((await readMetrics({})).status).toBe(403);
    const response = await readMetrics({ metrics: true, signals: [] });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('# TYPE tidemark_edge_exports_total counter');
  });

  it('takes a key whose record is in Workers KV, as its tenant', async () => {
    const { id, key, record } = await testKey(11, 'stored');
    await env.KEYS.put(recordName(id), JSON.stringify(record));
    const { post } = await shop({}, { TIDEMARK_KEYS: '' }, { KEYS: env.KEYS });
    expect((await post({ ...protobufType, 'x-api-key': key })).status).toBe(200);
    expect(await keys()).toEqual([expect.stringMatching(/\+stored$/)]);
  });

  it('answers 503 with Retry-After while Workers KV does not answer: nobody loses a key', async () => {
    const KEYS = { get: () => Promise.reject(new Error('down')) };
    const { post } = await shop({}, { TIDEMARK_KEYS: '' }, { KEYS });
    const response = await post(protobufType);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
    expect((await statusOf(response)).code).toBe(14);
  });

  it('serves nobody without keys under a name that others can reach', async () => {
    const { edge, warnings } = stack({ settings: { TIDEMARK_AUTH: 'off' } });
    const init = { method: 'POST', body: two, headers: protobufType };
    const response = await edge.fetch(new Request('https://edge.example/v1/traces', init));
    expect(response.status).toBe(503);
    expect((await statusOf(response)).message).toContain('loopback');
    expect(warnings).toEqual([]);
    expect((await edge.fetch(new Request('https://edge.example/metrics'))).status).toBe(503);
    expect(await keys()).toEqual([]);
  });
});

describe('createEdge() limits of senders', () => {
  it('row 44: over the rate limit is 429 with Retry-After and code 8, before the body', async () => {
    const RATE_LIMIT_STANDARD = { limit: () => Promise.resolve({ success: false }) };
    const { post } = await shop({}, {}, { RATE_LIMIT_STANDARD });
    for (const type of [protobufType, jsonType]) {
      const { asked, body } = lazyBody();
      const response = await post({ ...type, origin }, { body });
      expect(response.status).toBe(429);
      expect(response.headers.get('retry-after')).toBe('10');
      expect(response.headers.get('content-type')).toBe(type['content-type']);
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(response.headers.get('access-control-expose-headers')).toContain('Retry-After');
      expect((await statusOf(response)).code).toBe(8);
      expect(asked.times).toBe(0);
    }
    expect(await keys()).toEqual([]);
  });

  it.each([
    [{ TIDEMARK_TENANT_ITEMS_PER_MINUTE: '2' }, 'items'],
    [{ TIDEMARK_TENANT_BYTES_PER_MINUTE: String(two.length) }, 'bytes'],
  ])('a quota of %j is used up by one request, and the next is 429', async (settings, unit) => {
    const { post } = await shop({}, settings);
    expect((await post(protobufType)).status).toBe(200);
    const response = await post(protobufType);
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('1');
    expect((await statusOf(response)).message).toContain(`${unit} a minute`);
    expect(await keys()).toHaveLength(1);
  });

  it('charges bytes of a body that cannot be decoded, and invalid items', async () => {
    const garbage = await shop({ bytesPerMinute: 4 });
    expect((await garbage.post(protobufType, { body: 'garbage' })).status).toBe(400);
    expect((await garbage.post(protobufType)).status).toBe(429);
    const invalid = await shop({ itemsPerMinute: 1 });
    const body = requestBytes([span(0, { traceId: '00' })]);
    expect((await invalid.post(protobufType, { body })).status).toBe(200);
    expect((await invalid.post(protobufType)).status).toBe(429);
  });
});

describe('createEdge() origins', () => {
  it('row 52: a public key works from its origins; a refusal is readable where CORS allows', async () => {
    const settings = { TIDEMARK_CORS_ORIGINS: `${origin},https://other.example` };
    const { post, edge } = await shop({ origins: [origin] }, settings);
    for (const [from, status, allowed] of [
      [origin, 200, origin],
      ['https://other.example', 403, 'https://other.example'],
      ['https://evil.example', 403, null],
      [undefined, 403, null],
    ] as const) {
      const response = await post({ ...protobufType, ...(from && { origin: from }) });
      expect(response.status).toBe(status);
      expect(response.headers.get('access-control-allow-origin')).toBe(allowed);
      expect(response.headers.get('vary')).toContain('Origin');
    }
    // A preflight carries no key: the deployment's origins alone answer it.
    for (const from of [origin, 'https://other.example', 'https://evil.example']) {
      const init = { method: 'OPTIONS', headers: { origin: from } };
      const response = await edge.fetch(new Request('https://edge.example/v1/logs', init));
      const allowed = response.headers.get('access-control-allow-origin');
      expect(allowed).toBe(from === 'https://evil.example' ? null : from);
      expect(response.headers.get('access-control-allow-headers')).toContain('X-Api-Key');
    }
  });
});

describe('createEdge() tenants in paths', () => {
  it('row 5: a path may name the tenant of the key, and no other', async () => {
    const { post } = await shop();
    expect((await post(protobufType, { path: '/t/shop/v1/traces' })).status).toBe(200);
    const response = await post(protobufType, { path: '/t/other/v1/traces' });
    expect(response.status).toBe(403);
    expect((await statusOf(response)).code).toBe(7);
    expect(await keys()).toEqual([expect.stringMatching(/\+shop$/)]);
  });

  it('a tenant of dots is no tenant: by the URL Standard it is the path without one', async () => {
    const { post } = await shop();
    expect((await post(protobufType, { path: '/t/%2e%2e/v1/traces' })).status).toBe(200);
    expect(await keys()).toEqual([expect.stringMatching(/\+shop$/)]);
  });

  it.each([
    "/t/shop'%20OR%201=1--/v1/traces",
    '/t/shop%27/v1/traces',
    '/t/shop%2Fother/v1/traces',
    '/t/shop%2f..%2fother/v1/traces',
    '/t/..%2f..%2f_commits/v1/traces',
    '/t/shop%00/v1/traces',
    '/t/shop%0a/v1/traces',
    '/t/SHOP/v1/traces',
    '/t/shop+x/v1/traces',
    '/t/shop%2Bx/v1/traces',
    '/t/sh%C3%B6p/v1/traces',
    '/t/%F0%9F%9B%92/v1/traces',
    '/t/%E2%80%AEshop/v1/traces',
    '/t/%ff/v1/traces',
    '/t/%/v1/traces',
    '/t//v1/traces',
    `/t/${'a'.repeat(64)}/v1/traces`,
    '/t/-shop/v1/traces',
    '/t/shop/t/other/v1/traces',
  ])('%s is 403 or 404, with keys and without, and stores nothing', async (path) => {
    const { post, inserts } = await shop();
    const withKey = await post(protobufType, { path });
    expect([403, 404]).toContain(withKey.status);
    const open = stack();
    const init = { method: 'POST', body: two, headers: protobufType };
    const without = await open.edge.fetch(new Request(`http://localhost${path}`, init));
    expect([403, 404]).toContain(without.status);
    expect([...inserts, ...open.inserts]).toEqual([]);
    expect(await keys()).toEqual([]);
  });
});
