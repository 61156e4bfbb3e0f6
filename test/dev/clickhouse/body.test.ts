/** Bodies: encodings, bounds and cut connections, over a real socket. */
import { connect } from 'node:net';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  clickHouseBodyBytesMax,
  clickHouseStatementBytesMax,
} from '../../../schemas/limits/dev.ts';
import { startClickHouse } from '../../support/clickhouse.ts';
import type { TestClickHouse } from '../../support/clickhouse.ts';

let server: TestClickHouse;

beforeAll(async () => {
  server = await startClickHouse();
  await post('CREATE TABLE numbers (n UInt32) ENGINE = MergeTree ORDER BY n');
});

afterAll(async () => {
  await server.stop();
});

async function post(body: string | Uint8Array, query = '', headers = {}) {
  const url = query === '' ? server.url : `${server.url}/?query=${encodeURIComponent(query)}`;
  const answer = await fetch(url, { method: 'POST', body, headers });
  return { status: answer.status, text: await answer.text() };
}

const insert = 'INSERT INTO numbers FORMAT TSV';

describe('receiveBody()', () => {
  it('inflates every encoding it names and refuses others', async () => {
    const compressors = {
      gzip: gzipSync,
      deflate: deflateSync,
      zstd: zstdCompressSync,
      br: brotliCompressSync,
    };
    for (const [encoding, compress] of Object.entries(compressors)) {
      const headers = { 'content-encoding': encoding };
      expect((await post(compress('1\n2\n'), insert, headers)).status, encoding).toBe(200);
      expect((await post(compress('SELECT 3'), '', headers)).text, encoding).toBe('3\n');
    }
    expect((await post('SELECT count() FROM numbers')).text).toBe('8\n');
    expect((await post('x', insert, { 'content-encoding': 'lz4' })).status).toBe(501);
    const corrupt = await post('not gzip', insert, { 'content-encoding': 'gzip' });
    expect(corrupt.text).toContain('ZLIB_INFLATE_FAILED');
    const cut = gzipSync('1\n'.repeat(9999)).subarray(0, 30);
    const truncated = await post(cut, insert, { 'content-encoding': 'gzip' });
    expect(truncated.text).toContain('ZLIB_INFLATE_FAILED');
    expect((await post('SELECT count() FROM numbers')).text).toBe('8\n');
  });

  it('takes the statement from the URL, the body, or both', async () => {
    expect((await post('', 'SELECT 1')).text).toBe('1\n');
    expect((await post('+ 1', 'SELECT 1')).text).toBe('2\n');
    expect((await post('SELECT 5')).text).toBe('5\n');
    expect((await post("SELECT 'ü'")).text).toBe('ü\n');
    expect((await post('')).status).toBe(400);
    expect((await fetch(`${server.url}/?query=SELECT%207`)).status).toBe(200);
  });

  it('takes data of any size behind a statement in the body', async () => {
    await post('CREATE TABLE large (n UInt32) ENGINE = MergeTree ORDER BY n');
    const data = Buffer.alloc(4 * 1_000_000, 1);
    const body = Buffer.concat([Buffer.from('INSERT INTO large FORMAT RowBinary\n'), data]);
    expect(await post(body)).toEqual({ status: 200, text: '' });
    expect((await post('SELECT count(), uniq(n) FROM large')).text).toBe('1000000\t1\n');
  });

  it('refuses statements and bodies past the bounds and goes on', async () => {
    const long = await post(`SELECT '${'x'.repeat(clickHouseStatementBytesMax)}'`);
    expect(long.text).toContain('SYNTAX_ERROR');
    const bomb = gzipSync(Buffer.alloc(clickHouseBodyBytesMax + 1), { level: 1 });
    const refused = await post(bomb, 'INSERT INTO numbers FORMAT RowBinary', {
      'content-encoding': 'gzip',
    });
    expect(refused.status).toBe(413);
    expect(refused.text).toContain(String(clickHouseBodyBytesMax));
    expect((await post('SELECT 1')).text).toBe('1\n');
  });

  it('inserts nothing of a body whose connection was cut', async () => {
    await post('CREATE TABLE cut (n UInt32) ENGINE = MergeTree ORDER BY n');
    const { port } = new URL(server.url);
    const socket = connect(Number(port), '127.0.0.1');
    const head = 'POST /?query=INSERT+INTO+cut+FORMAT+TSV HTTP/1.1\r\nHost: x\r\n';
    socket.write(`${head}Content-Length: 100\r\n\r\n1\n2\n3\n`);
    await delay(100);
    socket.destroy();
    const incoming = join(server.dataDir, 'incoming');
    await expect.poll(() => readdir(incoming)).toEqual([]);
    expect((await post('SELECT count() FROM cut')).text).toBe('0\n');
  });
});
