/** The merged views against a plain model, under random histories of publishing; and what they read. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../schemas/settings.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import { startClickHouse } from '../support/clickhouse.ts';
import type { TestClickHouse } from '../support/clickhouse.ts';
import { history, World } from '../support/publishing.ts';
import type { Event, Kind, Naming, Run, Seen } from '../support/publishing.ts';
import { seededRandom } from '../support/random.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20_261_123);
const steps = 90;

let server: TestClickHouse;
const opened: ClickHouse[] = [];

beforeAll(async () => {
  console.info(`seed ${seed}`);
  server = await startClickHouse();
});

afterAll(async () => {
  await Promise.all(opened.map((client) => client.close()));
  await server.stop();
});

/** A migrated database of its own. */
async function fresh(database: string): Promise<ClickHouse> {
  const client = openClickHouse(
    readSettings({ CLICKHOUSE_URL: server.url, CLICKHOUSE_DATABASE: database }),
  );
  opened.push(client);
  await migrate(client);
  return client;
}

/** Every merged view: what its periods are, and what it counts. */
const views = [
  { view: 'service_stats_merged', kind: 'traces day', items: 'total_spans' },
  { view: 'service_stats_hourly_merged', kind: 'traces hour', items: 'total_spans' },
  { view: 'service_graph_merged', kind: 'traces day', items: 'calls' },
  { view: 'log_stats_merged', kind: 'logs day', items: 'total_records' },
  { view: 'metric_stats_merged', kind: 'metrics day', items: 'points' },
  { view: 'metric_series_merged', kind: 'metrics day', items: 'points' },
] as const satisfies readonly { view: string; kind: Kind; items: string }[];

/** A line of each period of a view, of each layer and run that it takes the period from. */
function seenBy(client: ClickHouse, { view, kind, items }: (typeof views)[number], settings = '') {
  const period = kind.endsWith('hour') ? `formatDateTime(hour, '%Y-%m-%dT%H')` : 'toString(date)';
  return client.query<Seen>(
    `SELECT ${period} AS period, layer, run_id AS runId, is_final AS isFinal,
       toFloat64(toUnixTimestamp64Milli(watermark)) AS watermarkMs,
       toFloat64(sum(${items})) AS items
     FROM ${view} GROUP BY period, layer, runId, isFinal, watermarkMs
     ORDER BY period, layer, runId ${settings}`,
  );
}

/** Servers before 25.9 have no snapshot that all parts of a query share. */
const snapshots = 'SETTINGS enable_shared_storage_snapshot_in_query = 0';

/** Whether the event says anything of periods of this kind. */
function isOf(event: Event, kind: Kind): boolean {
  if (event.what === 'arrive') return kind.startsWith(event.signal);
  return (event.what === 'name' ? event.naming.run : event.run).kind === kind;
}

/** A run of five items, of the period that has this hour. */
function runOf(kind: Kind, hour: string): Run {
  return {
    kind,
    period: kind.endsWith('hour') ? hour : hour.slice(0, 10),
    runId: 'run',
    rows: [5],
  };
}

function namingOf(run: Run, publishedMs: number): Naming {
  return { run, isFinal: true, publishedMs, watermarkMs: publishedMs };
}

const service = { tenant_id: 'default', service_name: 'cart' };

/** Tables of each kind of run, and a row of so many items in each. */
const tables = {
  'traces day': {
    service_stats_batch: (items: number) => ({ ...service, total_spans: items }),
    service_graph_batch: (items: number) => ({ caller: 'user', callee: 'cart', calls: items }),
  },
  'traces hour': {
    service_stats_hourly_batch: (items: number) => ({ ...service, total_spans: items }),
  },
  'logs day': {
    log_stats_batch: (items: number) => ({ ...service, total_records: items }),
  },
  'metrics day': {
    metric_stats_batch: (items: number) => ({ ...service, points: items }),
    metric_series_batch: (items: number) => ({ ...service, points: items }),
  },
} as const satisfies Record<Kind, Record<string, (items: number) => object>>;

function keyOf({ kind, period }: Run): Readonly<Record<string, string>> {
  return kind.endsWith('hour') ? { hour: `${period}:00:00Z` } : { date: period };
}

/** Does to ClickHouse what happened. */
async function happen(
  client: ClickHouse,
  event: Event,
  newId: () => string,
  namings = 'batch_runs',
): Promise<void> {
  if (event.what === 'arrive') return arrive(client, event, newId);
  if (event.what === 'name') {
    const { run, isFinal, publishedMs, watermarkMs } = event.naming;
    const [signal, kind] = run.kind.split(' ');
    const row = {
      signal,
      period_kind: kind,
      period_start: kind === 'hour' ? `${run.period}:00:00Z` : `${run.period}T00:00:00Z`,
      run_id: run.runId,
      published_at: new Date(publishedMs).toISOString(),
      is_final: isFinal,
      watermark: new Date(watermarkMs).toISOString(),
    };
    return client.insertRows(namings, [row]);
  }
  const { run } = event;
  const key = keyOf(run);
  for (const [table, rowOf] of Object.entries(tables[run.kind])) {
    if (event.what === 'drop') {
      const value = Object.values(key)[0]?.replace('T', ' ').replace('Z', '');
      await client.command(`ALTER TABLE ${table} DROP PARTITION ('${value}', '${run.runId}')`);
      continue;
    }
    const items = event.part === 0 ? run.rows.slice(0, 1) : run.rows.slice(1);
    const rows = items.map((count) => ({ ...key, run_id: run.runId, ...rowOf(count) }));
    await client.insertRows(table, rows);
  }
}

async function arrive(
  client: ClickHouse,
  { signal, times }: Event & { what: 'arrive' },
  newId: () => string,
): Promise<void> {
  const at = { ServiceName: 'cart' };
  if (signal === 'logs') {
    const records = times.map((Timestamp) => ({ ...at, Timestamp, Body: newId() }));
    return client.insertRows('otel_logs', records);
  }
  if (signal === 'metrics') {
    const points = times.map((TimeUnix) => ({ ...at, TimeUnix, MetricName: 'size', Value: 1 }));
    return client.insertRows('otel_metrics_gauge', points);
  }
  const spans = times.map((Timestamp) => {
    const id = newId();
    const ids = { TraceId: id.padStart(32, '0'), SpanId: id.padStart(16, '0') };
    return { ...at, ...ids, Timestamp, SpanName: 'get', SpanKind: 'Server' };
  });
  return client.insertRows('otel_traces', spans);
}

describe('the merged views', () => {
  it(`have every period once, of its current run, else live, in ${steps} random steps`, async () => {
    const client = await fresh('history');
    const days = ['2026-11-20', '2026-11-21'];
    const world = new World();
    const done: Record<string, number> = {};
    let [id, turn] = [0, 0];
    const newId = () => (++id).toString(16);
    for (const event of history({ random: seededRandom(seed), days, steps, parts: 2 })) {
      await happen(client, event, newId);
      world.apply(event);
      done[event.what] = (done[event.what] ?? 0) + 1;
      // Other kinds of periods must be as they were: looked at now and then.
      const isWhole = (turn += 1) % 20 === 0;
      for (const each of views.filter(({ kind }) => isWhole || isOf(event, kind))) {
        const at = `${each.view}, turn ${turn}: ${JSON.stringify(event)}`;
        expect(await seenBy(client, each), at).toEqual(world.seen(each.kind));
      }
    }
    console.info(done);
    for (const each of ['arrive', 'insert', 'name']) {
      expect(done[each] ?? 0, each).toBeGreaterThan(4);
    }
  }, 240_000);

  it('show a period whole, once, from one layer while its run is published', async () => {
    const client = await fresh('race');
    // Every look at the current runs takes 0.4 s here (a block of rows does). A view that looked twice would
    // see the run in one half and not in the other, as it is published between the two.
    await client.command('RENAME TABLE batch_runs TO batch_runs_fast');
    await client.command(
      'CREATE VIEW batch_runs AS SELECT * FROM batch_runs_fast WHERE sleep(0.4) = 0',
    );
    const kinds = [...new Set(views.map(({ kind }) => kind))];
    const publishedMs = Date.UTC(2026, 10, 25);
    const name = (run: Run) =>
      happen(
        client,
        { what: 'name', naming: namingOf(run, publishedMs) },
        () => '',
        'batch_runs_fast',
      );
    // A block of no rows would not sleep.
    for (const kind of kinds) await name(runOf(kind, '2026-11-10T00'));
    let id = 0;
    const newId = () => (++id).toString(16);
    for (const [index, waitMs] of [100, 250].entries()) {
      const hour = `2026-11-${11 + index}T12`;
      const times = Array.from({ length: 7 }, () => `${hour}:00:00`);
      for (const signal of ['traces', 'logs', 'metrics']) {
        await happen(client, { what: 'arrive', signal, times }, newId);
      }
      const runs = kinds.map((kind) => runOf(kind, hour));
      for (const run of runs) await happen(client, { what: 'insert', run, part: 0 }, newId);
      const reading = Promise.all(views.map((each) => seenBy(client, each, snapshots)));
      await delay(waitMs);
      await Promise.all(runs.map(name));
      const during = await reading;
      const after = await Promise.all(views.map((each) => seenBy(client, each)));
      for (const [place, { view }] of views.entries()) {
        const textOf = (rows: readonly Seen[] | undefined) =>
          rows
            ?.filter(({ period }) => hour.startsWith(period))
            .map(({ layer, items }) => `${layer} ${items}`)
            .join(' and ');
        expect(['realtime 7', 'batch 5'], view).toContain(textOf(during[place]));
        expect(textOf(after[place]), view).toBe('batch 5');
      }
    }
  }, 240_000);

  it('read the days, tenants and services that are asked for, and no more', async () => {
    const client = await fresh('pruned');
    await fillForPruning(client);
    const tenant = `tenant_id = 'tenant1'`;
    for (const { view, kind } of views) {
      const isGraph = view === 'service_graph_merged';
      const of = `${tenant} AND ${isGraph ? 'caller' : 'service_name'} = 'service7'`;
      const isHourly = kind.endsWith('hour');
      const published = isHourly ? `hour = '2026-11-19 00:00:00'` : `date = '2026-11-19'`;
      const live = isHourly ? `hour = '2026-11-18 00:00:00'` : `date = '2026-11-18'`;
      // An index has a mark every 1,024 rows; a tenant's service lies within two of them, a tenant in
      // half of a day's 12,000 rows. What the live graph needs is only found once traces are joined.
      const few = 3 * 1024;
      const marks = isGraph ? estimateRows : 1100;
      expect(await readRows(view, `${published} AND ${of}`), view).toBeLessThan(few + marks);
      expect(await readRows(view, `${published} AND ${tenant}`), view).toBeLessThan(6000 + marks);
      expect(await readRows(view, published), view).toBeLessThan(12_000 + marks);
      const liveRows = await readRows(view, `${live} AND ${of}`);
      expect(liveRows, view).toBeLessThan((isGraph ? 6000 : few) + marks);
      expect(await readRows(view, `${live} AND ${tenant}`), view).toBeLessThan(6000 + marks);
      expect(await readRows(view, live), view).toBeLessThan(12_000 + marks);
    }
  }, 240_000);
});

/** Rows that tell how large the live days' graphs are: a mark or two for each tenant and day. */
const estimateRows = 5 * 2 * 1024;

/** Rows that a query on a merged view of database `pruned` reads. */
async function readRows(view: string, where: string): Promise<number> {
  const query = `SELECT * FROM pruned.${view} WHERE ${where} FORMAT JSON`;
  const answer = await fetch(server.url, { method: 'POST', body: query });
  const { statistics } = (await answer.json()) as { statistics: { rows_read: number } };
  return statistics.rows_read;
}

/** Rows of three days, two tenants and a hundred services in every table; of the second day three runs. */
async function fillForPruning(client: ClickHouse): Promise<void> {
  const rows = 12_000;
  const from = `FROM numbers(${3 * rows})`;
  const tenant = `concat('tenant', toString(number % 2))`;
  const name = `concat('service', toString(intDiv(number, 2) % 100))`;
  // Hour 0 of each day alone, so that its hour is as large as the day.
  const at = `toDateTime64('2026-11-18 00:00:00', 9, 'UTC') + toIntervalDay(number % 3)
    + toIntervalMillisecond(intDiv(number, 3) * 1000 % 3600000)`;
  await client.command(
    `INSERT INTO otel_traces (Timestamp, TenantId, ServiceName, SpanName, SpanKind, TraceId, SpanId)
     SELECT ${at}, ${tenant}, ${name}, toString(number), 'Server', leftPad(hex(number), 32, '0'),
       leftPad(hex(number + 1), 16, '0') ${from}`,
  );
  await client.command(
    `INSERT INTO otel_logs (Timestamp, TenantId, ServiceName, SeverityText, Body)
     SELECT ${at}, ${tenant}, ${name}, toString(number), 'line' ${from}`,
  );
  await client.command(
    `INSERT INTO otel_metrics_gauge (TimeUnix, TenantId, ServiceName, MetricName, Value)
     SELECT ${at}, ${tenant}, ${name}, toString(number), 1 ${from}`,
  );
  const columns: Record<string, string> = {
    service_stats_batch: 'date, service_name, operation_name',
    service_graph_batch: 'date, caller, callee',
    service_stats_hourly_batch: 'hour, service_name, operation_name',
    log_stats_batch: 'date, service_name, severity_text',
    metric_stats_batch: 'date, service_name, metric_name',
    metric_series_batch: 'date, service_name, metric_name',
  };
  for (const [table, own] of Object.entries(columns)) {
    for (const runId of ['r1', 'r2', 'r3']) {
      await client.command(
        `INSERT INTO ${table} (${own}, tenant_id, run_id)
         SELECT '2026-11-19', ${name}, toString(number), ${tenant}, '${runId}' FROM numbers(${rows})`,
      );
    }
  }
  for (const signal of ['traces', 'logs', 'metrics']) {
    for (const kind of signal === 'traces' ? ['day', 'hour'] : ['day']) {
      const start = { signal, period_kind: kind, period_start: '2026-11-19T00:00:00Z' };
      await client.insertRows('batch_runs', [{ ...start, run_id: 'r2', published_at: 1 }]);
    }
  }
}
