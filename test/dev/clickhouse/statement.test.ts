/** The statement reader, with ClickHouse's own parser (`formatQuery`) as the oracle. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readStatement } from '../../../dev/clickhouse/statement.ts';
import { startClickHouse } from '../../support/clickhouse.ts';
import type { TestClickHouse } from '../../support/clickhouse.ts';

let server: TestClickHouse;

beforeAll(async () => {
  server = await startClickHouse();
});

afterAll(async () => {
  await server.stop();
});

const latin = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

function isOne(text: string): boolean {
  try {
    readStatement(latin(text));
    return true;
  } catch {
    return false;
  }
}

describe('readStatement()', () => {
  it('finds format and data of an insert', () => {
    const cases: [string, string, string, string][] = [
      ['INSERT INTO t FORMAT RowBinary\n\0;x', 'INSERT INTO t', 'RowBinary', '\0;x'],
      [
        'insert into t (a, `values`) values (1), (2)',
        'insert into t (a, `values`)',
        'Values',
        ' (1), (2)',
      ],
      ['INSERT INTO a.format FORMAT CSV 1;2', 'INSERT INTO a.format', 'CSV', '1;2'],
      ['INSERT INTO format VALUES (1)', 'INSERT INTO format', 'Values', ' (1)'],
      ['INSERT INTO t FORMAT JSONEachRow\r\n{}', 'INSERT INTO t', 'JSONEachRow', '{}'],
      ['INSERT INTO t FORMAT TSV', 'INSERT INTO t', 'TSV', ''],
      ['INSERT INTO t FORMAT TSV ; ', 'INSERT INTO t', 'TSV', ''],
      ['/* ; */ INSERT INTO t FORMAT Native x', '/* ; */ INSERT INTO t', 'Native', 'x'],
    ];
    for (const [text, head, format, data] of cases) {
      const statement = readStatement(text);
      expect(statement, text).toMatchObject({ kind: 'insert', text: head, format });
      expect(text.slice(statement.dataStart), text).toBe(data);
    }
  });

  it('keeps the SETTINGS of an insert apart', () => {
    expect(readStatement("INSERT INTO t (a) SETTINGS x = 1, y = 'b' FORMAT TSV\n1")).toMatchObject({
      text: 'INSERT INTO t (a)',
      settingsClause: "SETTINGS x = 1, y = 'b'",
      format: 'TSV',
    });
  });

  it('takes INSERT … SELECT for a statement without data', () => {
    const text = "INSERT INTO t SELECT 1, 'FORMAT TSV' FROM u";
    expect(readStatement(text)).toMatchObject({ kind: 'other', text, dataStart: text.length });
  });

  it('finds the output format and keeps its case', () => {
    expect(readStatement('SELECT format(1) FORMAT JSONEachRow;').format).toBe('JSONEachRow');
    expect(readStatement("SELECT 'x FORMAT CSV'").format).toBeUndefined();
  });

  it('refuses files of the server, semicolons before data and empty statements', () => {
    const refused: [string, number][] = [
      ["SELECT 1 INTO OUTFILE '/tmp/x'", 344],
      ["select 1 into /* */ outfile '/tmp/x'", 344],
      ["INSERT INTO t FROM INFILE '/etc/passwd' FORMAT TSV", 344],
      ['INSERT INTO t FORMAT CSV; 1', 103],
      [' -- nothing', 62],
      ['SELECT 1; SELECT 2', 62],
    ];
    for (const [text, clickhouseCode] of refused) {
      expect(() => readStatement(text), text).toThrow(expect.objectContaining({ clickhouseCode }));
    }
  });

  it('never lets a second statement pass that ClickHouse would see', async () => {
    const pieces = [
      "'",
      '"',
      '`',
      '\\',
      ';',
      '--',
      '/*',
      '*/',
      '\n',
      ' ',
      '$',
      '$a$',
      '#',
      '#!',
      '//',
      'a',
      '1',
      '‘',
      '’',
      '“',
      '”',
      "''",
      '−',
    ];
    let seed = 7;
    const random = (count: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((seed / 4_294_967_296) * count);
    };
    const texts = Array.from({ length: 3000 }, () => {
      const middle = Array.from(
        { length: 1 + random(9) },
        () => pieces[random(pieces.length)],
      ).join('');
      return `SELECT 1 ${middle} ; SELECT 2`;
    });
    // ClickHouse's parser refuses a text of two statements; what it takes is one.
    const rows = texts.map((text) => JSON.stringify({ text })).join('\n');
    await fetch(server.url, {
      method: 'POST',
      body: 'CREATE TABLE texts (text String, i UInt32 MATERIALIZED rowNumberInAllBlocks()) ENGINE = Memory',
    });
    await fetch(server.url, {
      method: 'POST',
      body: `INSERT INTO texts FORMAT JSONEachRow ${rows}`,
    });
    const answer = await fetch(server.url, {
      method: 'POST',
      body: 'SELECT text, formatQueryOrNull(text) IS NOT NULL AS one FROM texts FORMAT JSONEachRow',
    });
    const seen = (await answer.text()).trim().split('\n');
    expect(seen).toHaveLength(texts.length);
    const verdicts = seen.map((line) => JSON.parse(line) as { text: string; one: number });
    const ones = verdicts.filter(({ one }) => one === 1);
    expect(ones.length).toBeGreaterThan(20);
    // What is one statement to ClickHouse is one to us: quotes and comments are read alike.
    expect(ones.filter(({ text }) => !isOne(text))).toEqual([]);
    // And what only we take for one never runs as two.
    const doubtful = verdicts.filter(({ text, one }) => one === 0 && isOne(text)).slice(0, 200);
    for (const { text } of doubtful) {
      const run = await fetch(server.url, { method: 'POST', body: text });
      expect([await run.text(), text]).not.toEqual(['1\n2\n', text]);
    }
  });

  it('reads quotes and comments as the engine runs them', async () => {
    // Each text ends in a second statement that is hidden in a quote or comment, or is not.
    const cases: [string, boolean][] = [
      ["SELECT 1 AS a, ';SELECT 2'", true],
      ["SELECT 'a\\';SELECT 2'", true],
      ["SELECT 'a'';SELECT 2'", true],
      ["SELECT 'a\\\\';SELECT 2", false],
      ['SELECT 1 -- ;SELECT 2', true],
      ['SELECT 1 -- x\n;SELECT 2', false],
      ['SELECT 1 // ;SELECT 2', true],
      ['SELECT 1 #! ;SELECT 2', true],
      ['SELECT 1 /* /* */ ;SELECT 2 */', true],
      ['SELECT 1 /* */ ;SELECT 2', false],
      ['SELECT $a$ ;SELECT 2 $a$', true],
      ['SELECT 1 AS $a;SELECT 2', false],
      ['SELECT 1 AS `a\\`;SELECT 2`', true],
      ['SELECT 1 AS “;SELECT 2”', true],
      ['SELECT ‘;SELECT 2’', true],
      ['SELECT 1;;  -- end', true],
    ];
    for (const [text, one] of cases) {
      expect(isOne(text), text).toBe(one);
      const answer = await fetch(server.url, { method: 'POST', body: text });
      expect([answer.status, text]).toEqual([one ? 200 : 400, text]);
      await answer.text();
    }
  });
});
