/** The archiver's metrics and probes over real HTTP. */
import { createServer } from 'node:http';
import { Counter, Registry } from 'prom-client';
import { afterEach, expect, it } from 'vitest';
import { listenOn } from '../../../workers/listen.ts';
import { startMonitor } from '../../../workers/watch/monitor.ts';
import type { Monitor } from '../../../workers/watch/monitor.ts';
import { turnMsMax } from '../../../schemas/limits/archive.ts';
import { Vitals } from '../../../workers/watch/vitals.ts';

const log = { info: () => undefined, warn: () => undefined, debug: () => undefined };
let monitor: Monitor | undefined;

afterEach(async () => {
  await monitor?.close();
  monitor = undefined;
});

async function serve(vitals: Vitals, registry = new Registry(), port = 0): Promise<string> {
  const settings = { TIDEMARK_METRICS_HOST: '127.0.0.1', TIDEMARK_METRICS_PORT: port };
  monitor = await startMonitor({ settings, registry, vitals, log });
  return monitor.url;
}

async function get(url: string, init?: RequestInit): Promise<[number, string]> {
  const answer = await fetch(url, init);
  return [answer.status, await answer.text()];
}

it('/metrics shows the registry in the text format', async () => {
  const registry = new Registry();
  new Counter({ name: 'rows_total', help: 'Rows', registers: [registry] }).inc(3);
  const url = await serve(new Vitals(() => 0), registry);
  const answer = await fetch(`${url}/metrics`);
  expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4');
  expect(await answer.text()).toContain('\nrows_total 3\n');
});

it('/healthz fails while a loop is stuck, and not before Kafka is there', async () => {
  let now = 0;
  const vitals = new Vitals(() => now);
  const url = await serve(vitals);
  expect(await get(`${url}/healthz`)).toEqual([200, 'ok\n']);
  const turn = Promise.withResolvers<undefined>();
  const state = { topic: 'otlp_logs', partition: 'spool', done: {} };
  const watched = vitals.watch(
    () => state as unknown as ReturnType<Parameters<Vitals['watch']>[0]>,
    (run) => run(() => turn.promise),
  );
  now = turnMsMax + 5000;
  const complaint = `otlp_logs/spool has been in one turn for ${turnMsMax / 1000 + 5} s\n`;
  expect(await get(`${url}/healthz`)).toEqual([503, complaint]);
  turn.resolve(undefined);
  await watched;
  expect(await get(`${url}/healthz`)).toEqual([200, 'ok\n']);
});

it('/readyz tells what is waited for, and faults without failing for them', async () => {
  const vitals = new Vitals(() => 0);
  const url = await serve(vitals);
  const waiting = 'the object store has not been probed yet\n';
  expect(await get(`${url}/readyz`)).toEqual([503, waiting]);
  vitals.storeProbed();
  vitals.fault('otlp_spans/1', 'Cannot read a commit [CORRUPT_ARCHIVE]');
  const note = 'ok\ntrying again: otlp_spans/1: Cannot read a commit [CORRUPT_ARCHIVE]\n';
  expect(await get(`${url}/readyz`)).toEqual([200, note]);
  vitals.stopping();
  expect((await get(`${url}/readyz`))[0]).toBe(503);
});

it('answers HEAD, refuses other methods, and knows no other path', async () => {
  const url = await serve(new Vitals(() => 0));
  expect(await get(`${url}/healthz`, { method: 'HEAD' })).toEqual([200, '']);
  expect(await get(`${url}/healthz?verbose`)).toEqual([200, 'ok\n']);
  expect((await get(`${url}/metrics`, { method: 'POST' }))[0]).toBe(405);
  expect((await get(url))[0]).toBe(404);
});

it('close() ends idle connections at once', async () => {
  const url = await serve(new Vitals(() => 0));
  await get(`${url}/healthz`);
  const startMs = performance.now();
  await monitor?.close();
  // A connection that is kept alive would hold it up for 5 s.
  expect(performance.now() - startMs).toBeLessThan(4000);
  await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed');
});

it('startMonitor() says who has its port, and what to do', async () => {
  const other = createServer();
  const address = { host: '127.0.0.1', port: 0, what: 'a test', hint: '' };
  const port = Number(new URL(await listenOn(other, address)).port);
  await expect(serve(new Vitals(() => 0), new Registry(), port)).rejects.toMatchObject({
    code: 'PORT_TAKEN',
    message: `Cannot serve metrics on 127.0.0.1:${port}: another program has taken it; choose another TIDEMARK_METRICS_PORT, or 0 to serve none`,
  });
  other.close();
});

it('listenOn() gives URLs of IPv6 addresses in brackets', async () => {
  for (const host of ['::1', '[::1]']) {
    const server = createServer();
    const url = await listenOn(server, { host, port: 0, what: 'a test', hint: '' });
    expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    server.close();
  }
});
