/**
 * A trace that ClickHouse has let go, as the API and the dashboard show it: on the Worker in workerd, the
 * real ClickHouse, a real bucket and the lookup service, with two tenants who must never meet.
 */
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleDashboard } from '../../dev/dashboard.ts';
import { digest, hex } from '../../schemas/key.ts';
import { startLookup, type LookupServer } from '../../workers/lookup.ts';
import type { TraceRow } from '../../workers/lookup/row.ts';
import { Generator, receivedMs } from '../aggregator-as/generate.ts';
import { archiveDeliveries, type Delivery } from '../support/delivered.ts';
import { startEdge, type TestEdge } from '../support/edge.ts';
import { encodeTraces } from '../support/otlp.ts';
import { seededRandom } from '../support/random.ts';
import { insertSent } from '../support/sent.ts';
import { startStack, type Stack } from '../support/stack.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
const executablePath = '/usr/bin/chromium';
const hasBrowser = existsSync(executablePath);
if (!hasBrowser) {
  process.stderr.write(`SKIPPED: there is no ${executablePath}; install the package chromium\n`);
}
const token = 'token-of-the-lookup-service';
const keys = {
  acme: `tm_${'a'.repeat(16)}_${'1'.repeat(48)}`,
  beta: `tm_${'b'.repeat(16)}_${'2'.repeat(48)}`,
};
const shared = '5b8efff798038103d269b633813fc60c';
let stack: Stack;
let edge: TestEdge;
let lookup: LookupServer;
/** A trace of acme's alone. */
let own = '';
let isClosed = false;

async function recordsOf(): Promise<string> {
  const entries = Object.entries(keys).map(async ([tenant, key]) => {
    const hash = hex(await digest(key));
    const rights = { signals: ['traces'], read: true, created: '2026-11-22T00:00:00Z' };
    return [key.split('_')[1], { version: 1, hash, tenant, ...rights }] as const;
  });
  return JSON.stringify(Object.fromEntries(await Promise.all(entries)));
}

const span = (spanId: string, parentSpanId: string, name: string) => ({
  traceId: Buffer.from(shared, 'hex'),
  spanId: Buffer.from(spanId, 'hex'),
  ...(parentSpanId !== '' && { parentSpanId: Buffer.from(parentSpanId, 'hex') }),
  name,
  startTimeUnixNano: `${receivedMs}000007`,
  endTimeUnixNano: `${receivedMs + 5}000000`,
});

/** A trace of two spans that both tenants have under one id. */
function sharedTrace(tenant: string): Uint8Array {
  const spans = [
    span('01'.repeat(8), '', `root of ${tenant}`),
    span('02'.repeat(8), '01'.repeat(8), 'child'),
  ];
  const attributes = [{ key: 'service.name', value: { stringValue: `${tenant}-shop` } }];
  return encodeTraces({ resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans }] }] });
}

async function get(traceId: string, key = keys.acme) {
  const headers = { authorization: `Bearer ${key}` };
  const answer = await fetch(`${edge.origin}/api/v1/traces/${traceId}`, { headers });
  const body = (await answer.json()) as { data?: (TraceRow & { readonly layer: string })[] };
  return { status: answer.status, data: body.data ?? [] };
}

/** Asks the service past the Worker. */
const ask = (path: string, headers: Record<string, string>) =>
  fetch(`${lookup.url}${path}`, { headers }).then(async (answer) => ({
    status: answer.status,
    body: await answer.text(),
  }));

beforeAll(async () => {
  console.log(`seed ${seed}`);
  await bundleDashboard();
  stack = await startStack();
  const log = { info: () => undefined, warn: () => undefined, debug: () => undefined };
  lookup = await startLookup({
    store: stack.store,
    settings: {
      TIDEMARK_LOOKUP_HOST: '127.0.0.1',
      TIDEMARK_LOOKUP_PORT: 0,
      TIDEMARK_LOOKUP_TOKEN: token,
    },
    log,
    now: () => receivedMs,
    timeout: (ms) => AbortSignal.timeout(ms),
  });
  edge = await startEdge({
    CLICKHOUSE_URL: stack.settings.CLICKHOUSE_URL,
    TIDEMARK_KEYS: await recordsOf(),
    TIDEMARK_LOOKUP_URL: lookup.url,
    TIDEMARK_LOOKUP_TOKEN: token,
  });
}, 180_000);

afterAll(async () => {
  await edge.stop();
  if (!isClosed) await lookup.close();
  await stack.close();
});

describe('a trace that is in the archive alone', () => {
  it(
    'is what ClickHouse had, value for value, and its tenant’s alone',
    { timeout: 180_000 },
    async () => {
      const generator = new Generator(seededRandom(seed));
      const random = Array.from({ length: 30 }, () => generator.request());
      const requests = [
        ...random.map((request) => ({ request, tenantId: 'acme' })),
        ...(['acme', 'beta'] as const).map((tenantId) => ({
          request: sharedTrace(tenantId),
          tenantId,
        })),
        // Received twice: shown once.
        { request: sharedTrace('acme'), tenantId: 'acme' },
      ];
      const sent = requests.map((one, i): Delivery => ({
        ...one,
        receivedMs: receivedMs + i,
        partition: 0,
        offset: BigInt(i),
      }));
      await archiveDeliveries(stack.store, 'traces', sent);
      await insertSent(stack.settings.CLICKHOUSE_URL, 'traces', sent);
      // Of copies that differ each layer may show another one: those of the random traces have none.
      const found = await stack.clickhouse.query<{ id: string }>(
        `SELECT TraceId AS id FROM otel_traces
           WHERE TenantId = 'acme' AND TraceId != {shared:String}
           GROUP BY id
           HAVING count() = uniqExact(SpanId, SpanKind) AND min(Timestamp) > {since:DateTime('UTC')}
           ORDER BY count() DESC, id LIMIT 12`,
        { shared, since: Math.floor(receivedMs / 1000) - 6 * 86_400 },
      );
      const ids = [...found.map(({ id }) => id), shared];
      own = ids[0] ?? '';
      expect(ids.length).toBeGreaterThan(10);
      const live = await Promise.all(ids.map((id) => get(id)));
      for (const { data } of live) expect(data[0]?.layer).toBe('realtime');

      await stack.clickhouse.command('TRUNCATE TABLE otel_traces');
      for (const [index, id] of ids.entries()) {
        const { status, data } = await get(id);
        expect(status).toBe(200);
        const expected = live[index]?.data.map((row) => ({ ...row, layer: 'archive' }));
        expect(data).toEqual(expected);
      }
      const [mine, others] = [await get(shared), await get(shared, keys.beta)];
      expect(mine.data.map((row) => row.service)).toEqual(['acme-shop', 'acme-shop']);
      expect(others.data.map((row) => row.operation)).toEqual(['root of beta', 'child']);
    },
  );

  it('cannot be had by another tenant, nor past the Worker', { timeout: 60_000 }, async () => {
    const bare = `${'0'.repeat(31)}1`;
    expect((await get(bare)).status).toBe(404);
    expect((await get(own)).status).toBe(200);
    expect((await get(own, keys.beta)).status).toBe(404);
    const bearer = { authorization: `Bearer ${token}` };
    expect((await ask(`/traces/${shared}`, { 'tidemark-tenant': 'acme' })).status).toBe(401);
    const wrong = { authorization: 'Bearer guess', 'tidemark-tenant': 'acme' };
    expect((await ask(`/traces/${shared}`, wrong)).status).toBe(401);
    expect((await ask(`/traces/${shared}`, bearer)).status).toBe(400);
    const odd = { ...bearer, 'tidemark-tenant': 'acme" OR "1' };
    expect((await ask(`/traces/${shared}`, odd)).status).toBe(400);
    const nobody = { ...bearer, 'tidemark-tenant': 'nobody' };
    expect((await ask(`/traces/${shared}`, nobody)).status).toBe(404);
    expect((await ask('/traces/..%2f..', { ...nobody })).status).toBe(404);
    // A client's own header does not reach the service.
    const answer = await fetch(`${edge.origin}/api/v1/traces/${shared}`, {
      headers: { authorization: `Bearer ${keys.beta}`, 'tidemark-tenant': 'acme' },
    });
    expect(await answer.text()).not.toContain('acme');
  });

  it.skipIf(!hasBrowser)('is a waterfall on the dashboard', { timeout: 120_000 }, async () => {
    const args = ['--no-sandbox', '--disable-dev-shm-usage'];
    const browser = await chromium.launch({ executablePath, args });
    try {
      const page = await browser.newPage();
      await page.addInitScript(`sessionStorage.setItem('tidemark.key', '${keys.acme}')`);
      await page.goto(`${edge.origin}/#/trace?id=${shared}`);
      await page.getByText('2 spans of 1 services in').waitFor();
      expect(await page.locator('main').innerText()).toContain('from the archive');
      expect(await page.locator('ol.waterfall > li').count()).toBe(2);
    } finally {
      await browser.close();
    }
  });

  it('is not there, or cannot be looked for: the answers differ', async () => {
    await lookup.close();
    isClosed = true;
    expect((await get('00000000000000000000000000000002')).status).toBe(503);
  });
});
