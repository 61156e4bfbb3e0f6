import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logProof } from '../../../batch/logs/proof.ts';
import { runBatch, type BatchOptions } from '../../../batch/run.ts';
import { verifyRun } from '../../../batch/verify.ts';
import { parsePeriod } from '../../../schemas/period.ts';
import { archiveDeliveries } from '../../support/delivered.ts';
import {
  deliveryOf,
  plainFigures,
  randomLogDay,
  type LogRecord,
  type SentRequest,
} from '../../support/logday.ts';
import { memoryOf } from '../../support/planned.ts';
import { seededRandom } from '../../support/random.ts';
import { startStack, type Stack } from '../../support/stack.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
/** Most of it are requests to the store, which a loaded machine answers slowly. */
const patient = { timeout: 300_000 };
let stack: Stack;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  stack = await startStack();
});
afterAll(() => stack.close());

describe('runBatch() of logs', () => {
  it('equals a plain count and ClickHouse, the same from 1, 7 and 50 shards', patient, async () => {
    const date = '2026-10-01';
    const sent = randomLogDay(seededRandom(seed), Date.parse(date), 100);
    const keys = await archive(sent);
    const rows = sent.reduce((sum, { records }) => sum + records.length, 0);
    const wanted = plainFigures(sent);
    expect([...wanted.values()].some(({ duplicates }) => duplicates > 0)).toBe(true);
    const counts: number[] = [];
    for (const shards of [1, 7, 50]) {
      const memory = memoryOf('logs', rows / shards);
      const settings = { ...stack.settings, TIDEMARK_BATCH_MEMORY_BYTES: memory };
      const { run } = await runBatch({ ...optionsFor(date), settings, force: true });
      counts.push(run?.shards ?? 0);
      expect(run).toMatchObject({ signal: 'logs', rowsRead: rows, isFinal: false });
      expect(await published(run?.runId ?? '')).toEqual(sorted(wanted));
      await expectProved(date, run?.runId ?? '', keys);
    }
    expect(counts[0]).toBe(1);
    expect(counts[1]).toBeGreaterThanOrEqual(5);
    expect(counts[2]).toBeGreaterThanOrEqual(30);
  });

  it('keeps lines repeated in one request, and removes a request delivered twice', async () => {
    const date = '2026-10-02';
    const timeUnixNano = `${BigInt(Date.parse(date)) * 1_000_000n + 5n}`;
    const line: LogRecord = { timeUnixNano, body: { stringValue: 'retrying' } };
    const from = { tenantId: 'default', service: 'cart', receivedMs: Date.parse(date) + 10 };
    const sent: SentRequest[] = [
      { ...from, records: [line, line, line], partition: 0, offset: 1n },
      { ...from, records: [line, line, line], partition: 1, offset: 1n },
      { ...from, records: [line, line], partition: -1, offset: 9n },
    ];
    await archive(sent);
    const { run } = await runBatch(optionsFor(date));
    expect(run).toMatchObject({ rowsRead: 8, totalSpans: 3, duplicateSpans: 5 });
    const [only] = await published(run?.runId ?? '');
    expect(only?.[1]).toEqual({ total: 3, duplicates: 5, bytes: 24, bodies: 1 });
  });

  it('holds bodies larger than its buffer, and says so when one is too large', async () => {
    const date = '2026-10-03';
    const from = { tenantId: 'default', service: 's', receivedMs: Date.parse(date), partition: 0 };
    const records = [3_000_000, 5, 1_500_000].map((length, i) => ({
      timeUnixNano: `${BigInt(Date.parse(date) + i) * 1_000_000n}`,
      body: { stringValue: 'ab'.repeat(length) },
    }));
    const keys = await archive([{ ...from, records, offset: 1n }]);
    const { run } = await runBatch(optionsFor(date));
    expect(run?.totalSpans).toBe(3);
    await expectProved(date, run?.runId ?? '', keys);
    const settings = { ...stack.settings, TIDEMARK_BATCH_MEMORY_BYTES: 4 * 1024 * 1024 };
    await expect(runBatch({ ...optionsFor(date), settings, force: true })).rejects.toMatchObject({
      message: expect.stringContaining('which cannot be split') as string,
    });
  });

  it('makes only its own day due when late records come', async () => {
    const date = '2026-10-04';
    const sent = randomLogDay(seededRandom(seed + 1), Date.parse(date), 4);
    await archive(sent);
    const first = await runBatch(optionsFor(date));
    expect((await runBatch(optionsFor(date))).outcome).toBe('unchanged');
    await archive(randomLogDay(seededRandom(seed + 2), Date.parse(date), 2));
    const second = await runBatch(optionsFor(date));
    expect(second.outcome).toBe('published');
    expect(second.run?.rowsRead).toBeGreaterThan(first.run?.rowsRead ?? 0);
    const rows = await stack.clickhouse.query<{ runs: string[] }>(
      'SELECT groupUniqArray(run_id) AS runs FROM log_stats_current WHERE date = {date:Date}',
      { date },
    );
    expect(rows).toEqual([{ runs: [second.run?.runId] }]);
    expect((await runBatch({ ...optionsFor(date), of: 'traces' })).outcome).toBe('unchanged');
  });
});

function optionsFor(date: string): BatchOptions {
  let nowMs = Date.parse('2026-11-22T12:00:00Z');
  return {
    store: stack.store,
    clickhouse: stack.clickhouse,
    settings: stack.settings,
    clock: () => (nowMs += 1),
    random: Math.random,
    log: { info: () => undefined, warn: (fields, message) => console.warn(message, fields) },
    period: parsePeriod(date),
    of: 'logs',
  };
}

let nextOffset = 0n;

/** One commit for each partition; offsets are made unique over the whole test. */
async function archive(requests: readonly SentRequest[]): Promise<string[]> {
  const keys: string[] = [];
  for (const own of Map.groupBy(requests, ({ partition }) => partition).values()) {
    const deliveries = own
      .map((request) => deliveryOf({ ...request, offset: request.offset + nextOffset }))
      .toSorted((a, b) => Number(a.offset - b.offset));
    keys.push(...(await archiveDeliveries(stack.store, 'logs', deliveries)));
  }
  nextOffset += 1000n;
  return keys;
}

async function published(runId: string): Promise<[string, Record<string, number>][]> {
  const rows = await stack.clickhouse.query<Record<string, string | number>>(
    `SELECT tenant_id, service_name, severity_number, severity_text, toString(hour) AS hour,
        total_records, duplicate_records, body_bytes, unique_bodies
     FROM log_stats_batch WHERE run_id = {runId:String}`,
    { runId },
  );
  const entries = rows.map((row): [string, Record<string, number>] => [
    JSON.stringify([
      row['tenant_id'],
      row['service_name'],
      row['severity_number'],
      row['severity_text'],
      String(row['hour']).slice(0, 13).replace(' ', 'T'),
    ]),
    {
      total: Number(row['total_records']),
      duplicates: Number(row['duplicate_records']),
      bytes: Number(row['body_bytes']),
      bodies: Number(row['unique_bodies']),
    },
  ]);
  return sorted(new Map(entries));
}

function sorted<T>(figures: ReadonlyMap<string, T>): [string, T][] {
  return [...figures].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

async function expectProved(date: string, runId: string, keys: readonly string[]): Promise<void> {
  const { clickhouse, settings } = stack;
  const period = parsePeriod(date);
  const options = {
    clickhouse,
    settings,
    period,
    runId,
    keys,
    periodMs: 0,
    seriesMax: 1,
    edgesMax: 1,
    operationsMax: 1000,
  };
  const report = await verifyRun({ ...options, proofs: [logProof] });
  expect(report.differences).toEqual([]);
  expect(report.rows).toBeGreaterThan(0);
}
