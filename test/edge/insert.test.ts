/** Checks the request that ClickHouse gets; its faults are in fanout.test.ts. */
import { describe, expect, it } from 'vitest';
import { insertRows } from '../../edge/insert.ts';
import { readSettings } from '../../schemas/settings.ts';
import { insertStatement } from '../../schemas/tables.ts';

describe('insertRows()', () => {
  it('insertRows() sends rows as an asynchronous insert that is waited for', async () => {
    const calls: { url: URL; init: RequestInit }[] = [];
    const settings = readSettings({
      CLICKHOUSE_URL: 'https://ch.example:8443/path?max_threads=1',
      CLICKHOUSE_USER: 'edge',
      CLICKHOUSE_PASSWORD: 'p&ss=',
      CLICKHOUSE_DATABASE: 'otel',
    });
    const rows = Uint8Array.of(1, 2, 3);
    await insertRows('otel_traces', rows, 'token', settings, {
      timeout: (ms) => AbortSignal.timeout(ms),
      fetch: (url, init) => {
        calls.push({ url: new URL(url), init });
        return Promise.resolve(new Response(null));
      },
    });
    const [call] = calls;
    expect(calls).toHaveLength(1);
    expect(call?.url.origin + (call?.url.pathname ?? '')).toBe('https://ch.example:8443/path');
    expect(Object.fromEntries(call?.url.searchParams ?? [])).toEqual({
      max_threads: '1',
      query: insertStatement('otel_traces'),
      database: 'otel',
      async_insert: '1',
      wait_for_async_insert: '1',
      insert_deduplication_token: 'token',
    });
    const headers = new Headers(call?.init.headers);
    expect(headers.get('x-clickhouse-user')).toBe('edge');
    expect(headers.get('x-clickhouse-key')).toBe('p&ss=');
    expect(call?.init.method).toBe('POST');
    expect(call?.init.body).toBe(rows);
  });

  it('insertRows() throws SINK_FAILED with the exception code and without the text', async () => {
    const headers = { 'x-clickhouse-exception-code': '60' };
    const inserting = insertRows('otel_traces', Uint8Array.of(1), 't', readSettings({}), {
      timeout: (ms) => AbortSignal.timeout(ms),
      fetch: () => Promise.resolve(new Response('Unknown table', { status: 404, headers })),
    });
    await expect(inserting).rejects.toMatchObject({
      code: 'SINK_FAILED',
      retryable: true,
      message: 'Cannot insert into ClickHouse: ClickHouse answered 404, exception code 60',
    });
  });
});
