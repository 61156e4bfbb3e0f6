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
      async_insert_deduplicate: '1',
      insert_deduplication_token: 'token',
    });
    const headers = new Headers(call?.init.headers);
    expect(headers.get('x-clickhouse-user')).toBe('edge');
    expect(headers.get('x-clickhouse-key')).toBe('p&ss=');
    expect(call?.init.method).toBe('POST');
    expect(call?.init.body).toBe(rows);
  });

  it.each([
    // The table is not there yet: the rows may be taken later.
    [404, '60', { code: 'CLICKHOUSE', clickhouseCode: 60, retryable: true }],
    [500, '252', { code: 'CLICKHOUSE', clickhouseCode: 252, retryable: true }],
    [200, '241', { code: 'CLICKHOUSE', clickhouseCode: 241, retryable: true }],
    // INCORRECT_DATA and CANNOT_READ_ALL_DATA: these rows will never be taken.
    [400, '117', { code: 'CLICKHOUSE', clickhouseCode: 117, retryable: false }],
    [500, '33', { code: 'CLICKHOUSE', clickhouseCode: 33, retryable: false }],
    [400, undefined, { code: 'SINK_FAILED', retryable: true }],
    [502, undefined, { code: 'SINK_FAILED', retryable: true }],
  ])('insertRows() tells faults apart: status %i, code %s', async (status, code, fault) => {
    const headers: HeadersInit = code === undefined ? {} : { 'x-clickhouse-exception-code': code };
    const inserting = insertRows('otel_logs', Uint8Array.of(1), 't', readSettings({}), {
      timeout: (ms) => AbortSignal.timeout(ms),
      fetch: () => Promise.resolve(new Response('the payload', { status, headers })),
    });
    await expect(inserting).rejects.toMatchObject({
      ...fault,
      message: expect.not.stringContaining('payload') as string,
    });
  });
});
