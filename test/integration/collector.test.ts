/**
 * Real clients that are not ours, against the embedded stack: the OpenTelemetry Collector's
 * otlphttp exporter, telemetrygen, and the SDK for Python. A front server between them and the edge
 * counts what the edge took: what a generator was asked for is no measure of what it sends.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Signal } from '../../schemas/archive.ts';
import type { SpeedTable } from '../../schemas/tables.ts';
import { startCollector } from '../support/collector.ts';
import { startFront } from '../support/front.ts';
import type { Front } from '../support/front.ts';
import { collector, peerBuildMs, python, telemetrygen } from '../support/peers.ts';
import { itemsOf, startReceived } from '../support/received.ts';
import type { Decoded, Received } from '../support/received.ts';

const [otelcol, generator, snake] = await Promise.all([collector(), telemetrygen(), python()]);

const tables: Record<Signal, SpeedTable> = {
  traces: 'otel_traces',
  logs: 'otel_logs',
  metrics: 'otel_metrics_sum',
};
const signals = ['traces', 'metrics', 'logs'] as const;

let received: Received;
let front: Front;

beforeAll(async () => {
  received = await startReceived();
  front = await startFront(received.endpoint);
}, peerBuildMs);

afterAll(async () => {
  front.close();
  await received.close();
});

async function run(file: string, args: readonly string[]): Promise<string> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  if (child.exitCode !== 0) throw new Error(`${path.basename(file)} failed:\n${stderr}`);
  return stdout;
}

/** Has telemetrygen send some of a signal over OTLP/HTTP, in several requests. */
async function generate(signal: Signal, endpoint: string, service: string): Promise<void> {
  const counts = {
    traces: ['--traces=30', '--status-code=Error'],
    metrics: ['--metrics=60', '--metric-type=Sum'],
    logs: ['--logs=60'],
  };
  const flags = `--rate=200 --batch-size=25 --otlp-http --otlp-insecure
    --otlp-endpoint=${new URL(endpoint).host} --otlp-http-url-path=/v1/${signal}
    --service=${service} --telemetry-attributes=cart="größer" --telemetry-attributes=items=7
    --otlp-attributes=deployment="blue"`;
  await run(pathOf(generator), [signal, ...counts[signal], ...flags.split(/\s+/)]);
}

function pathOf(peer: Awaited<ReturnType<typeof collector>>): string {
  return 'path' in peer ? peer.path : '';
}

/** Items of a service in the requests that the edge answered with 200. */
function taken(signal: Signal, service: string): Decoded[] {
  return front.passed
    .filter((request) => request.status === 200 && request.path === `/v1/${signal}`)
    .flatMap(({ body }) => itemsOf(signal, body, service));
}

/** Data points of metrics, items of the other signals. */
function countOf(signal: Signal, items: readonly Decoded[]): number {
  if (signal !== 'metrics') return items.length;
  return items.reduce((sum, { sum: data }) => {
    return sum + ((data as { dataPoints?: unknown[] } | undefined)?.dataPoints?.length ?? 0);
  }, 0);
}

/** Every item that the edge took is a row with the attributes that telemetrygen was given. */
async function expectRows(signal: Signal, service: string): Promise<void> {
  const count = countOf(signal, taken(signal, service));
  expect(count).toBeGreaterThan(20);
  const rows = await received.rows(tables[signal], service);
  expect(rows).toHaveLength(count);
  const names = { traces: 'SpanAttributes', logs: 'LogAttributes', metrics: 'Attributes' };
  for (const row of rows) {
    expect(row[names[signal]]).toMatchObject({ cart: 'größer', items: '7' });
    expect(row['ResourceAttributes']).toMatchObject({ deployment: 'blue' });
  }
  expect(countOf(signal, await received.archived(signal, service))).toBe(count);
}

describe.skipIf('missing' in generator)('telemetrygen', () => {
  it.each(signals)('%s: every item that the edge took is a row', async (signal) => {
    await generate(signal, front.endpoint, `direct-${signal}`);
    await expectRows(signal, `direct-${signal}`);
    if (signal !== 'traces') return;
    const rows = await received.rows('otel_traces', 'direct-traces');
    expect(new Set(rows.map(({ StatusCode }) => StatusCode))).toEqual(new Set(['Error']));
    const ids = new Set(rows.map(({ SpanId }) => SpanId));
    const children = rows.filter(({ ParentSpanId }) => ids.has(ParentSpanId));
    expect(children).toHaveLength(rows.length / 2);
  });
});

function json(): Record<string, string> {
  return { 'content-type': 'application/json' };
}

/** An `otlp_http` exporter to the front, which retries soon unless it is told otherwise. */
function exporter(compression: string, endpoint = front.endpoint): Record<string, object> {
  const retry = { enabled: true, initial_interval: '50ms', randomization_factor: 0 };
  return { otlp_http: { endpoint, compression, retry_on_failure: retry } };
}

const missing = 'missing' in otelcol || 'missing' in generator;

describe.skipIf(missing)("the Collector's otlphttp exporter", () => {
  it.each(['gzip', 'zstd', 'none'])('%s: all signals arrive, each item once', async (encoding) => {
    front.passed.length = 0;
    const running = await startCollector(pathOf(otelcol), exporter(encoding));
    for (const signal of signals) {
      await generate(signal, running.endpoint, `collector-${encoding}`);
    }
    // It sends what it holds before it ends.
    await running.stop();
    expect(new Set(front.passed.map((request) => request.encoding))).toEqual(new Set([encoding]));
    expect(front.passed.filter(({ status }) => status !== 200)).toEqual([]);
    for (const signal of signals) await expectRows(signal, `collector-${encoding}`);
  });

  it.each([
    ['seconds', () => ({ 'retry-after': '2' }), 1900],
    ['a date', () => ({ 'retry-after': new Date(Date.now() + 4000).toUTCString() }), 2500],
  ])(
    'row 47: after 503 with Retry-After as %s it waits and sends again',
    async (what, headers, ms) => {
      front.passed.length = 0;
      const service = `again-after-${what.replace(' ', '-')}`;
      front.refusals.push({ status: 503, headers }, { status: 503, headers });
      const running = await startCollector(pathOf(otelcol), exporter('gzip'));
      await generate('traces', running.endpoint, service);
      await expect.poll(() => taken('traces', service).length, { timeout: 30_000 }).toBe(60);
      await running.stop();
      const [first, ...others] = front.passed.filter(({ status }) => status === 503);
      const later = front.passed.filter(({ atMs }) => first && atMs > first.atMs);
      const again = [...later, ...others].filter(
        ({ body }) => first && Buffer.compare(body, first.body) === 0,
      );
      expect(again.length).toBeGreaterThan(0);
      const pauses = again.map(({ atMs }) => atMs - (first?.atMs ?? 0));
      expect(Math.min(...pauses)).toBeGreaterThan(ms);
      await expectRows('traces', service);
    },
  );

  it('row 48: a Status in JSON does no harm: 503 is sent again, 400 is not', async () => {
    front.passed.length = 0;
    const body = '{"code":14,"message":"try again"}';
    front.refusals.push({ status: 503, headers: json, body });
    const running = await startCollector(pathOf(otelcol), exporter('none'));
    await generate('logs', running.endpoint, 'status');
    await expect.poll(() => taken('logs', 'status').length, { timeout: 30_000 }).toBe(60);
    front.refusals.push({ status: 400, headers: json, body: '{"code":3,"message":"never"}' });
    await generate('logs', running.endpoint, 'dropped');
    await running.stop();
    const lost = front.passed.filter(({ status }) => status === 400);
    expect(lost).toHaveLength(1);
    expect(
      front.passed.filter(({ body: sent }) => Buffer.compare(sent, lost[0]?.body ?? sent) === 0),
    ).toHaveLength(1);
    await expectRows('logs', 'status');
    await expectRows('logs', 'dropped');
  });
});

describe.skipIf(missing)("the Collector's clickhouse exporter", () => {
  it('writes beside the edge, and of the same items the same rows', async () => {
    front.passed.length = 0;
    // The Go driver over HTTP: the Native format in LZ4 frames.
    const clickhouse = { endpoint: received.clickhouseUrl, create_schema: false };
    const running = await startCollector(pathOf(otelcol), { ...exporter('gzip'), clickhouse });
    for (const signal of signals) await generate(signal, running.endpoint, 'beside');
    await running.stop();
    for (const signal of signals) {
      const count = countOf(signal, taken(signal, 'beside'));
      expect(count).toBeGreaterThan(20);
      const rows = await received.rows(tables[signal], 'beside');
      // Sorted by all columns, of which the last is when the edge or ClickHouse got it.
      const items = rows.map((row) => ({ ...row, IngestedAt: undefined }));
      const halves = [0, 1].map((half) => items.filter((_, index) => index % 2 === half));
      expect(halves[0]).toHaveLength(count);
      expect(halves[1]).toEqual(halves[0]);
    }
  });
});

describe.skipIf('missing' in snake)('the SDK for Python', () => {
  it('sends all signals with gzip, and every attribute arrives', async () => {
    front.passed.length = 0;
    const client = path.join(import.meta.dirname, '../support/client.py');
    const printed = await run(pathOf(snake), [client, front.endpoint, 'python']);
    expect(front.passed.map((request) => [request.path, request.encoding, request.status])).toEqual(
      signals.map((signal) => [`/v1/${signal}`, 'gzip', 200]),
    );
    const expected = Object.entries(JSON.parse(printed) as Record<SpeedTable, Decoded[]>);
    expect(expected.map(([table]) => table)).toHaveLength(5);
    for (const [table, rows] of expected) {
      const found = await received.rows(table as SpeedTable, 'python');
      expect(found, table).toHaveLength(rows.length);
      const matching = rows.map((row) => expect.objectContaining(expand(row)) as unknown);
      expect(found, table).toEqual(expect.arrayContaining(matching));
    }
  });
});

/** The SDK adds attributes of its own to the resource. */
function expand(row: Decoded): Decoded {
  return { ...row, ResourceAttributes: expect.objectContaining(row['ResourceAttributes'] ?? {}) };
}
