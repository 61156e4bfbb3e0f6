/**
 * Takes the pictures of docs/DASHBOARD.md: a shop's traffic of yesterday and today on the embedded stack, the batch
 * over it, and every page of the dashboard in a real browser, in light and in dark. Run it as a program, with the
 * directory to write to and the pages to take: by default all.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import type { Page } from 'playwright-core';
import { bundleDashboard } from '../../dev/dashboard.ts';
import { freePorts } from '../../dev/port.ts';
import { Traffic } from '../../dev/traffic.ts';
import { up } from '../../dev/up.ts';
import type { Stack } from '../../dev/up.ts';
import { readSettings } from '../../schemas/settings.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { openStore } from '../../workers/clients/store/objects.ts';
import { archiveStatus } from '../../workers/clients/commits/status.ts';

const root = path.join(import.meta.dirname, '../..');
const seed = 20261123;
const dayMs = 86_400_000;
const yesterday = new Date(Date.now() - dayMs).toISOString().slice(0, 10);

/** A picture: its name, where it is taken, and in which scheme. `TRACE` is the id of one with errors. */
const pictures: readonly (readonly [name: string, place: string, scheme: 'light' | 'dark'])[] = [
  ['services', '#/services?range=6h', 'light'],
  ['services-dark', '#/services?range=6h', 'dark'],
  ['service', '#/service?service=api-gateway&range=24h&date=YESTERDAY', 'light'],
  ['graph', '#/graph?date=YESTERDAY', 'light'],
  ['traces', '#/traces?status=Error&range=6h', 'light'],
  ['trace', '#/trace?id=TRACE', 'light'],
  ['logs', '#/logs?range=6h', 'light'],
  ['metrics', '#/metrics?metric=shop.orders.waiting&kind=gauge&range=6h', 'light'],
  ['trust', '#/trust', 'light'],
];

async function start(directory: string): Promise<Stack> {
  const [port, clickhousePort] = await freePorts(2);
  return up({
    settings: readSettings({
      TIDEMARK_DATA: directory,
      TIDEMARK_PORT: String(port),
      TIDEMARK_CLICKHOUSE_PORT: String(clickhousePort),
      TIDEMARK_FLUSH_AGE_MS: '1000',
      TIDEMARK_SPOOL_FLUSH_AGE_MS: '1000',
    }),
    environment: process.env,
    monotonicMs: () => performance.now(),
    onLine: () => undefined,
    schedulesBatch: false,
  });
}

async function tidemark(stack: Stack, ...args: readonly string[]): Promise<void> {
  const settings = Object.entries(stack.settings).map(([name, value]) => [name, String(value)]);
  const child = spawn(process.execPath, [path.join(root, 'bin/tidemark.js'), ...args], {
    env: { ...process.env, ...Object.fromEntries(settings) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await once(child, 'close');
  if (child.exitCode !== 0)
    process.stderr.write(`${args.join(' ')} ended with ${child.exitCode}\n`);
}

/** Waits until the spool is empty. */
async function archived(stack: Stack): Promise<void> {
  const store = openStore(stack.settings);
  for (;;) {
    const { spools } = await archiveStatus(store);
    if (spools.every(({ objects }) => objects === 0)) break;
    await pause(200);
  }
  store.close();
}

/** The shop, the batch of yesterday before and after its late spans, and what compares the layers. */
async function fill(stack: Stack): Promise<void> {
  const nowMs = Date.now();
  const traffic = new Traffic({ endpoint: stack.endpoint, seed, nowMs, spans: 60_000 });
  await traffic.sendPrompt();
  await sendQueue(stack, nowMs);
  await archived(stack);
  await tidemark(stack, 'batch', 'run', '--date', yesterday);
  await traffic.sendLate();
  await traffic.close();
  await archived(stack);
  await tidemark(stack, 'batch', 'run', '--date', yesterday);
  await tidemark(stack, 'batch', 'run', '--due', '--kind', 'hour');
  await tidemark(stack, 'drift', '--date', yesterday);
  await tidemark(stack, 'ledger', '--quiet');
}

/** A gauge by the minute, as an application with a timer sends it. */
async function sendQueue(stack: Stack, nowMs: number): Promise<void> {
  const dataPoints = Array.from({ length: 360 }, (_, minute) => ({
    timeUnixNano: `${nowMs - minute * 60_000}000000`,
    asDouble: Math.round(14 + 9 * Math.sin(minute / 40) + 4 * Math.sin(minute / 7)),
  }));
  const metric = { name: 'shop.orders.waiting', unit: '{order}', gauge: { dataPoints } };
  const attributes = [{ key: 'service.name', value: { stringValue: 'checkout' } }];
  const resourceMetrics = [{ resource: { attributes }, scopeMetrics: [{ metrics: [metric] }] }];
  await fetch(new URL('/v1/metrics', stack.endpoint), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ resourceMetrics }),
  });
}

/** A failed request with many spans. */
async function traceOf(stack: Stack): Promise<string> {
  const clickhouse = openClickHouse(stack.settings);
  const [row] = await clickhouse.query<{ id: string }>(
    `SELECT TraceId AS id FROM otel_traces WHERE Timestamp > now() - INTERVAL 6 HOUR
     GROUP BY TraceId HAVING countIf(StatusCode = 'Error') > 0 ORDER BY count() DESC LIMIT 1`,
  );
  await clickhouse.close();
  return row?.id ?? '';
}

/** Until nothing on the page changes any more. */
async function settled(page: Page): Promise<void> {
  await page.waitForLoadState('networkidle').catch(() => undefined);
  await page.waitForTimeout(2500);
}

async function take(stack: Stack, directory: string, wanted: readonly string[]): Promise<void> {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  });
  const trace = await traceOf(stack);
  for (const [name, place, colorScheme] of pictures) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const page = await browser.newPage({ viewport: { width: 1200, height: 800 }, colorScheme });
    const at = place.replace('TRACE', trace).replace('YESTERDAY', yesterday);
    await page.goto(new URL(`/${at}`, stack.endpoint).href);
    await settled(page);
    await page.screenshot({ path: path.join(directory, `${name}.png`) });
    await page.close();
  }
  await browser.close();
}

if (import.meta.main) {
  const [target = path.join(root, 'docs/pictures'), ...wanted] = process.argv.slice(2);
  mkdirSync(target, { recursive: true });
  const data = mkdtempSync(path.join(os.tmpdir(), 'tidemark-pictures-'));
  await bundleDashboard();
  const stack = await start(data);
  try {
    await fill(stack);
    await take(stack, target, wanted);
    if (process.env['KEEP'] !== undefined) {
      process.stdout.write(`${stack.endpoint}\n`);
      await once(process, 'SIGINT');
    }
  } finally {
    await stack.stop();
    rmSync(data, { recursive: true, force: true, maxRetries: 5 });
  }
}
