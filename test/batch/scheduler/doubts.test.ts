/** What the scheduler shows of provisional periods and of drift, from rows in a real ClickHouse. */
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { scheduleCounters, type ScheduleCounters } from '../../../batch/scheduler/counters.ts';
import { Doubts } from '../../../batch/scheduler/doubts.ts';
import { Pulse } from '../../../batch/scheduler/pulse.ts';
import { doubtsPauseMs } from '../../../schemas/limits/batch.ts';
import { readSettings } from '../../../schemas/settings.ts';
import { openClickHouse, type ClickHouse } from '../../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../../workers/clients/clickhouse/migrate.ts';
import type { TestClickHouse } from '../../support/clickhouse.ts';
import { startMigrated } from '../../support/schema.ts';

const nowMs = Date.parse('2026-11-22T08:00:00Z');
let server: TestClickHouse;
let clickhouse: ClickHouse;
let counters: ScheduleCounters;
let pulse: Pulse;

beforeAll(async () => {
  server = await startMigrated();
  clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  await migrate(clickhouse);
}, 120_000);

afterAll(async () => {
  await clickhouse.close();
  await server.stop();
});

beforeEach(() => {
  counters = scheduleCounters(new Registry());
  pulse = new Pulse(() => 0);
});

type Labels = Readonly<Record<string, string>>;

type Shown = 'provisional' | 'drift' | 'driftDay' | 'books' | 'booksDay';

async function shown(name: Shown): Promise<Map<string, number>> {
  const { values } = await counters[name].get();
  return new Map(
    values.map(({ labels, value }) => [Object.values(labels as Labels).join(' '), value]),
  );
}

/** A published run, of input `a` unless it says otherwise. */
function runOf(day: string, more: Readonly<Record<string, unknown>>) {
  const run = { signal: 'traces', period_kind: 'day', period_start: `${day}T00:00:00Z` };
  const hashes = { input_hash: 'a', seen_hash: 'a' };
  return { ...run, run_id: `${day}-1`, published_at: `${day}T23:00:00Z`, ...hashes, ...more };
}

/** A minute of the books of the shop's logs. */
function minuteOf(minute: string, computedAt: string, differences: object) {
  return { signal: 'logs', tenant_id: 'shop', minute, computed_at: computedAt, differences };
}

/** A comparison of one service's spans of a day. */
function rowOf(day: string, service: string, computedAt: string, items: object) {
  return {
    signal: 'traces',
    period_kind: 'day',
    period_start: `${day}T00:00:00Z`,
    run_id: `${day}-1`,
    computed_at: computedAt,
    service_name: service,
    ...items,
  };
}

describe('Doubts.show()', () => {
  it('counts ended periods that are provisional, but for those that were rolled back', async () => {
    await clickhouse.insertRows('batch_runs', [
      runOf('2026-11-21', { is_final: false }),
      runOf('2026-11-20', { is_final: false }),
      // Final since, by a later row.
      runOf('2026-11-20', { is_final: true, published_at: '2026-11-21T04:00:00Z' }),
      runOf('2026-11-19', { is_final: false, seen_hash: 'b' }),
      // It has not ended.
      runOf('2026-11-22', { is_final: false }),
      runOf('2026-11-21', { signal: 'logs', is_final: true }),
    ]);
    await new Doubts({ clickhouse, counters, pulse }).show(nowMs);
    const found = await shown('provisional');
    expect(found.get('traces day')).toBe(1);
    expect(found.get('logs day')).toBe(0);
    expect(found.get('traces hour')).toBe(0);
  });

  it('shows the drift of the newest day, as compared last: of all, or of the worst large service', async () => {
    const early = '2026-11-22T06:00:00Z';
    const late = '2026-11-22T07:00:00Z';
    await clickhouse.insertRows('layer_drift', [
      rowOf('2026-11-20', 'cart', late, { batch_items: 5000, missing_items: 5000 }),
      rowOf('2026-11-21', 'cart', early, { batch_items: 5000, missing_items: 4000 }),
      rowOf('2026-11-21', 'cart', late, {
        batch_items: 9000,
        speed_items: 9000,
        missing_items: 10,
        p50_error: 0.01,
        p99_error: 0.25,
        batch_errors: 100,
        speed_errors: 90,
      }),
      rowOf('2026-11-21', 'mail', late, {
        batch_items: 1000,
        speed_items: 900,
        missing_items: 100,
      }),
      // One of ten: too few for an alert of its own.
      rowOf('2026-11-21', 'tiny', late, { batch_items: 10, missing_items: 10, p50_error: 9 }),
    ]);
    await new Doubts({ clickhouse, counters, pulse }).show(nowMs);
    const found = await shown('drift');
    expect(found.get('traces missing')).toBeCloseTo(0.1, 10);
    expect(found.get('traces quantiles')).toBe(0.25);
    expect(found.get('traces errors')).toBeCloseTo(0.1, 10);
    expect(found.get('traces unarchived')).toBe(0);
    expect(await shown('driftDay')).toEqual(
      new Map([['traces', Date.parse('2026-11-21T00:00:00Z') / 1000]]),
    );
  });

  it('shows the faults in the books of the newest day, as balanced last', async () => {
    const [early, late] = ['2026-11-22T06:00:00Z', '2026-11-22T07:00:00Z'];
    await clickhouse.insertRows('ledger_minutes', [
      minuteOf('2026-11-20T10:00:00Z', late, { file_gone: 7 }),
      minuteOf('2026-11-21T10:00:00Z', early, { file_gone: 8 }),
      minuteOf('2026-11-21T10:01:00Z', late, { lost_before_archive: 2, sent_again: 5 }),
      minuteOf('2026-11-21T23:59:00Z', late, { lost_before_archive: 1 }),
    ]);
    await new Doubts({ clickhouse, counters, pulse }).show(nowMs);
    const found = await shown('books');
    expect(found.get('logs lost_before_archive')).toBe(3);
    expect(found.get('logs file_gone')).toBe(0);
    expect(found.has('logs sent_again')).toBe(false);
    expect(await shown('booksDay')).toEqual(
      new Map([['logs', Date.parse('2026-11-21T00:00:00Z') / 1000]]),
    );
  });

  it('looks again after a while, and shows nothing where it cannot look', async () => {
    let asked = 0;
    const counting = new Proxy(clickhouse, {
      get: (object, name) => {
        if (name === 'query') asked += 1;
        return Reflect.get(object, name, object) as unknown;
      },
    });
    const doubts = new Doubts({ clickhouse: counting, counters, pulse });
    await doubts.show(nowMs);
    const once = asked;
    await doubts.show(nowMs + doubtsPauseMs - 1);
    expect(asked).toBe(once);
    await doubts.show(nowMs + doubtsPauseMs);
    expect(asked).toBe(2 * once);
    expect((await shown('driftDay')).size).toBe(1);
    await clickhouse.command('RENAME TABLE layer_drift_current TO hidden');
    await doubts.show(nowMs + 2 * doubtsPauseMs);
    expect((await shown('driftDay')).size).toBe(0);
    expect(pulse.faults).toEqual([expect.stringContaining('doubts: ')]);
    await clickhouse.command('RENAME TABLE hidden TO layer_drift_current');
    await doubts.show(nowMs + 3 * doubtsPauseMs);
    expect(pulse.faults).toEqual([]);
  });
});
