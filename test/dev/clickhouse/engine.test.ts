/** The engine in its own process: parallel, isolated, bounded, and alone in its directory. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

async function post(query: string, settings = '') {
  const answer = await fetch(`${server.url}/?${settings}`, { method: 'POST', body: query });
  return (await answer.text()).trim();
}

describe('Engine', () => {
  it('runs statements at the same time', async () => {
    const started = performance.now();
    await Promise.all(Array.from({ length: 8 }, () => post('SELECT sleep(1)')));
    expect(performance.now() - started).toBeLessThan(4000);
  });

  it('does not let queries hold up inserts', async () => {
    await post('CREATE TABLE held (n UInt8) ENGINE = MergeTree ORDER BY n');
    const queries = Promise.all(Array.from({ length: 16 }, () => post('SELECT sleep(2)')));
    const started = performance.now();
    await post('INSERT INTO held VALUES (1)');
    expect(performance.now() - started).toBeLessThan(1500);
    await queries;
  });

  it('keeps settings, parameters, database and temporary tables of a request to itself', async () => {
    await post('CREATE DATABASE other');
    await post('CREATE TABLE other.here (n UInt8) ENGINE = Memory');
    const many = Array.from({ length: 60 }, async (_, i) => {
      if (i % 3 === 0) {
        const answer = await post(
          "SELECT {p:UInt32}, getSetting('max_threads')",
          `param_p=${i}&max_threads=${1 + i}`,
        );
        expect(answer).toBe(`${i}\t${1 + i}`);
      } else if (i % 3 === 1) {
        expect(await post('SELECT count() FROM here', 'database=other')).toBe('0');
        await post('CREATE TEMPORARY TABLE mine (n UInt8)');
        await post('SET max_threads = 77');
      } else {
        expect(await post('SELECT {p:UInt32}')).toContain('(UNKNOWN_QUERY_PARAMETER)');
        expect(await post('SELECT currentDatabase()')).toBe('default');
        expect(await post('SELECT * FROM mine')).toContain('(UNKNOWN_TABLE)');
        expect(await post("SELECT getSetting('max_threads')")).not.toBe('77');
      }
    });
    await Promise.all(many);
  });

  it('takes parameters as values only', async () => {
    for (const value of ["'; DROP TABLE other.here; --", "\\'", '} SELECT 2', 'ü']) {
      const escaped = value.replaceAll('\\', '\\\\');
      const answer = await post(
        'SELECT {p:String} FORMAT JSONEachRow SETTINGS output_format_json_escape_forward_slashes = 0',
        `param_p=${encodeURIComponent(escaped)}`,
      );
      expect(Object.values(JSON.parse(answer) as object)).toEqual([value]);
    }
  });

  it('says which process holds the data directory', async () => {
    await expect(startClickHouse({ dataDir: server.dataDir })).rejects.toThrow(
      new RegExp(`exit 1.*another process has it open \\(PID ${server.process.pid}\\)`, 's'),
    );
    expect(await post('SELECT 1')).toBe('1');
  });

  it('says that a data directory cannot be written', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'tidemark-unwritable-'));
    await writeFile(join(parent, 'file'), '');
    await chmod(parent, 0o500);
    const dataDir = join(parent, 'file', 'data');
    await expect(startClickHouse({ dataDir })).rejects.toThrow(/exit 1.*it is not writable/s);
    await rm(parent, { recursive: true, force: true });
  });
});
