/** The client on the real engine, and its retries against faults that a proxy injects. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestTriesMax } from '../../../../schemas/limits.ts';
import { readSettings } from '../../../../schemas/settings.ts';
import { openClickHouse } from '../../../../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../../../../workers/clients/clickhouse/clickhouse.ts';
import { startClickHouse } from '../../../support/clickhouse.ts';
import type { TestClickHouse } from '../../../support/clickhouse.ts';

let server: TestClickHouse;
let client: ClickHouse;

beforeAll(async () => {
  server = await startClickHouse();
  client = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
});

afterAll(async () => {
  await client.close();
  await server.stop();
});

describe('openClickHouse()', () => {
  it('gives rows with exact 64-bit integers', async () => {
    const rows = await client.query<{ n: string; s: string }>(
      'SELECT {n:UInt64} AS n, {s:String} AS s',
      { n: '18446744073709551615', s: "it's\t\\" },
    );
    expect(rows).toEqual([{ n: '18446744073709551615', s: "it's\t\\" }]);
  });

  it('inserts bigints, dates and booleans', async () => {
    await client.command(
      `CREATE TABLE kinds (n UInt64, i Int64, t DateTime64(3, 'UTC'), d DateTime('UTC'), b Bool)
       ENGINE = MergeTree ORDER BY n`,
    );
    const t = new Date('2026-11-22T01:02:03.004Z');
    const row = { n: 2n ** 64n - 1n, i: -5n, t, d: '2026-11-22T01:02:03Z', b: true };
    await client.insertRows('kinds', [row]);
    await client.insertRows('kinds', []);
    expect(await client.query('SELECT * FROM kinds')).toEqual([
      {
        n: '18446744073709551615',
        i: '-5',
        t: '2026-11-22 01:02:03.004',
        d: '2026-11-22 01:02:03',
        b: true,
      },
    ]);
  });

  it('throws ClickHouse errors with code and what to do, without the statement or a further try', async () => {
    const told = /'nope' \(UNKNOWN_TABLE, code 60\); "tidemark migrate" creates what is missing$/;
    await expect(client.query('SELECT * FROM nope')).rejects.toMatchObject({
      code: 'CLICKHOUSE',
      clickhouseCode: 60,
      retryable: false,
      message: expect.stringMatching(told) as string,
    });
  });

  it('says that ClickHouse cannot be reached, as a retryable error', async () => {
    const gone = await faulty([]);
    gone.close();
    const { port } = gone;
    const away = openAt(port);
    await expect(away.query('SELECT 1')).rejects.toMatchObject({
      clickhouseCode: 210,
      retryable: true,
      message: expect.stringContaining(`127.0.0.1:${port}`) as string,
    });
    await away.close();
  });

  it('tries idempotent calls again, within the bound, and others never', async () => {
    const busy = {
      status: 500,
      text: 'Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)',
    };
    const query = await countCalls([busy, busy], (one) => one.query('SELECT 1'));
    expect(query).toEqual({ calls: 3, failed: false });
    const always = Array.from({ length: 20 }, () => busy);
    const endless = await countCalls(always, (one) => one.query('SELECT 1'));
    expect(endless).toEqual({ calls: requestTriesMax, failed: true });
    const command = await countCalls(always, (one) => one.command('SELECT 1'));
    expect(command).toEqual({ calls: 1, failed: true });
    const again = await countCalls([busy], (one) => one.command('X', {}, { idempotent: true }));
    expect(again).toEqual({ calls: 2, failed: false });
    const rows = [{ n: 1 }];
    const insert = await countCalls(always, (one) => one.insertRows('t', rows));
    expect(insert).toEqual({ calls: 1, failed: true });
    const token = { deduplicationToken: 'a' };
    const tokened = await countCalls([busy], (one) => one.insertRows('t', rows, token));
    expect(tokened).toEqual({ calls: 2, failed: false });
  });

  it('never tells its password', async () => {
    const secret = openClickHouse(
      readSettings({ CLICKHOUSE_URL: server.url, CLICKHOUSE_PASSWORD: 'hunter2' }),
    );
    const error: unknown = await secret.query('SELECT 1').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ clickhouseCode: 516 });
    expect(String(error)).not.toContain('hunter2');
    await secret.close();
  });
});

interface Fault {
  readonly status: number;
  readonly text: string;
}

const openAt = (port: number): ClickHouse =>
  openClickHouse(readSettings({ CLICKHOUSE_URL: `http://127.0.0.1:${port}` }), { retryWaitMs: 1 });

/** A server that gives these faults to its first calls, then succeeds with no rows. */
async function faulty(faults: readonly Fault[]) {
  let calls = 0;
  const http: Server = createServer((message, response) => {
    const fault = faults[calls];
    calls += 1;
    message.resume();
    message.on('end', () => {
      response.statusCode = fault?.status ?? 200;
      response.end(fault?.text ?? '');
    });
  });
  await new Promise<void>((resolve) => {
    http.listen(0, '127.0.0.1', resolve);
  });
  const { port } = http.address() as AddressInfo;
  return {
    port,
    calls: () => calls,
    close() {
      http.close();
      http.closeAllConnections();
    },
  };
}

async function countCalls(faults: readonly Fault[], run: (one: ClickHouse) => Promise<unknown>) {
  const proxy = await faulty(faults);
  const one = openAt(proxy.port);
  let failed = false;
  try {
    await run(one);
  } catch {
    failed = true;
  }
  await one.close();
  proxy.close();
  return { calls: proxy.calls(), failed };
}
