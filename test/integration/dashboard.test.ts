/** The dashboard in a real browser, on the Worker in workerd and the real ClickHouse. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleDashboard } from '../../dev/dashboard.ts';
import { readSettings } from '../../schemas/settings.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import { startMigrated } from '../support/schema.ts';
import type { TestClickHouse } from '../support/clickhouse.ts';
import { startEdge } from '../support/edge.ts';
import type { TestEdge } from '../support/edge.ts';
import { encodeRequest } from '../support/otlp.ts';

const executablePath = '/usr/bin/chromium';
const hasBrowser = existsSync(executablePath);
if (!hasBrowser) {
  process.stderr.write(`SKIPPED: there is no ${executablePath}; install the package chromium\n`);
}
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const pictures = process.env['PICTURES'];

let server: TestClickHouse;
let clickhouse: ClickHouse;
let edge: TestEdge;
let browser: Browser;

beforeAll(async () => {
  if (!hasBrowser) return;
  await bundleDashboard();
  server = await startMigrated();
  clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  await migrate(clickhouse);
  edge = await startEdge({ CLICKHOUSE_URL: server.url, TIDEMARK_AUTH: 'off' });
  browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  });
  await seed();
}, 120_000);

afterAll(async () => {
  if (!hasBrowser) return;
  await browser.close();
  await edge.stop();
  await clickhouse.close();
  await server.stop();
});

/** Sends OTLP as a client does. */
async function send(
  signal: 'traces' | 'logs' | 'metrics',
  message: Record<string, unknown>,
): Promise<void> {
  const answer = await fetch(`${edge.origin}/v1/${signal}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: encodeRequest(signal, message) as Uint8Array<ArrayBuffer>,
  });
  expect(answer.status).toBe(200);
}

const traceId = Buffer.from('5b8efff798038103d269b633813fc60c', 'hex');

function resourceOf(service: string) {
  return { attributes: [{ key: 'service.name', value: { stringValue: service } }] };
}

/** A span that began so many ms ago. */
function spanOf(id: number, name: string, agoMs: number, more: object = {}) {
  const startNs = BigInt(Date.now() - agoMs) * 1_000_000n;
  return {
    traceId,
    spanId: Buffer.from(id.toString(16).padStart(16, '0'), 'hex'),
    name,
    kind: 2,
    startTimeUnixNano: String(startNs),
    endTimeUnixNano: String(startNs + 40_000_000n),
    ...more,
  };
}

async function seed(): Promise<void> {
  for (let minute = 0; minute < 30; minute += 1) {
    const spans = Array.from({ length: 5 }, (_, index) =>
      spanOf(1000 + minute * 5 + index, 'GET /cart', 60_000 * (minute + 1), {
        traceId: Buffer.alloc(16, minute + 1),
        status: index === 0 ? { code: 2 } : {},
      }),
    );
    await send('traces', {
      resourceSpans: [{ resource: resourceOf('cart'), scopeSpans: [{ spans }] }],
    });
  }
  await send('traces', {
    resourceSpans: [
      {
        resource: resourceOf('frontend'),
        scopeSpans: [{ spans: [spanOf(1, 'GET /checkout', 5000)] }],
      },
      {
        resource: resourceOf('cart'),
        scopeSpans: [
          {
            spans: [
              spanOf(2, 'GET /cart', 4990, {
                parentSpanId: Buffer.from('0000000000000001', 'hex'),
              }),
            ],
          },
        ],
      },
    ],
  });
  const timeUnixNano = String(BigInt(Date.now() - 3000) * 1_000_000n);
  const record = { timeUnixNano, severityNumber: 17, severityText: 'ERROR' };
  await send('logs', {
    resourceLogs: [
      {
        resource: resourceOf('cart'),
        scopeLogs: [
          {
            logRecords: [
              {
                ...record,
                body: { stringValue: '<img src=x onerror=alert(1)> is only text' },
                traceId,
              },
              { ...record, body: { stringValue: 'second line' } },
            ],
          },
        ],
      },
    ],
  });
  const dataPoints = Array.from({ length: 10 }, (_, index) => ({
    timeUnixNano: String(BigInt(Date.now() - index * 60_000) * 1_000_000n),
    asDouble: 10 - index,
  }));
  const scopeMetrics = [{ metrics: [{ name: 'queue.length', gauge: { dataPoints } }] }];
  await send('metrics', { resourceMetrics: [{ resource: resourceOf('cart'), scopeMetrics }] });
  await publish();
}

const today = new Date().toISOString().slice(0, 10);
const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);

/** A run of yesterday, as the batch publishes one. */
async function publish(): Promise<void> {
  const key = { date: yesterday, run_id: 'run-1', tenant_id: 'default' };
  const figures = {
    total_spans: 90,
    duplicate_spans: 3,
    p50_ms: 10,
    p95_ms: 20,
    p99_ms: 30,
    error_count: 1,
  };
  await clickhouse.insertRows('service_stats_batch', [
    { ...key, service_name: 'cart', operation_name: 'GET /cart', span_kind: 'Server', ...figures },
  ]);
  const edges = [
    ['user', 'frontend', 'virtual_node', 'caller'],
    ['frontend', 'cart', '', ''],
    ['cart', 'redis', 'database', 'callee'],
  ];
  await clickhouse.insertRows(
    'service_graph_batch',
    edges.map(([caller, callee, type, side]) => ({
      ...key,
      caller,
      callee,
      connection_type: type,
      virtual_side: side,
      calls: 30,
      errors: 2,
      p50_ms: 4,
      p95_ms: 5,
      p99_ms: 6,
    })),
  );
  await clickhouse.insertRows('ledger_minutes', [
    {
      signal: 'traces',
      tenant_id: 'default',
      minute: `${today} 00:00:00`,
      computed_at: new Date().toISOString(),
      is_settled: true,
      received: 90,
      accepted: 90,
      archived: 90,
      speed: 79,
      differences: { missing_in_speed: 11 },
    },
  ]);
  await clickhouse.insertRows('batch_runs', [
    {
      signal: 'traces',
      period_kind: 'day',
      period_start: `${yesterday}T00:00:00Z`,
      run_id: 'run-1',
      published_at: new Date().toISOString(),
      is_final: true,
      watermark: new Date().toISOString(),
      input_hash: 'x',
    },
  ]);
}

async function open(place: string, options: object = {}): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 }, ...options });
  page.on('pageerror', (error) => faults.push(`${place}: ${error.message}`));
  page.on('console', (line) => {
    if (line.type() === 'error') faults.push(`${place}: ${line.text()}`);
  });
  await page.goto(`${edge.origin}/${place}`);
  return page;
}

const faults: string[] = [];

/** What axe-core found. */
interface Audit {
  readonly violations: readonly {
    readonly id: string;
    readonly impact: string;
    readonly nodes: readonly { readonly html: string }[];
  }[];
}

/** What each page must say. */
const places: readonly (readonly [string, string, string])[] = [
  ['services', '#/services', 'cart'],
  ['service', '#/service?service=cart', 'GET /cart'],
  ['traces', '#/traces?status=Error', 'GET /cart'],
  ['trace', `#/trace?id=${traceId.toString('hex')}`, '2 spans of 2 services'],
  ['graph', `#/graph?date=${yesterday}`, 'redis'],
  ['live graph', '#/graph', 'live'],
  ['logs', '#/logs', '<img src=x onerror=alert(1)> is only text'],
  ['metrics', '#/metrics?metric=queue.length&kind=gauge', 'queue.length'],
  ['trust', '#/trust', 'run-1'],
  ['books', '#/trust', 'missing in the speed layer'],
];

describe.skipIf(!hasBrowser)('the dashboard', () => {
  it.each(places)(
    '%s loads, says what it must, and has no serious fault of access',
    async (name, place, text) => {
      const page = await open(place, { colorScheme: 'light', bypassCSP: true });
      await page.locator('main', { hasText: text }).waitFor();
      if (pictures !== undefined) await page.screenshot({ path: join(pictures, `${name}.png`) });
      await page.evaluate(axe);
      const light = await page.evaluate<Audit>('axe.run()');
      await page.emulateMedia({ colorScheme: 'dark' });
      const dark = await page.evaluate<Audit>(`axe.run({ runOnly: ['color-contrast'] })`);
      await page.setViewportSize({ width: 360, height: 700 });
      await page.waitForTimeout(100);
      const [seen, whole] = await page.evaluate<[number, number]>(
        '[document.documentElement.clientWidth, document.documentElement.scrollWidth]',
      );
      expect(whole, 'it fits a phone').toBe(seen);
      await page.close();
      const serious = [...light.violations, ...dark.violations].filter(({ impact }) =>
        ['serious', 'critical'].includes(impact),
      );
      expect(serious.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([]);
      expect(faults).toEqual([]);
    },
  );

  it('shows a span within a second or so of sending it', async () => {
    const page = await open('#/services');
    await page.locator('main', { hasText: 'cart' }).waitFor();
    const startMs = Date.now();
    await send('traces', {
      resourceSpans: [
        { resource: resourceOf('newcomer'), scopeSpans: [{ spans: [spanOf(9, 'hello', 0)] }] },
      ],
    });
    await page.locator('main', { hasText: 'newcomer' }).waitFor();
    console.info(`seen after ${Date.now() - startMs} ms`);
    expect(Date.now() - startMs).toBeLessThan(10_000);
    await page.close();
  });

  it('marks what is exact, and switches the layer when a run is published', async () => {
    const page = await open(`#/service?service=cart&date=${yesterday}`);
    await page.locator('td .badge.exact').waitFor();
    await page.goto(`${edge.origin}/#/service?service=cart&date=${today}`);
    await page.locator('td .badge.live').waitFor();
    await clickhouse.insertRows('service_stats_batch', [
      {
        date: today,
        run_id: 'run-2',
        tenant_id: 'default',
        service_name: 'cart',
        operation_name: 'GET /cart',
        total_spans: 1,
      },
    ]);
    await clickhouse.insertRows('batch_runs', [
      {
        signal: 'traces',
        period_kind: 'day',
        period_start: `${today}T00:00:00Z`,
        run_id: 'run-2',
        published_at: new Date().toISOString(),
        is_final: false,
      },
    ]);
    await page.locator('td .badge.provisional').waitFor();
    expect(await page.locator('td .badge.live').count()).toBe(0);
    await page.close();
  });

  it('is used by keyboard: the focus stays on a link while the page refreshes', async () => {
    const page = await open('#/services');
    await page.locator('main a', { hasText: 'cart' }).first().focus();
    await page.waitForTimeout(2500);
    expect(await page.evaluate('document.activeElement.textContent')).toBe('cart');
    await page.keyboard.press('Enter');
    await page.locator('h1', { hasText: 'cart' }).waitFor();
    await page.close();
  });

  it('loads in 150 kB', async () => {
    const names = ['index.html', 'app.js', 'app.css'];
    const bodies = await Promise.all(
      names.map(async (name) => (await fetch(`${edge.origin}/${name}`)).text()),
    );
    const sizes = bodies.map((body) => [gzipSync(body).length, brotliCompressSync(body).length]);
    console.info(`gzip and brotli bytes: ${JSON.stringify(sizes)}`);
    expect(sizes.reduce((sum, [gzip = 0]) => sum + gzip, 0)).toBeLessThan(150_000);
  });
});
