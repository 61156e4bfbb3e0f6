/**
 * The OpenTelemetry JS SDK in a real browser, on a page of another origin: preflights, CORS headers
 * and all three signals, looked up in ClickHouse and in the archive leg.
 */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attributesOf, startReceived } from '../support/received.ts';
import type { Received } from '../support/received.ts';

const executablePath = '/usr/bin/chromium';
const hasBrowser = existsSync(executablePath);
if (!hasBrowser) {
  process.stderr.write(`SKIPPED: there is no ${executablePath}; install the package chromium\n`);
}

let received: Received;
let page: http.Server;

beforeAll(async () => {
  if (!hasBrowser) return;
  received = await startReceived();
  const { outputFiles } = await build({
    entryPoints: [path.join(import.meta.dirname, '../support/page.ts')],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    define: { ENDPOINT: JSON.stringify(received.endpoint) },
  });
  const script = outputFiles[0]?.text ?? '';
  page = http.createServer((_request, answer) => {
    answer.setHeader('content-type', 'text/html; charset=utf-8');
    answer.end(
      `<!doctype html><meta charset="utf-8"><title>shop</title><script>${script}</script>`,
    );
  });
  await once(page.listen(0, '127.0.0.1'), 'listening');
});

afterAll(async () => {
  if (!hasBrowser) return;
  page.close();
  await received.close();
});

describe.skipIf(!hasBrowser)('a page of another origin', () => {
  it('sends traces, logs and metrics as JSON and as protobuf, and all of it arrives', async () => {
    const browser = await chromium.launch({
      executablePath,
      args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
    });
    try {
      const tab = await browser.newPage();
      const errors: string[] = [];
      tab.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
      tab.on('pageerror', (error) => errors.push(error.message));
      const { port } = page.address() as AddressInfo;
      await tab.goto(`http://127.0.0.1:${port}/`);
      await tab.waitForFunction('window.sent !== undefined', undefined, { timeout: 30_000 });
      expect(await tab.evaluate('window.sent')).toBe('ok');
      expect(errors).toEqual([]);
    } finally {
      await browser.close();
    }
    for (const service of ['browser-json', 'browser-protobuf']) {
      const [span] = await received.rows('otel_traces', service);
      expect(span).toMatchObject({
        SpanName: 'click',
        SpanAttributes: { 'page.name': 'cart – 🛒' },
      });
      const [log] = await received.rows('otel_logs', service);
      expect(log).toMatchObject({ Body: 'added', SeverityText: 'INFO', LogAttributes: { n: '1' } });
      const [sum] = await received.rows('otel_metrics_sum', service);
      expect(sum).toMatchObject({ MetricName: 'clicks', Value: 2, Attributes: { button: 'buy' } });
      const [archivedSpan] = await received.archived('traces', service);
      expect(attributesOf(archivedSpan)).toMatchObject({ 'page.name': 'cart – 🛒' });
      expect(await received.archived('logs', service)).toHaveLength(1);
      // The SDK exports metrics when it is flushed, and again when it is shut down.
      const metrics = await received.archived('metrics', service);
      expect(new Set(metrics.map(({ name }) => name))).toEqual(new Set(['clicks']));
    }
  });
});
