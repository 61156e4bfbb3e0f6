/** The front as a whole: with `@clickhouse/client` and curl, and through stops and crashes. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
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

const post = (url: string, body: string, query = '') =>
  fetch(`${url}/?${query}`, { method: 'POST', body });

async function ask(url: string, query: string): Promise<string> {
  return (await (await post(url, query)).text()).trim();
}

const curl = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)('curl', ['-sS', ...args])).stdout;

describe('startFront()', () => {
  it('works with @clickhouse/client', async () => {
    const client = createClient({
      url: server.url,
      compression: { request: true, response: true },
      log: { level: ClickHouseLogLevel.OFF },
    });
    expect(await client.ping()).toEqual({ success: true });
    await client.command({
      query: 'CREATE TABLE people (id UInt64, name String) ENGINE = MergeTree ORDER BY id',
    });
    const table = 'people';
    const values = [{ id: '18446744073709551615', name: "O'Neil\n" }];
    const { summary } = await client.insert({ table, values, format: 'JSONEachRow' });
    expect(summary?.written_rows).toBe('1');
    const stream = Readable.from(Array.from({ length: 1000 }, (_, id) => ({ id, name: `n${id}` })));
    await client.insert({ table, values: stream, format: 'JSONEachRow' });
    const result = await client.query({
      query:
        'SELECT id, name FROM people WHERE name = {name:String} OR id < {below:UInt8} ORDER BY id DESC',
      query_params: { name: "O'Neil\n", below: 2 },
      clickhouse_settings: { output_format_json_quote_64bit_integers: 1 },
      format: 'JSONEachRow',
    });
    const rows: unknown[] = [];
    for await (const chunk of result.stream()) rows.push(...chunk.map((row) => row.json()));
    expect(rows).toEqual([...values, { id: '1', name: 'n1' }, { id: '0', name: 'n0' }]);
    await expect(client.query({ query: 'SELECT * FROM nope' })).rejects.toMatchObject({
      code: '60',
      type: 'UNKNOWN_TABLE',
    });
    await client.close();
  });

  it('works with curl', async () => {
    expect(await curl(server.url, '--data-binary', 'SELECT 1 + 1')).toBe('2\n');
    expect(await curl(`${server.url}/?query=SELECT%203`)).toBe('3\n');
    expect(await curl('-u', 'default:', server.url, '-d', 'SELECT 4')).toBe('4\n');
    expect(await curl(`${server.url}/ping`)).toBe('Ok.\n');
  });

  it('answers liveness, unknown paths, methods and users as ClickHouse does', async () => {
    const statuses = await Promise.all(
      [
        fetch(server.url),
        fetch(`${server.url}/ping`),
        fetch(`${server.url}/nope`),
        fetch(server.url, { method: 'DELETE' }),
        fetch(`${server.url}/?query=SELECT+1&user=root`),
        fetch(`${server.url}/?query=CREATE+TABLE+g+(n+UInt8)+ENGINE=Memory`),
      ].map(async (answer) => (await answer).status),
    );
    expect(statuses).toEqual([200, 200, 404, 405, 403, 500]);
    await ask(server.url, 'CREATE TABLE stays (n UInt8) ENGINE = Memory');
    const readOnly = await fetch(`${server.url}/?query=DROP+TABLE+stays`);
    expect(await readOnly.text()).toContain('(READONLY)');
  });

  it('keeps every acknowledged row through kill -9', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'tidemark-clickhouse-'));
    let rows = 0;
    for (let round = 0; round < 3; round += 1) {
      const one = await startClickHouse({ dataDir });
      const create = 'CREATE TABLE IF NOT EXISTS kept (n UInt32) ENGINE = MergeTree ORDER BY n';
      await ask(one.url, create);
      expect(await ask(one.url, 'SELECT count() FROM kept')).toBe(String(rows));
      const inserts = Array.from({ length: 20 }, async (_, i) => {
        const answer = await post(
          one.url,
          `${i}\n`,
          'async_insert=1&query=INSERT+INTO+kept+FORMAT+TSV',
        );
        if (answer.status === 200) rows += 1;
      });
      await Promise.all(inserts);
      await one.kill();
    }
    const last = await startClickHouse({ dataDir });
    expect(rows).toBe(60);
    expect(await ask(last.url, 'SELECT count() FROM kept')).toBe('60');
    await last.stop();
    await rm(dataDir, { recursive: true });
  });

  it('ends requests under way when it is told to stop, and exits with 0', async () => {
    const one = await startClickHouse();
    await ask(one.url, 'CREATE TABLE last (n UInt8) ENGINE = MergeTree ORDER BY n');
    const slow = ask(one.url, "SELECT sleep(1), 'done'");
    const insert = post(one.url, '1\n', 'async_insert=1&query=INSERT+INTO+last+FORMAT+TSV');
    await new Promise((resolve) => setTimeout(resolve, 200));
    const stopped = performance.now();
    const exited = once(one.process, 'exit');
    one.process.kill('SIGTERM');
    expect(await slow).toBe('0\tdone');
    expect((await insert).status).toBe(200);
    expect(await exited).toEqual([0, null]);
    // Not the 10 s for which an idle connection would be kept.
    expect(performance.now() - stopped).toBeLessThan(8000);
    await rm(one.dataDir, { recursive: true });
  });

  it('says that the port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await expect(startClickHouse({ port })).rejects.toThrow(
      new RegExp(`exit 1.*Cannot serve ClickHouse on 127.0.0.1:${port}`, 's'),
    );
    other.close();
  });
});
