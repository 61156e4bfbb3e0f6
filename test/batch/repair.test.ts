/** Repair on real engines: rows are really lost and doubled in the speed tables, and come back as they were. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  dropLeftovers,
  repair,
  repairName,
  type RepairOptions,
  type RepairReport,
} from '../../batch/repair.ts';
import { rollupsOf } from '../../batch/repair/rollup.ts';
import { removeSurplus } from '../../batch/repair/remove.ts';
import type { Restore } from '../../batch/repair/restore.ts';
import { signalRepairs } from '../../batch/repair/signals.ts';
import type { Signal } from '../../schemas/archive.ts';
import { parsePeriod, type Period } from '../../schemas/period.ts';
import { speedTables, tablesOf } from '../../schemas/tables.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { Restorer } from '../../workers/repair.ts';
import { Generator, receivedMs } from '../aggregator-as/generate.ts';
import { LogGenerator } from '../aggregator-as/logmaker.ts';
import { loadTranscoder } from '../aggregator-as/module.ts';
import { PointGenerator } from '../aggregator-as/pointmaker.ts';
import { archiveDeliveries, type Delivery } from '../support/delivered.ts';
import { encodeTraces } from '../support/otlp.ts';
import { seededRandom } from '../support/random.ts';
import { insertSent } from '../support/sent.ts';
import { startStack, type Stack } from '../support/stack.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
const period = parsePeriod(new Date(receivedMs).toISOString().slice(0, 10));
let stack: Stack;
let transcoder: WebAssembly.Module;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  [stack, transcoder] = await Promise.all([startStack(), loadTranscoder()]);
});
afterAll(() => stack.close());

let names = 0;

function run(of: Signal, more: Partial<RepairOptions> = {}): Promise<RepairReport> {
  const restorer = new Restorer({ store: stack.store, transcoder, signal: of });
  const restore: Restore = (file, places) => restorer.rowsOf(file, places);
  return repair({
    ...stack,
    of,
    period,
    isDryRun: false,
    restore,
    name: `test${(names += 1)}`,
    nowMs: () => (more.period ?? period).endMs,
    ...more,
  });
}

const timeOf = { traces: 'Timestamp', logs: 'Timestamp', metrics: 'TimeUnix' } as const;
const dayOf = (of: Signal) =>
  `${timeOf[of]} >= toDateTime('${period.name} 00:00:00', 'UTC')
   AND ${timeOf[of]} < toDateTime('${period.name} 00:00:00', 'UTC') + INTERVAL 1 DAY`;

/** Records without a time of their own have that of their receipt: they cannot be told from others. */
const isTold = (of: Signal) => (of === 'logs' ? 'Timestamp != IngestedAt' : '1');

/** All rows of the signal's day, every column, in an order of their own. */
async function rowsOf(of: Signal): Promise<string[]> {
  const all = tablesOf[of].map(async (table) => {
    const columns = speedTables[table].map((name) => `\`${name}\``).join(', ');
    const found = await stack.clickhouse.query<{ row: string }>(
      `SELECT hex(toString(tuple(${columns}))) AS row FROM ${table} WHERE ${dayOf(of)}`,
    );
    return found.map(({ row }) => `${table} ${row}`);
  });
  return (await Promise.all(all)).flat().toSorted();
}

/** The rows whose hash by `salt` is 0 of `of`. */
const some = (salt: number, of: number) =>
  `cityHash64(${salt}, IngestedAt, toString(ServiceName), toString(ResourceAttributes), rowNumberInAllBlocks()) % ${of} = 0`;

/** Adds copies of some rows of the day; returns how many. */
async function double(of: Signal, salt: number): Promise<number> {
  const before = (await rowsOf(of)).length;
  for (const table of tablesOf[of]) {
    const columns = speedTables[table].map((name) => `\`${name}\``).join(', ');
    await stack.clickhouse.command(
      `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM ${table}
       WHERE ${dayOf(of)} AND ${isTold(of)} AND ${some(salt, 4)} SETTINGS insert_deduplicate = 0`,
    );
  }
  return (await rowsOf(of)).length - before;
}

/** Removes about a third of the day's rows; returns how many. */
async function lose(of: Signal, salt: number): Promise<number> {
  const before = (await rowsOf(of)).length;
  for (const table of tablesOf[of]) {
    await stack.clickhouse.command(
      `DELETE FROM ${table} WHERE ${dayOf(of)} AND ${isTold(of)}
         AND cityHash64(${salt}, _part_offset, ${timeOf[of]}) % 3 = 0`,
    );
  }
  return before - (await rowsOf(of)).length;
}

/** Figures of the signal's rollups, and the same counted plainly from the table. */
async function rolledUp(of: 'traces' | 'logs') {
  const [table, key, count] = {
    traces: ['service_stats_realtime', 'operation_name', 'total_spans'],
    logs: ['log_stats_realtime', 'severity_text', 'total_records'],
  }[of];
  const [base, name] = { traces: ['otel_traces', 'SpanName'], logs: ['otel_logs', 'SeverityText'] }[
    of
  ];
  const rolled = await stack.clickhouse.query(
    `SELECT minute, tenant_id AS t, service_name AS s, hex(${key}) AS k, toString(sum(${count})) AS n
     FROM ${table} WHERE toDate(minute, 'UTC') = '${period.name}' GROUP BY ALL ORDER BY ALL`,
  );
  const plain = await stack.clickhouse.query(
    `SELECT toStartOfMinute(toDateTime(Timestamp, 'UTC')) AS minute, TenantId AS t, ServiceName AS s,
       hex(${name}) AS k, toString(count()) AS n
     FROM ${base} WHERE ${dayOf(of)} GROUP BY ALL ORDER BY ALL`,
  );
  return { rolled, plain };
}

const generators = { traces: Generator, logs: LogGenerator, metrics: PointGenerator };

describe('repair()', () => {
  it.each(['traces', 'logs', 'metrics'] as const)(
    'gives %s back byte for byte, whatever was sent',
    { timeout: 120_000 },
    async (of) => {
      const random = seededRandom(seed);
      const generator = new generators[of](random);
      const sent = Array.from({ length: 36 }, (_, i): Delivery => ({
        request: generator.request(),
        tenantId: i % 3 === 0 ? 'acme' : 'default',
        receivedMs: receivedMs + i * 1000,
        partition: 0,
        offset: BigInt(i),
      }));
      // Two commits, so that there are several files.
      await archiveDeliveries(stack.store, of, sent.slice(0, 24));
      await archiveDeliveries(stack.store, of, sent.slice(24));
      await insertSent(stack.settings.CLICKHOUSE_URL, of, sent);
      // What the random requests repeat by themselves goes.
      const first = await run(of);
      expect(first).toMatchObject({ missing: 0, inserted: 0 });
      const clean = await rowsOf(of);
      expect(clean.length).toBeGreaterThan(100);

      const doubled = await double(of, 1);
      const lost = await lose(of, 2);
      const broken = await rowsOf(of);
      expect(Math.min(doubled, lost)).toBeGreaterThan(10);
      const dry = await run(of, { isDryRun: true });
      expect(await rowsOf(of)).toEqual(broken);
      expect(dry.missing - dry.surplus).toBe(clean.length - broken.length);

      // Of logs in several slices, and the rollup hour by hour: that takes its time.
      const rows = of === 'logs' ? 400 : stack.settings.TIDEMARK_VERIFY_ROWS;
      const settings = { ...stack.settings, TIDEMARK_VERIFY_ROWS: rows };
      const mended = await run(of, { settings });
      expect(mended).toMatchObject({
        missing: dry.missing,
        inserted: dry.missing,
        surplus: dry.surplus,
        removed: dry.surplus,
      });
      expect(await rowsOf(of)).toEqual(clean);
      expect(await run(of)).toMatchObject({ missing: 0, surplus: 0, rollups: [] });
      expect(await rowsOf(of)).toEqual(clean);
      if (of !== 'metrics') {
        const { rolled, plain } = await rolledUp(of);
        expect(rolled).toEqual(plain);
      }
    },
  );
});

const nanos = (ms: number) => `${ms}000000`;
const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');

/** A request of `count` spans of the day, the first of them numbered `from`. */
function requestOf(date: Period, from: number, count: number): Uint8Array {
  const spans = Array.from({ length: count }, (_, i) => ({
    traceId: Buffer.from(hex(from + i + 1, 32), 'hex'),
    spanId: Buffer.from(hex(from + i + 1, 16), 'hex'),
    name: `operation ${(from + i) % 5}`,
    startTimeUnixNano: nanos(date.startMs + (from + i) * 10_000),
    endTimeUnixNano: nanos(date.startMs + (from + i) * 10_000 + 40),
  }));
  return encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
}

/** Archives and inserts a day of spans, in requests of ten. */
async function deliverDay(date: Period, requests: number): Promise<void> {
  const sent = Array.from({ length: requests }, (_, i): Delivery => ({
    request: requestOf(date, i * 10, 10),
    tenantId: i % 2 === 0 ? 'acme' : 'other',
    receivedMs: date.startMs + i * 100_000,
    partition: 0,
    offset: BigInt(date.startMs + i),
  }));
  await archiveDeliveries(stack.store, 'traces', sent);
  await insertSent(stack.settings.CLICKHOUSE_URL, 'traces', sent);
}

/** Rows, distinct spans and what the rollup counts of a day. */
async function countsOf(date: Period, where = '1') {
  const [found] = await stack.clickhouse.query<Record<string, string>>(
    `SELECT toString(count()) AS rows, toString(uniqExact(TraceId)) AS spans,
       toString((SELECT sum(total_spans) FROM service_stats_realtime
         WHERE toDate(minute, 'UTC') = '${date.name}')) AS rolled
     FROM otel_traces WHERE toDate(Timestamp, 'UTC') = '${date.name}' AND ${where}`,
  );
  return found;
}

/** Loses every third span and doubles every fourth row that is left. */
async function harm(date: Period): Promise<void> {
  const day = `toDate(Timestamp, 'UTC') = '${date.name}'`;
  const columns = speedTables.otel_traces.map((name) => `\`${name}\``).join(', ');
  await stack.clickhouse.command(
    `DELETE FROM otel_traces WHERE ${day} AND cityHash64(TraceId) % 3 = 0`,
  );
  await stack.clickhouse.command(
    `INSERT INTO otel_traces (${columns}) SELECT ${columns} FROM otel_traces
     WHERE ${day} AND cityHash64(TraceId) % 4 = 0 SETTINGS insert_deduplicate = 0`,
  );
}

describe('repair() in company', () => {
  it('keeps what arrives meanwhile, once, and counts it', { timeout: 120_000 }, async () => {
    const date = parsePeriod('2026-11-05');
    await deliverDay(date, 30);
    await harm(date);
    const late: Promise<void>[] = [];
    const url = stack.settings.CLICKHOUSE_URL;
    const arrive = () => {
      const request = requestOf(date, 5000 + late.length, 1);
      const sent = { request, tenantId: 'acme', receivedMs: date.endMs + late.length };
      late.push(insertSent(url, 'traces', [sent]));
    };
    arrive();
    // At each step, until the rollup has been made once while something came.
    let rollups = 0;
    const onProgress = (line: string) => {
      if (line.startsWith('service_stats_realtime')) rollups += 1;
      if (rollups < 2) arrive();
    };
    const report = await run('traces', { period: date, onProgress });
    await Promise.all(late);
    expect(report.rollups).toContain('service_stats_realtime');
    expect(late.length).toBeGreaterThan(3);
    const total = String(300 + late.length);
    expect(await countsOf(date)).toEqual({ rows: total, spans: total, rolled: total });
    expect(await run('traces', { period: date })).toMatchObject({ missing: 0, surplus: 0 });
  });

  it('leaves other tenants alone when it is told whose to repair', async () => {
    const date = parsePeriod('2026-11-06');
    await deliverDay(date, 10);
    await harm(date);
    const others = await countsOf(date, "TenantId = 'other'");
    await run('traces', { period: date, tenantId: 'acme' });
    const mine = await countsOf(date, "TenantId = 'acme'");
    expect(mine).toMatchObject({ rows: '50', spans: '50' });
    const { rows, spans } = (await countsOf(date, "TenantId = 'other'")) ?? {};
    expect({ rows, spans }).toEqual({ rows: others?.['rows'], spans: others?.['spans'] });
  });

  it('lists rows again that a merge has moved, and inserts once what is sent twice', async () => {
    const date = parsePeriod('2026-11-07');
    await deliverDay(date, 10);
    await harm(date);
    const { clickhouse } = stack;
    let merges = 0;
    const restless: ClickHouse = {
      ...clickhouse,
      command: async (sql, ...more) => {
        if (sql.startsWith('DELETE FROM otel_traces') && (merges += 1) === 1) {
          await clickhouse.command('OPTIMIZE TABLE otel_traces FINAL');
        }
        await clickhouse.command(sql, ...more);
      },
      // As after an answer that was lost.
      insertBytes: async (...args) => {
        await clickhouse.insertBytes(...args);
        await clickhouse.insertBytes(...args);
      },
    };
    await run('traces', { period: date, clickhouse: restless });
    expect(merges).toBeGreaterThan(1);
    expect(await countsOf(date)).toEqual({ rows: '100', spans: '100', rolled: '100' });
  });

  it('refuses a day that is not over', async () => {
    const early = run('traces', { nowMs: () => period.endMs - 1 });
    await expect(early).rejects.toMatchObject({ code: 'BAD_SETTING' });
  });
});

describe('removeSurplus()', () => {
  it('gives up on rows that do not get fewer', async () => {
    const stuck: ClickHouse = {
      ...stack.clickhouse,
      command: () => Promise.resolve(),
      query: <T>() =>
        Promise.resolve([{ table_index: 0, part: '20261107_9_9_0', offset: '0' }] as T[]),
    };
    const options = {
      clickhouse: stuck,
      compared: {
        settings: stack.settings,
        repair: signalRepairs.traces,
        window: { from: '0', to: '0' },
        keys: [],
        isOneTenant: false,
      },
      part: { index: 0, count: 1 },
      surplus: 1,
      params: {},
      onProgress: () => undefined,
    };
    await expect(removeSurplus(options)).rejects.toMatchObject({ code: 'BATCH_FAILED' });
  });
});

describe('dropLeftovers()', () => {
  it('drops what a killed repair left, and not what a running one has', async () => {
    const name = `tidemark_repair_${repairName('traces', period.endMs, 'abc')}`;
    await stack.clickhouse.command(`CREATE TABLE ${name} (a Int8) ENGINE = MergeTree ORDER BY a`);
    const left = () =>
      stack.clickhouse.query(`SELECT 1 FROM system.tables WHERE name = {name:String}`, { name });
    const ageMs = 3_600_000;
    await dropLeftovers(stack.clickhouse, { nowMs: period.endMs + ageMs, ageMs });
    expect(await left()).toHaveLength(1);
    await dropLeftovers(stack.clickhouse, { nowMs: period.endMs + ageMs + 1, ageMs });
    expect(await left()).toHaveLength(0);
  });
});

describe('rollupsOf()', () => {
  it('knows every target of a view that adds figures up', async () => {
    const found = await rollupsOf(stack.clickhouse, Object.keys(speedTables));
    const targets = await stack.clickhouse.query<{ target: string }>(
      `SELECT DISTINCT extract(create_table_query, ' TO (?:\\\\w+\\\\.)?(\\\\w+)') AS target
       FROM system.tables WHERE engine = 'MaterializedView' AND database = currentDatabase()`,
    );
    // Least and greatest times of traces are right with rows that are gone; days are the batch's.
    const others = new Set(['otel_traces_trace_id_ts', 'service_stats_days']);
    const adding = targets.map(({ target }) => target).filter((target) => !others.has(target));
    expect(found.map(({ table }) => table).toSorted()).toEqual(adding.toSorted());
  });
});
