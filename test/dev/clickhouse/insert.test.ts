/** Inserts: all or nothing, asynchronous ones together, a bad body alone. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asyncInsertGapMs } from '../../../schemas/limits/dev.ts';
import { startClickHouse } from '../../support/clickhouse.ts';
import type { TestClickHouse } from '../../support/clickhouse.ts';

let server: TestClickHouse;

beforeAll(async () => {
  server = await startClickHouse();
});

afterAll(async () => {
  await server.stop();
});

async function send(query: string, body: string | Uint8Array = '', settings = '') {
  const url = `${server.url}/?query=${encodeURIComponent(query)}&${settings}`;
  const answer = await fetch(url, { method: 'POST', body });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

const count = async (table: string) => Number((await send(`SELECT count() FROM ${table}`)).text);

/** Inserts that a table has seen: each makes one block number. */
const insertsInto = async (table: string): Promise<number> =>
  Number(
    (
      await send(
        `SELECT max(max_block_number) FROM system.parts WHERE table = '${table}' AND database = 'default'`,
      )
    ).text,
  );

async function makeTable(name: string): Promise<void> {
  await send(`CREATE TABLE ${name} (n UInt32) ENGINE = MergeTree ORDER BY n`);
  await send(`CREATE TABLE ${name}_sums (k UInt8, s UInt64) ENGINE = SummingMergeTree ORDER BY k`);
  await send(
    `CREATE MATERIALIZED VIEW ${name}_mv TO ${name}_sums AS
     SELECT 0 AS k, count() AS s FROM ${name} GROUP BY k`,
  );
}

const lines = (value: number, rows = 100) => `${value}\n`.repeat(rows);
const add = (
  table: string,
  data: string | Uint8Array,
  settings = 'async_insert=1',
  format = 'TSV',
) => send(`INSERT INTO ${table} FORMAT ${format}`, data, settings);

describe('Inserter.insert()', () => {
  it('leaves nothing of a body with a bad row, however many blocks came before it', async () => {
    await makeTable('whole');
    const rows = 3_000_000;
    const bodies: [string, Uint8Array | string, number][] = [
      ['RowBinary', Buffer.alloc(rows * 4 + 2), 33],
      ['TSV', `${'7\n'.repeat(rows)}bad\n${'7\n'.repeat(10)}`, 27],
      ['JSONEachRow', `${'{"n":1}\n'.repeat(1_200_000)}{"n":-}\n`, 0],
    ];
    for (const [format, body, code] of bodies) {
      const answer = await send(`INSERT INTO whole FORMAT ${format}`, body);
      expect(answer.status, format).toBeGreaterThanOrEqual(400);
      expect(answer.text, format).toMatch(/^Code: \d+\. DB::Exception: .*\([A-Z_]+\)\n$/s);
      if (code > 0) expect(answer.headers.get('x-clickhouse-exception-code')).toBe(String(code));
      expect(await count('whole'), format).toBe(0);
      expect(await count('whole_sums'), format).toBe(0);
    }
    expect(await readdir(join(server.dataDir, 'incoming'))).toEqual([]);
  });

  it('makes one part of a body of many blocks, its view included', async () => {
    await makeTable('onepart');
    await send('INSERT INTO onepart FORMAT RowBinary', Buffer.alloc(4 * 2_500_000));
    expect(await count('onepart')).toBe(2_500_000);
    expect(await insertsInto('onepart')).toBe(1);
    expect((await send('SELECT sum(s) FROM onepart_sums')).text).toBe('2500000\n');
  });

  it('takes VALUES, expressions, settings and column lists', async () => {
    await makeTable('various');
    await send('INSERT INTO various (n) VALUES (1), (1 + 1), (3);');
    await send('INSERT INTO various SETTINGS max_threads = 1 FORMAT JSONEachRow {"n": 4}');
    await send('INSERT INTO various (n) SETTINGS max_threads = 1 VALUES', '(5)');
    await send('INSERT INTO various FORMAT CSVWithNames', 'n\n6\n');
    await send('INSERT INTO various SELECT 7');
    expect((await send('SELECT groupArray(n) FROM (SELECT n FROM various ORDER BY n)')).text).toBe(
      '[1,2,3,4,5,6,7]\n',
    );
  });
});

describe('Inserter.insertTogether()', () => {
  it('inserts what comes at the same time in few parts', async () => {
    await makeTable('together');
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => add('together', lines(i))),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(await count('together')).toBe(20_000);
    expect(Number((await send('SELECT uniqExact(n) FROM together')).text)).toBe(200);
    expect(await insertsInto('together')).toBeLessThanOrEqual(20);
    expect((await send('SELECT sum(s) FROM together_sums')).text).toBe('20000\n');
  });

  it('answers at once when nothing else comes', async () => {
    await makeTable('alone');
    await add('alone', lines(1));
    await new Promise((resolve) => setTimeout(resolve, 2 * asyncInsertGapMs));
    const started = performance.now();
    await add('alone', lines(2));
    expect(performance.now() - started).toBeLessThan(1000);
    expect(await insertsInto('alone')).toBe(2);
  });

  it('refuses a bad body and takes the good ones beside it', async () => {
    await makeTable('mixed');
    await add('mixed', lines(0, 1));
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        i % 10 === 3 ? add('mixed', `${lines(i)}bad\n`) : add('mixed', lines(i)),
      ),
    );
    for (const [index, { status }] of answers.entries()) {
      expect(status, String(index)).toBe(index % 10 === 3 ? 400 : 200);
    }
    expect(await count('mixed')).toBe(2701);
  });

  it('never lets the cut row of one body run into the next', async () => {
    await makeTable('cuts');
    await add('cuts', Buffer.alloc(4), 'async_insert=1', 'RowBinary');
    // Two bodies, 2 bytes short and 2 bytes long: together they would parse, as wrong rows.
    const [short, long, good] = await Promise.all([
      add('cuts', Buffer.alloc(398, 1), 'async_insert=1', 'RowBinary'),
      add('cuts', Buffer.alloc(402, 2), 'async_insert=1', 'RowBinary'),
      add('cuts', Buffer.alloc(400, 3), 'async_insert=1', 'RowBinary'),
    ]);
    expect([short.status, long.status, good.status]).toEqual([500, 500, 200]);
    expect(await count('cuts')).toBe(101);
  });

  it('takes inserts of one deduplication token once', async () => {
    await send(
      `CREATE TABLE once (n UInt32) ENGINE = MergeTree ORDER BY n
       SETTINGS non_replicated_deduplication_window = 100`,
    );
    const settings = 'async_insert=1&insert_deduplication_token=t';
    await Promise.all([1, 2, 3].map((value) => add('once', lines(value), settings)));
    expect(await count('once')).toBe(100);
  });

  it('answers before the rows are in when the client does not wait', async () => {
    await makeTable('forgotten');
    const settings = 'async_insert=1&wait_for_async_insert=0';
    expect((await add('forgotten', lines(1), settings)).status).toBe(200);
    expect((await add('forgotten', 'bad\n', settings)).status).toBe(200);
    await expect.poll(() => count('forgotten')).toBe(100);
    await expect.poll(() => server.stderr()).toContain('Cannot insert');
  });
});
