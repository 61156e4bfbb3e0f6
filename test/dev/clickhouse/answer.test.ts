/** Answers as clients read them: media types, summary, compression, exceptions. */
import { request } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startClickHouse } from '../../support/clickhouse.ts';
import type { TestClickHouse } from '../../support/clickhouse.ts';

let server: TestClickHouse;

beforeAll(async () => {
  server = await startClickHouse();
});

afterAll(async () => {
  await server.stop();
});

const post = (body: string, query = '') =>
  fetch(`${server.url}/?${query}`, { method: 'POST', body });

describe('sendAnswer()', () => {
  it('names format, media type, query and counts', async () => {
    const answer = await post('SELECT number FROM numbers(10) FORMAT JSONEachRow', 'query_id=mine');
    expect(answer.headers.get('x-clickhouse-format')).toBe('JSONEachRow');
    expect(answer.headers.get('content-type')).toContain('ndjson');
    expect(answer.headers.get('x-clickhouse-query-id')).toBe('mine');
    expect(answer.headers.get('x-clickhouse-timezone')).toBe('UTC');
    const summary = JSON.parse(answer.headers.get('x-clickhouse-summary') ?? '') as object;
    expect(summary).toMatchObject({ read_rows: '10', written_rows: '0' });
    await post('CREATE TABLE t (n UInt8) ENGINE = MergeTree ORDER BY n');
    const inserted = await post('INSERT INTO t VALUES (1), (2)');
    expect(inserted.headers.get('x-clickhouse-summary')).toContain('"written_rows":"2"');
    const json = await post('SELECT 1', 'default_format=JSON');
    expect(json.headers.get('content-type')).toBe('application/json; charset=UTF-8');
  });

  it('compresses only when the header and the setting both ask for it', async () => {
    const encodings: (string | undefined)[] = [];
    for (const setting of ['0', '1']) {
      const path = `/?query=SELECT+repeat('x',100)&enable_http_compression=${setting}`;
      const [encoding, bytes] = await raw(path, { 'accept-encoding': 'gzip' });
      encodings.push(encoding);
      const text = encoding === 'gzip' ? gunzipSync(bytes) : bytes;
      expect(text.toString()).toBe(`${'x'.repeat(100)}\n`);
    }
    expect(encodings).toEqual([undefined, 'gzip']);
  });
});

describe('sendFault()', () => {
  it('gives code, text and status of ClickHouse', async () => {
    const cases: [string, number, string, string][] = [
      ['SELECT * FROM nope', 404, '60', '(UNKNOWN_TABLE)'],
      ['SELECT * FROM nope.nope', 404, '81', '(UNKNOWN_DATABASE)'],
      ['SELEC 1', 400, '62', '(SYNTAX_ERROR)'],
      ["SELECT throwIf(1, 'no')", 500, '395', '(FUNCTION_THROW_IF_VALUE_IS_NON_ZERO)'],
      ["SELECT toUInt8('x')", 400, '6', '(CANNOT_PARSE_TEXT)'],
    ];
    for (const [query, status, code, name] of cases) {
      const answer = await post(query);
      expect([query, answer.status]).toEqual([query, status]);
      expect(answer.headers.get('x-clickhouse-exception-code')).toBe(code);
      expect(await answer.text()).toContain(name);
    }
  });
});

/** One GET without fetch's own decompression: its encoding and bytes. */
function raw(path: string, headers: Record<string, string>): Promise<[string | undefined, Buffer]> {
  return new Promise((resolve, reject) => {
    const sent = request(`${server.url}${path}`, { headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => resolve([answer.headers['content-encoding'], Buffer.concat(chunks)]));
    });
    sent.on('error', reject);
    sent.end();
  });
}
