/**
 * Makes the speed layer's rollups of a day right again. Rows that are inserted reach them by themselves,
 * through materialized views; rows that are removed stay counted in them. So what a rollup says of a day is
 * compared with its table, and where it differs the day's partition is made anew from the table, by the
 * views' own queries, and put in the old one's place at once.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { TidemarkError } from '../../schemas/errors.ts';
import { repairRollupPauseMs, repairRollupTriesMax } from '../../schemas/limits/repair.ts';
import { dateTime, type Period } from '../../schemas/period.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** A table that views fill, one partition a day (UTC). */
export interface Rollup {
  readonly table: string;
  /** Its column of time, and how far it tells times apart. */
  readonly time: string;
  readonly timeMs: number;
  /** Columns that rows are summed up by; all columns of a table that sums nothing up. */
  readonly keys: readonly RollupKey[];
  /** Columns that are compared, and the function that sums each up: exact ones alone. */
  readonly figures: readonly (readonly [name: string, sum: string])[];
  /** For each of its views its query, given the condition of the rows that it reads. */
  readonly views: readonly RollupView[];
  readonly engine: string;
}

interface RollupKey {
  readonly name: string;
  /** The column's type: what a view's query gives may have another one. */
  readonly type: string;
}

interface RollupView {
  readonly columns: readonly string[];
  readonly select: (condition: string) => string;
}

interface TableRow {
  readonly name: string;
  readonly asSelect: string;
  readonly created: string;
}

/** Partition keys of rollups. Other targets of views are not by the day, and hold nothing that adds up. */
const byDay = /^(?:toDate\((\w+), 'UTC'\)|(\w+))$/;

/** The rollups that views fill from these tables. */
export async function rollupsOf(
  clickhouse: ClickHouse,
  tables: readonly string[],
): Promise<Rollup[]> {
  const views = await clickhouse.query<TableRow>(
    `SELECT name, as_select AS asSelect, create_table_query AS created
     FROM system.tables
     WHERE database = currentDatabase() AND engine = 'MaterializedView' ORDER BY name`,
  );
  const fed = views.flatMap((view) => {
    const base = tables.find((table) => readsFrom(table).test(view.asSelect));
    const target = /\bTO (?:[`\w]+\.)?`?(\w+)`?/.exec(view.created)?.[1];
    return base === undefined || target === undefined ? [] : [{ view, base, target }];
  });
  const rollups: Rollup[] = [];
  for (const [table, all] of Map.groupBy(fed, ({ target }) => target)) {
    const rollup = await rollupOf(clickhouse, table);
    if (!rollup) continue;
    const its = await Promise.all(
      all.map(async ({ view, base }) => ({
        columns: await columnsOf(clickhouse, view.name),
        select: (condition: string) =>
          view.asSelect.replace(
            readsFrom(base),
            `FROM (SELECT * FROM ${base} WHERE ${condition}) AS ${base}`,
          ),
      })),
    );
    rollups.push({ ...rollup, views: its });
  }
  return rollups;
}

function readsFrom(table: string): RegExp {
  return new RegExp(`\\bFROM (?:[\`\\w]+\\.)?\`?${table}\`?(?![\\w.])`);
}

async function rollupOf(
  clickhouse: ClickHouse,
  table: string,
): Promise<Omit<Rollup, 'views'> | undefined> {
  const [found] = await clickhouse.query<{ partition: string; sorted: string; engine: string }>(
    `SELECT partition_key AS partition, sorting_key AS sorted, engine_full AS engine
     FROM system.tables WHERE database = currentDatabase() AND name = {table:String}`,
    { table },
  );
  const columns = await clickhouse.query<{ name: string; type: string }>(
    `SELECT name, type FROM system.columns
     WHERE database = currentDatabase() AND table = {table:String}`,
    { table },
  );
  const [, time, date] = byDay.exec(found?.partition ?? '') ?? [];
  if (found === undefined || (time ?? date) === undefined) return undefined;
  const figures = columns.flatMap(({ name, type }) => {
    const sum = /^SimpleAggregateFunction\((sum|min|max), U?Int/.exec(type)?.[1];
    return sum === undefined ? [] : [[name, sum] as const];
  });
  // The copy is of this server alone, whatever the table is.
  const engine = found.engine.replace(/^(?:Replicated|Shared)(\w+)(?:\([^)]*\))?/, '$1');
  const isSummed = engine.startsWith('Aggregating');
  const sorted = found.sorted.split(', ');
  const keys = isSummed ? columns.filter(({ name }) => sorted.includes(name)) : columns;
  const times = time === undefined ? { time: date ?? '', timeMs: dayMs } : { time, timeMs: hourMs };
  return { table, ...times, keys, figures, engine };
}

async function columnsOf(clickhouse: ClickHouse, table: string): Promise<string[]> {
  const columns = await clickhouse.query<{ name: string }>(
    `SELECT name FROM system.columns
     WHERE database = currentDatabase() AND table = {table:String} ORDER BY position`,
    { table },
  );
  return columns.map(({ name }) => name);
}

export interface RollupOptions {
  readonly clickhouse: ClickHouse;
  readonly rollup: Rollup;
  /** A day. */
  readonly period: Period;
  /** The tables' column of event time. */
  readonly time: string;
  /** How much of the day one statement takes: an hour, or all of it where that is not much. */
  readonly stepMs: number;
  /** Only compare. */
  readonly isDryRun: boolean;
  /** A name that no table has: of the copy that takes the partition's place. */
  readonly copy: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((line: string) => void) | undefined;
}

/**
 * Whether the rollup was wrong, and, unless it is a dry run, makes it right. What arrives while the copy is
 * made is seen afterwards, because the figures differ again; then it is made once more. Throws BATCH_FAILED
 * when items of the day go on arriving faster than that.
 */
export async function mendRollup(options: RollupOptions): Promise<boolean> {
  const { rollup, period, isDryRun, signal, onProgress } = options;
  for (let tries = 0; tries <= repairRollupTriesMax; tries += 1) {
    signal?.throwIfAborted();
    if (await isRight(options)) return tries > 0;
    // What has just been inserted reaches the rollup a little after its table.
    await pause(repairRollupPauseMs);
    if (await isRight(options)) return tries > 0;
    if (isDryRun) return true;
    onProgress?.(`${rollup.table} differs from its tables: making the day anew`);
    await replaceDay(options);
  }
  const message =
    `Cannot mend ${rollup.table} of ${period.name}: items of that day keep arriving; ` +
    'run it again when they come less often';
  throw new TidemarkError('BATCH_FAILED', message, { retryable: true });
}

/** Whether the rollup says of each part of the day what its tables say. */
async function isRight(options: RollupOptions): Promise<boolean> {
  const { clickhouse, rollup, period, time, signal } = options;
  const stepMs = Math.max(options.stepMs, rollup.timeMs);
  for (let fromMs = period.startMs; fromMs < period.endMs; fromMs += stepMs) {
    signal?.throwIfAborted();
    const selects = rollup.views.map(
      (view) => `SELECT ${namesOf(rollup)} FROM (${view.select(within(time, fromMs, stepMs))})`,
    );
    const isDate = rollup.timeMs === dayMs;
    const its = isDate ? `${rollup.time} = '${period.name}'` : within(rollup.time, fromMs, stepMs);
    const rolled = `SELECT ${namesOf(rollup)} FROM ${rollup.table} WHERE ${its}`;
    const [base, own] = await clickhouse.query<{ groups: string; print: string }>(
      `SELECT groups, print FROM (
         SELECT 0 AS side, * FROM (${printSql(rollup, selects.join(' UNION ALL '))})
         UNION ALL SELECT 1 AS side, * FROM (${printSql(rollup, rolled)})) ORDER BY side`,
    );
    if (base?.groups !== own?.groups || base?.print !== own?.print) return false;
  }
  return true;
}

function namesOf({ keys, figures }: Rollup): string {
  return [...keys.map(({ name }) => name), ...figures.map(([name]) => name)].join(', ');
}

/** How many groups `source` has, and a number that is equal for equal groups in any order. */
function printSql({ keys, figures }: Rollup, source: string): string {
  const keyNames = keys.map(({ name }) => `${name}_key`);
  const sumNames = figures.map(([name]) => `${name}_sum`);
  const keyTexts = keys.map(
    ({ name, type }) => `toString(CAST(${name}, '${quoted(type)}')) AS ${name}_key`,
  );
  const sumTexts = figures.map(([name, sum]) => `toString(${sum}(${name})) AS ${name}_sum`);
  const groups = figures.length > 0 ? `GROUP BY ${keyNames.join(', ')}` : '';
  return `
    SELECT count() AS groups, sum(sipHash64(${[...keyNames, ...sumNames].join(', ')})) AS print
    FROM (SELECT ${[...keyTexts, ...sumTexts].join(', ')} FROM (${source}) ${groups})`;
}

function quoted(type: string): string {
  return type.replaceAll("'", "\\'");
}

/** That a time lies in the `lengthMs` from `fromMs` on. */
function within(column: string, fromMs: number, lengthMs: number): string {
  return `${column} >= ${moment(fromMs)} AND ${column} < ${moment(fromMs + lengthMs)}`;
}

function moment(ms: number): string {
  return `toDateTime('${dateTime(ms)}', 'UTC')`;
}

/** Makes the day's partition in a copy of the table, hour by hour, and puts it into place. */
async function replaceDay(options: RollupOptions): Promise<void> {
  const { clickhouse, rollup, period, time, copy, stepMs, signal } = options;
  await clickhouse.command(`DROP TABLE IF EXISTS ${copy} SYNC`, {}, { idempotent: true });
  await clickhouse.command(`CREATE TABLE ${copy} AS ${rollup.table} ENGINE = ${rollup.engine}`);
  try {
    for (let fromMs = period.startMs; fromMs < period.endMs; fromMs += stepMs) {
      for (const view of rollup.views) {
        signal?.throwIfAborted();
        const columns = view.columns.join(', ');
        const select = view.select(within(time, fromMs, stepMs));
        await clickhouse.command(
          `INSERT INTO ${copy} (${columns}) SELECT ${columns} FROM (${select})`,
        );
      }
    }
    const day = period.name;
    await clickhouse.command(`ALTER TABLE ${rollup.table} REPLACE PARTITION '${day}' FROM ${copy}`);
  } finally {
    await clickhouse.command(`DROP TABLE IF EXISTS ${copy} SYNC`, {}, { idempotent: true });
  }
}
