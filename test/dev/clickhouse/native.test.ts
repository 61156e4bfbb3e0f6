/**
 * The Native format for clients that name their protocol's version. What the Go driver reads of it is
 * in test/integration/collector.test.ts; here are the bytes, by ClickHouse's `NativeWriter`.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nativeOf } from '../../../dev/clickhouse/native.ts';
import { startClickHouse } from '../../support/clickhouse.ts';
import type { TestClickHouse } from '../../support/clickhouse.ts';

/** Of every kind, with parentheses, quotes and commas in names; two rows of each. */
const columns = [
  "'é' AS s",
  "toLowCardinality(if(number = 0, NULL, 'x')) AS l",
  "map(toLowCardinality('k'), [1, 2]) AS m",
  "if(number = 0, [], [toLowCardinality('a'), 'b']) AS a",
  "if(number = 0, NULL, [('x', number)])::Array(Tuple(n String, `b (,` UInt64)) AS t",
  'toNullable(number) AS n',
  "toDateTime64('2024-01-02 03:04:05.1', 9, 'UTC') AS d",
  '[toDecimal32(1, 3)] AS d32, [toDecimal64(1, 3)] AS d64, [toDecimal128(1, 3)] AS d128',
  "'b)'::Enum8('a,(' = 1, 'b)' = 2) AS e",
  "toFixedString('ab', 3) AS f",
  "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0') AS u, toIPv4('1.2.3.4') AS ip",
  'toIntervalDay(number) AS i, NULL AS nothing, number::Int256 AS wide',
  "initializeAggregation('anySimpleState', number) AS simple",
];

let server: TestClickHouse;

beforeAll(async () => {
  server = await startClickHouse();
});

afterAll(async () => {
  await server.stop();
});

async function ask(sql: string, more = ''): Promise<[number, Buffer]> {
  const url = `${server.url}/?default_format=Native${more}`;
  const answer = await fetch(url, { method: 'POST', body: sql });
  return [answer.status, Buffer.from(await answer.arrayBuffer())];
}

const info = [1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0];
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

describe('nativeOf()', () => {
  it('puts the info before a block and a byte after the type of each column', async () => {
    for (const column of columns) {
      const sql = `SELECT ${column}, 7::UInt8 AS last FROM numbers(2)`;
      const [, plain] = await ask(sql);
      const [status, bytes] = await ask(sql, '&client_protocol_version=54460');
      expect(status, column).toBe(200);
      const count = plain[0] ?? 0;
      expect(bytes.length, column).toBe(plain.length + info.length + count);
      expect([...bytes.subarray(0, 10)], column).toEqual([...info, count, 2]);
      // The last column begins where it did, so what is before it was measured right.
      expect(latin1(bytes.subarray(-14)), column).toBe('\x04last\x05UInt8\0\x07\x07'.slice(-14));
    }
  });

  it('does so in every block, and in an old client no byte after types', async () => {
    const sql = 'SELECT toString(number) AS s FROM numbers(200000) SETTINGS max_block_size = 50000';
    const [, plain] = await ask(sql);
    const [, bytes] = await ask(sql, '&client_protocol_version=54453');
    const blocks = (bytes.length - plain.length) / info.length;
    expect(blocks).toBeGreaterThan(1);
    const heads = latin1(bytes).split(latin1(Uint8Array.from(info)));
    expect(heads).toHaveLength(blocks + 1);
    expect(heads.join('')).toBe(latin1(plain));
  });

  it('leaves blocks as they are for a client that names no version', () => {
    expect(nativeOf(Uint8Array.of(1, 2), 0)).toEqual(Uint8Array.of(1, 2));
    expect(nativeOf(new Uint8Array(0), 54_460)).toHaveLength(0);
  });

  it('refuses a type that it cannot measure', async () => {
    const [status, bytes] = await ask(
      'SELECT uniqState(number) FROM numbers(2)',
      '&client_protocol_version=54460',
    );
    expect([status, latin1(bytes)]).toEqual([501, expect.stringContaining('AggregateFunction')]);
  });
});
