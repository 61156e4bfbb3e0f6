/** Random histories of publishing against a plain model, for readers of days and of hours. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listRuns } from '../../batch/history.ts';
import { makeCurrent } from '../../batch/publish/current.ts';
import { dropOldRuns, publishRun, type RunRecord } from '../../batch/publish/publish.ts';
import { rollBack } from '../../batch/rollback.ts';
import { currentRun } from '../../batch/publish/runs.ts';
import { publishedOf } from '../../batch/signals.ts';
import { arrayTable } from '../../batch/publish/table.ts';
import type { RunResults } from '../../batch/work.ts';
import { parsePeriod, periodKey, type Period, type PeriodKind } from '../../schemas/period.ts';
import { readSettings } from '../../schemas/settings.ts';
import { openClickHouse, type ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { startBucket, type Bucket } from '../support/objects.ts';
import { seededRandom } from '../support/random.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261122);
const steps = 40;
const runsKept = 2;
let server: TestClickHouse;
let clickhouse: ClickHouse;
let bucket: Bucket;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  [server, bucket] = await Promise.all([startClickHouse(), startBucket()]);
  clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  await migrate(clickhouse);
});
afterAll(async () => {
  await clickhouse.close();
  await Promise.all([server.stop(), bucket.close()]);
});

/** A run in the model: what it had and when it was published first and last. */
interface ModelRun {
  readonly runId: string;
  readonly rows: ReadonlyMap<string, number>;
  readonly inputHash: string;
  readonly first: number;
  isFinal: boolean;
  dropped: boolean;
}

/** A period in the model. */
interface Model {
  readonly period: Period;
  /** Last published first, by run. */
  runs: ModelRun[];
  seenHash: string;
}

const names: Readonly<Record<PeriodKind, readonly string[]>> = {
  day: ['2026-11-18', '2026-11-19', '2026-11-20'],
  hour: ['2026-11-19T00', '2026-11-19T23', '2026-11-20T12'],
};

describe('publishRun(), makeCurrent(), rollBack() and dropOldRuns()', () => {
  it(`keep readers of every day and hour on one whole run, in ${steps} random steps`, async () => {
    const random = seededRandom(seed);
    const models = [...names.day, ...names.hour].map((name): Model => {
      return { period: parsePeriod(name), runs: [], seenHash: '' };
    });
    // Days of spans without a run: an hour's or a day's run takes just that from the speed layer.
    await clickhouse.command(
      `INSERT INTO otel_traces (Timestamp, ServiceName, SpanName)
       SELECT toDateTime64('2026-11-18 00:00:00', 3, 'UTC') + number * 600, 'cart', 'get' FROM numbers(432)`,
    );
    let time = Date.parse('2026-11-22T00:00:00Z');
    const done: Record<string, number> = {};
    for (let step = 0; step < steps; step += 1) {
      const model = models[Math.floor(random() * models.length)];
      if (model === undefined) throw new Error('no model');
      time += Math.floor(random() * 3);
      const what = await takeStep(model, { step, random, clock: () => time });
      done[what] = (done[what] ?? 0) + 1;
      const at = `seed ${seed}, step ${step}: ${what} of ${model.period.name}`;
      for (const kind of ['day', 'hour'] as const) {
        const wanted = models.filter(({ period }) => period.kind === kind).map(expected);
        expect(await seen(kind, names[kind]), at).toEqual(wanted);
      }
      expect(await states(model)).toEqual(wantedStates(model));
    }
    console.log(done);
    for (const each of ['publish', 'crash', 'repeat', 'confirm', 'back', 'back to', 'refused']) {
      expect(done[each] ?? 0, each).toBeGreaterThan(0);
    }
  }, 240_000);
});

interface Step {
  readonly step: number;
  readonly random: () => number;
  readonly clock: () => number;
}

/** One random event, done to ClickHouse and to the model alike. Returns what it was. */
async function takeStep(model: Model, how: Step): Promise<string> {
  const chance = how.random();
  const newest = model.runs[0];
  if (chance < 0.15) return crash(model, how);
  if (newest === undefined || chance < 0.5) return publish(model, how, `input ${how.step}`);
  if (chance < 0.6) return publish(model, how, model.seenHash);
  if (chance < 0.7) return confirm(model, newest, how);
  return goBack(model, newest, how, chance < 0.85);
}

async function publish(model: Model, { step, random, clock }: Step, inputHash: string) {
  const { period } = model;
  const rows = randomRows(random);
  const isFinal = random() < 0.5;
  const current = await currentRun(clickhouse, 'traces', period);
  const record = recordOf(period, rows, { inputHash, isFinal });
  const run = await publishRun(clickhouse, record, resultsOf(period, rows), {
    clock,
    newRunId: () => `run-${step}`,
    previousMs: current?.publishedAtMs ?? 0,
  });
  const isRepeated = inputHash === model.seenHash;
  const first = run.publishedAtMs;
  model.runs.unshift({ runId: run.runId, rows, inputHash, first, isFinal, dropped: false });
  model.seenHash = inputHash;
  const { tables } = publishedOf('traces', period.kind);
  const { store } = bucket;
  const own = { store, random, period, signal: 'traces', tables, clock, runsKept } as const;
  await dropOldRuns(clickhouse, own);
  for (const old of model.runs.slice(runsKept)) old.dropped = true;
  return isRepeated ? 'repeat' : 'publish';
}

/** The batch dies at a random insert, or before or after the rows are counted. */
async function crash({ period }: Model, { step, random, clock }: Step): Promise<string> {
  const rows = randomRows(random);
  let left = Math.floor(random() * 3);
  const spend = () => {
    left -= 1;
    if (left < 0) throw new Error('power cut');
  };
  const dying: ClickHouse = {
    ...clickhouse,
    query: async (...args) => (spend(), clickhouse.query(...args)),
    insertRows: async (...args) => (spend(), clickhouse.insertRows(...args)),
  };
  const record = recordOf(period, rows, { inputHash: 'lost', isFinal: true });
  const newRunId = () => `lost-${step}`;
  const options = { clock, newRunId, previousMs: 0 };
  // Three calls come before the row that would make the run current.
  const lost = publishRun(dying, record, resultsOf(period, rows), options);
  await expect(lost).rejects.toThrow('power cut');
  return 'crash';
}

async function confirm(model: Model, newest: ModelRun, { clock }: Step): Promise<string> {
  const current = await currentRun(clickhouse, 'traces', model.period);
  if (current === undefined) throw new Error('no current run');
  const previousMs = current.publishedAtMs;
  const confirmed = { ...current, isFinal: true, cause: 'confirmed' } as const;
  await makeCurrent(clickhouse, confirmed, { clock, previousMs });
  newest.isFinal = true;
  return 'confirm';
}

/** To the run before, or to any that ever was. */
async function goBack(model: Model, newest: ModelRun, { random, clock }: Step, isBefore: boolean) {
  const { period } = model;
  const any = model.runs[Math.floor(random() * model.runs.length)];
  const before = model.runs
    .filter((run) => !run.dropped && run.first < newest.first)
    .toSorted((a, b) => b.first - a.first)[0];
  const target = isBefore ? before : any;
  const runId = isBefore ? undefined : any?.runId;
  const going = rollBack({ ...bucket, random, clickhouse, clock, period, of: 'traces', runId });
  if (target === undefined || target.dropped) {
    await expect(going).rejects.toMatchObject({ code: 'NOT_FOUND' });
    return 'refused';
  }
  const { run } = await going;
  expect(run).toMatchObject({ runId: target.runId, seenHash: model.seenHash });
  model.runs = [target, ...model.runs.filter((each) => each !== target)];
  return isBefore ? 'back' : 'back to';
}

/** Spans by operation. */
function randomRows(random: () => number): ReadonlyMap<string, number> {
  const count = 1 + Math.floor(random() * 4);
  return new Map(
    Array.from({ length: count }, (_, i) => [`op ${i}`, 1 + Math.floor(random() * 100)]),
  );
}

function sumOf(rows: ReadonlyMap<string, number>): number {
  return [...rows.values()].reduce((sum, spans) => sum + spans, 0);
}

/** The rows in one insert for each table of such periods. */
function resultsOf({ kind }: Period, rows: ReadonlyMap<string, number>): RunResults {
  const items = sumOf(rows);
  const stats = Array.from(rows, ([operation, total]) => ({
    tenant_id: 'default',
    service_name: 'cart',
    operation_name: operation,
    total_spans: total,
  }));
  const [table = ''] = publishedOf('traces', kind).tables;
  const dedup = { tenant_id: 'default', service_name: 'cart', deduped_span_count: items };
  const others =
    kind === 'day' ? [arrayTable('service_dedup_batch', [dedup], 'deduped_span_count', items)] : [];
  const tables = [arrayTable(table, stats, 'total_spans', items), ...others];
  return { items, duplicates: 0, conflicts: 0, groups: rows.size, tables };
}

function recordOf(
  period: Period,
  rows: ReadonlyMap<string, number>,
  more: Pick<RunRecord, 'inputHash' | 'isFinal'>,
): RunRecord {
  return {
    signal: 'traces',
    period,
    watermarkMs: 0,
    codeVersion: 'test',
    commits: 1,
    files: 1,
    rowsRead: sumOf(rows),
    totalSpans: sumOf(rows),
    duplicateSpans: 0,
    conflictSpans: 0,
    lateSpans: 0,
    foldedOperations: 0,
    shards: 1,
    elapsedMs: 1,
    listMs: 0,
    computeMs: 1,
    mergeMs: 0,
    ...more,
  };
}

/** What readers see of these periods: a line for each of their layers and runs. */
async function seen(kind: PeriodKind, of: readonly string[]): Promise<string[]> {
  const view = kind === 'day' ? 'service_stats_merged' : 'service_stats_hourly_merged';
  const keys = of.map((name) => periodKey(parsePeriod(name)));
  const { column = 'date', type = 'Date' } = keys[0] ?? {};
  const rows = await clickhouse.query<
    Record<'at' | 'layer' | 'run_id' | 'final' | 'spans', string>
  >(
    `SELECT ${column} AS at, layer, run_id, if(is_final, 'final', 'provisional') AS final,
       arrayStringConcat(arraySort(groupArray(concat(operation_name, ' ', toString(total_spans)))), ', ') AS spans
     FROM ${view} WHERE ${column} IN {of:Array(${type})}
     GROUP BY at, layer, run_id, final ORDER BY at, layer, run_id`,
    { of: keys.map(({ value }) => value) },
  );
  return rows.map((row) => `${row.at} ${row.layer} ${row.run_id} ${row.final}: ${row.spans}`);
}

function expected({ period, runs }: Model): string {
  const [current] = runs;
  const at = periodKey(period).value;
  if (current === undefined) {
    // A span every ten minutes.
    return `${at} realtime  provisional: get ${(period.endMs - period.startMs) / 600_000}`;
  }
  const finality = current.isFinal ? 'final' : 'provisional';
  const rows = Array.from(current.rows, ([operation, spans]) => `${operation} ${spans}`);
  return `${at} batch ${current.runId} ${finality}: ${rows.toSorted().join(', ')}`;
}

async function states({ period }: Model): Promise<string[]> {
  const { kind, startMs, endMs } = period;
  const runs = await listRuns(clickhouse, 'traces', { kind, fromMs: startMs, toMs: endMs });
  return runs.map(({ runId, state }) => `${runId} ${state}`);
}

function wantedStates({ runs }: Model): string[] {
  return runs.map(({ runId, dropped }, index) => {
    if (index === 0) return `${runId} current`;
    return `${runId} ${dropped ? 'dropped' : 'kept'}`;
  });
}
