import { afterAll, beforeAll, expect, it } from 'vitest';
import { Journal, readTicks } from '../../../batch/scheduler/journal.ts';
import { ClickHouseError } from '../../../schemas/errors.ts';
import { parsePeriod } from '../../../schemas/period.ts';
import { startStack, type Stack } from '../../support/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.close());

it('Journal keeps what ClickHouse did not take, and rows that are there twice count once', async () => {
  const atMs = Date.parse('2026-11-23T04:00:00Z');
  const tick = { kind: 'day', atMs } as const;
  let failures = 1;
  const clickhouse: Stack['clickhouse'] = {
    ...stack.clickhouse,
    insertRows: async (table, rows, options) => {
      // It was stored, but the answer got lost.
      await stack.clickhouse.insertRows(table, rows, options);
      failures -= 1;
      if (failures >= 0) throw new ClickHouseError(210, 'Cannot insert: away', { retryable: true });
    },
  };
  const journal = new Journal({ clickhouse, clock: () => atMs + 5000, scheduler: 'a', term: 3 });
  journal.noteTick(tick, 'begun');
  const period = parsePeriod('2026-11-22');
  const note = { tick, period, signal: 'traces', attempt: 3, elapsedMs: 7, runId: '' } as const;
  journal.notePeriod({ ...note, event: 'failed', message: 'no' });
  await expect(journal.flush()).rejects.toThrow('away');
  journal.noteTick(tick, 'done');
  await journal.flush();
  await journal.flush();
  expect(journal.dropped).toBe(0);
  expect(await readTicks(stack.clickhouse, 'day', atMs)).toEqual([
    { ...tick, state: 'done', begunMs: atMs + 5000 },
  ]);
  expect(await readTicks(stack.clickhouse, 'day', atMs + 1000)).toEqual([]);
  const counted = await stack.clickhouse.query(
    'SELECT toUInt32(published) AS published, toUInt32(failed) AS failed FROM batch_ticks',
  );
  expect(counted).toEqual([{ published: 0, failed: 1 }]);
  const failed = await stack.clickhouse.query('SELECT attempts, message FROM batch_failures');
  expect(failed).toEqual([{ attempts: 3, message: 'no' }]);
});
