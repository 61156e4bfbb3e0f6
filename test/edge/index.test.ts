/** The entry itself, as the runtime calls it, with the clock and names of the runtime. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  createExecutionContext,
  createScheduledController,
  waitOnExecutionContext,
} from 'cloudflare:test';
import worker from '../../edge/index.ts';
import { parseSpoolKey } from '../../schemas/archive.ts';
import { clear, keys, protobufType, requestBytes, span } from './stack.ts';

beforeEach(clear);

const IncomingRequest = Request<unknown, IncomingRequestCfProperties>;

describe('the Worker', () => {
  it('takes a request, and spools the rows when ClickHouse does not take them', async () => {
    const before = Date.now();
    const startTimeUnixNano = `${before}000000`;
    const body = requestBytes([span(0, { startTimeUnixNano, endTimeUnixNano: startTimeUnixNano })]);
    const init = { method: 'POST', body, headers: protobufType };
    const request = new IncomingRequest('http://localhost/v1/traces', init);
    const context = createExecutionContext();
    const response = await worker.fetch(request, env, context);
    await waitOnExecutionContext(context);
    expect(response.status).toBe(200);
    const all = await keys();
    expect(all.map((key) => key.replace(/[^/]*$/, ''))).toEqual([
      'spool/archive/otlp_spans/',
      'spool/speed/ledger_received/',
      'spool/speed/otel_traces/',
    ]);
    const parts = parseSpoolKey(all[0] ?? '');
    // Rows are named by what the client sent, so that ClickHouse knows them when it sends again.
    expect(parseSpoolKey(all[2] ?? '')).toMatchObject({
      tenantId: 'default',
      receivedMs: parts?.receivedMs,
    });
    expect(parts?.tenantId).toBe('default');
    expect(parts?.receivedMs).toBeGreaterThanOrEqual(before);
  });

  it('keeps what the drain cannot move', async () => {
    await env.ARCHIVE.put('spool/speed/otel_traces/1795000000000+r+default', 'rows');
    await worker.scheduled(createScheduledController(), env);
    const left = (await keys()).filter((key) => key.startsWith('spool/'));
    expect(left).toEqual(['spool/speed/otel_traces/1795000000000+r+default']);
  });

  it('answers 503 with Retry-After when its settings cannot be used', async () => {
    const broken = { ...env, TIDEMARK_PORT: 'x' };
    const init = { method: 'POST', headers: protobufType };
    const request = new Request<unknown, IncomingRequestCfProperties>(
      'http://localhost/v1/traces',
      init,
    );
    const response = await worker.fetch(request, broken, createExecutionContext());
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await response.json()).toMatchObject({ code: 14 });
  });
});
