/**
 * Compares the layers: what the speed tables hold of a period against the archive that its run was computed
 * from, item by item, and what the speed layer says against what is published. It reads, and
 * `storeDrift` adds rows to `layer_drift`; it changes nothing else.
 */
import type { Signal } from '../schemas/archive.ts';
import { dateTime, periodKey, type Period } from '../schemas/period.ts';
import type { Settings } from '../schemas/settings.ts';
import type { ClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import { overFiles, type FilesRead } from './verify/damage.ts';
import { filesSource, inSlice, type SourceSettings } from './verify/source.ts';

/** What differs between the layers for one service. Items are spans, log records or data points. */
export interface ServiceDrift {
  readonly tenantId: string;
  readonly serviceName: string;
  /** Distinct items, as published. */
  readonly batchItems: number;
  /** Rows of the speed tables. */
  readonly speedItems: number;
  /** What the speed layer's rollup counts; of signals without one, `speedItems`. */
  readonly rollupItems: number;
  /** Distinct items of the archive that the speed tables do not have. */
  readonly missing: number;
  /** Rows of the speed tables beyond the first of each item. */
  readonly duplicated: number;
  /** Distinct items of the speed tables that are not in the files that the run read. */
  readonly unarchived: number;
  /** Distinct items that were first received after the period had ended. */
  readonly late: number;
  /** Those of them that were received after the period's first run was published. */
  readonly afterRun: number;
  /** Failed spans, log records of severity 17 (error) and above; of metrics 0. */
  readonly batchErrors: number;
  readonly speedErrors: number;
  /** Mean of |speed / batch - 1| over the service's rows, by their spans; null where nothing can be compared. */
  readonly p50Error: number | null;
  readonly p95Error: number | null;
  readonly p99Error: number | null;
  /** The largest of these errors of any row. */
  readonly quantileErrorMax: number | null;
}

/** How the layers of one signal are compared: queries whose rows have the columns that are named here. */
export interface SignalDrift {
  /** The archive's columns that are read, with their ClickHouse types. */
  readonly structure: readonly string[];
  /** Expressions over the archive's columns, and the same over the speed tables', that deal items to slices. */
  readonly archiveBy: readonly string[];
  readonly speedBy: readonly string[];
  /** The speed tables, and their column of event time. */
  readonly speedTables: readonly string[];
  readonly speedTime: string;
  /** Whether several items may have one identity, because the speed tables do not say enough. */
  readonly repeats: boolean;
  /**
   * The distinct items of the archive in one slice: `item`, a hash; `tenant`, `service`; `received`, the
   * first time, DateTime64(3).
   */
  archive(source: string, window: EventWindow): string;
  /** The rows of one speed table: `item`, `tenant`, `service`, `failed`. */
  speed(source: string, table: string): string;
  /** By `tenant` and `service`: `items`, `errors` of the published rows `source`. */
  published(source: string): string;
  /**
   * By `tenant` and `service`: `rollup` of the period, and the errors of quantiles: `p50`, `p95`, `p99`, `worst`. `source` are the
   * published rows.
   */
  quantiles?(source: string, window: EventWindow): string;
}

/** Event times [from, to), as ClickHouse expressions. */
export interface EventWindow {
  readonly from: string;
  readonly to: string;
}

/** How far a comparison is: `done` of `slices` queries over both layers. */
export interface DriftProgress {
  readonly done: number;
  readonly slices: number;
}

export interface DriftOptions {
  readonly clickhouse: ClickHouse;
  readonly settings: SourceSettings & Pick<Settings, 'TIDEMARK_VERIFY_ROWS'>;
  readonly drift: SignalDrift;
  /** The published table whose rows are the signal's figures. */
  readonly table: string;
  readonly period: Period;
  readonly runId: string;
  /** The signal that is compared; `signal` below is the platform's word for being told to stop. */
  readonly of: Signal;
  /** Keys and rows of the files that the run read. */
  readonly files: readonly { readonly key: string; readonly rows: number }[];
  readonly onProgress?: (progress: DriftProgress) => void;
  /** Stops between two queries. */
  readonly signal?: AbortSignal;
}

/**
 * The drift of each service, by tenant and service. Throws `ClickHouseError`, also when ClickHouse cannot
 * reach the object store, and CORRUPT_ARCHIVE for a file that it cannot read.
 */
export async function compareLayers(options: DriftOptions): Promise<ServiceDrift[]> {
  const { onProgress, signal } = options;
  const window = windowOf(options.period);
  const files = filesOf(options);
  const slices = await countSlices(options, window);
  const lateMs = Math.max(options.period.endMs, await firstPublishedMs(options));
  const services = new Map<string, Row>();
  const take = (rows: readonly Row[]) => {
    for (const row of rows) addTo(services, row);
  };
  for (let index = 0; index < slices; index += 1) {
    signal?.throwIfAborted();
    onProgress?.({ done: index, slices });
    const sql = itemsSql(options, { keys: files.keys, window, lateMs, index, count: slices });
    take(await overFiles(files, () => query(options, sql)));
  }
  const { drift } = options;
  take(await query(options, drift.published(publishedSource(options))));
  if (drift.quantiles) {
    take(await query(options, drift.quantiles(publishedSource(options), window)));
  }
  onProgress?.({ done: slices, slices });
  return [...services.values()].map((row) => driftOf(row, drift)).toSorted(compareServices);
}

type Row = Readonly<Record<string, string | number | null>>;

function query({ clickhouse, period, runId }: DriftOptions, sql: string): Promise<Row[]> {
  return clickhouse.query<Row>(sql, { period: periodKey(period).value, run: runId });
}

function filesOf({ clickhouse, settings, files, drift }: DriftOptions): FilesRead {
  return { clickhouse, settings, keys: files.map(({ key }) => key), structure: drift.structure };
}

function publishedSource({ table, period }: DriftOptions): string {
  const { column, type } = periodKey(period);
  return `(SELECT * FROM ${table} WHERE ${column} = {period:${type}} AND run_id = {run:String})`;
}

/** The window of a period. */
export function windowOf({ startMs, endMs }: Period): EventWindow {
  return { from: time(startMs), to: time(endMs) };
}

function time(ms: number): string {
  return `fromUnixTimestamp64Milli(toInt64(${ms}), 'UTC')`;
}

/** As many that no query groups more than TIDEMARK_VERIFY_ROWS rows of both layers. */
async function countSlices(options: DriftOptions, window: EventWindow): Promise<number> {
  const { drift, files, settings } = options;
  const counts = drift.speedTables.map(
    (table) => `(SELECT count() FROM ${table} WHERE ${during(drift, window)})`,
  );
  const [found] = await query(options, `SELECT ${counts.join(' + ')} AS stored`);
  const archived = files.reduce((sum, file) => sum + file.rows, 0);
  const rows = archived + Number(found?.['stored'] ?? 0);
  return Math.max(1, Math.ceil(rows / settings.TIDEMARK_VERIFY_ROWS));
}

/** That a row's time lies in the window. */
export function during({ speedTime }: SignalDrift, { from, to }: EventWindow): string {
  return `${speedTime} >= ${from} AND ${speedTime} < ${to}`;
}

/** When the first run of the period was published, ms since 1970. */
async function firstPublishedMs({ clickhouse, period, of }: DriftOptions): Promise<number> {
  const [row] = await clickhouse.query<{ first: string | number }>(
    `SELECT toUnixTimestamp64Milli(min(published_at)) AS first FROM batch_runs
     WHERE period_kind = {kind:String} AND signal = {of:String}
       AND period_start = {start:DateTime('UTC')}`,
    { kind: period.kind, of, start: dateTime(period.startMs) },
  );
  return Number(row?.first ?? 0);
}

interface ItemsPart {
  /** Of the archive's files. */
  readonly keys: readonly string[];
  readonly window: EventWindow;
  /** What is received from then on cannot be in the first run, ms since 1970. */
  readonly lateMs: number;
  readonly index: number;
  readonly count: number;
}

/** One slice of the items of both layers, matched by identity and summed up by service. */
function itemsSql(
  { drift, settings, period }: DriftOptions,
  { keys, window, lateMs, index, count }: ItemsPart,
): string {
  const slice = { by: drift.archiveBy, index, count };
  const none = `(SELECT * FROM null('${drift.structure.join(', ').replaceAll("'", "\\'")}'))`;
  const source = keys.length === 0 ? none : filesSource(settings, keys, drift.structure, slice);
  const archived = `
    SELECT item, tenant, service, 1 AS kept, 0 AS stored, 0 AS failures, received
    FROM (${drift.archive(source, window)})`;
  const stored = drift.speedTables.map((table) => {
    const where = `${during(drift, window)} AND ${inSlice({ by: drift.speedBy, index, count })}`;
    return `
    SELECT item, tenant, service, 0 AS kept, 1 AS stored, toUInt8(failed) AS failures,
      toDateTime64(0, 3, 'UTC') AS received
    FROM (${drift.speed(`(SELECT * FROM ${table} WHERE ${where})`, table)})`;
  });
  const surplus = drift.repeats ? ['0', 'in_speed'] : ['in_speed - 1', '1'];
  return `
SELECT
  of_tenant AS tenant,
  of_service AS service,
  sum(in_speed) AS stored,
  sum(in_speed_failed) AS speed_errors,
  sum(greatest(in_batch - in_speed, 0)) AS missing,
  sum(if(in_batch > 0, greatest(in_speed - in_batch, 0), ${surplus[0]})) AS duplicated,
  sum(if(in_batch > 0, 0, ${surplus[1]})) AS unarchived,
  sum(received_late) AS late,
  sum(received_after) AS after_run
FROM
(
  SELECT
    argMin(tenant, -kept) AS of_tenant,
    argMin(service, -kept) AS of_service,
    toInt64(sum(kept)) AS in_batch,
    toInt64(sum(stored)) AS in_speed,
    sum(failures) AS in_speed_failed,
    countIf(kept = 1 AND received >= ${time(period.endMs)}) AS received_late,
    countIf(kept = 1 AND received >= ${time(lateMs)}) AS received_after
  FROM (${[archived, ...stored].join('\n    UNION ALL')})
  GROUP BY item
)
GROUP BY tenant, service`;
}

/** Adds a row's figures to those of its service: counts add up, whatever slice or query they are from. */
function addTo(services: Map<string, Row>, row: Row): void {
  const key = JSON.stringify([row['tenant'], row['service']]);
  const sum: Record<string, string | number | null> = { ...services.get(key) };
  for (const [name, value] of Object.entries(row)) {
    const isKey = name === 'tenant' || name === 'service';
    sum[name] = isKey || value === null ? value : Number(sum[name] ?? 0) + Number(value);
  }
  services.set(key, sum);
}

function driftOf(row: Row, drift: SignalDrift): ServiceDrift {
  const count = (name: string) => Number(row[name] ?? 0);
  const ratio = (name: string) => {
    const value = row[name];
    return value === undefined || value === null ? null : Number(value);
  };
  return {
    tenantId: String(row['tenant']),
    serviceName: String(row['service']),
    batchItems: count('items'),
    speedItems: count('stored'),
    rollupItems: count(drift.quantiles ? 'rollup' : 'stored'),
    missing: count('missing'),
    duplicated: count('duplicated'),
    unarchived: count('unarchived'),
    late: count('late'),
    afterRun: count('after_run'),
    batchErrors: count('errors'),
    speedErrors: count('speed_errors'),
    p50Error: ratio('p50'),
    p95Error: ratio('p95'),
    p99Error: ratio('p99'),
    quantileErrorMax: ratio('worst'),
  };
}

function compareServices(a: ServiceDrift, b: ServiceDrift): number {
  return compare(a.tenantId, b.tenantId) || compare(a.serviceName, b.serviceName);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

export interface StoreOptions {
  readonly signal: Signal;
  readonly period: Period;
  readonly runId: string;
  /** Current time, ms since 1970. */
  readonly nowMs: number;
}

/**
 * Adds the drift to `layer_drift`; readers of its view see the last one of each run, whole. Throws
 * `ClickHouseError`.
 */
export async function storeDrift(
  clickhouse: ClickHouse,
  services: readonly ServiceDrift[],
  { signal, period, runId, nowMs }: StoreOptions,
): Promise<void> {
  const rows = services.map((service) => ({
    signal,
    period_kind: period.kind,
    period_start: dateTime(period.startMs),
    run_id: runId,
    computed_at: new Date(nowMs).toISOString(),
    tenant_id: service.tenantId,
    service_name: service.serviceName,
    batch_items: service.batchItems,
    speed_items: service.speedItems,
    rollup_items: service.rollupItems,
    missing_items: service.missing,
    duplicated_items: service.duplicated,
    unarchived_items: service.unarchived,
    late_items: service.late,
    after_run_items: service.afterRun,
    batch_errors: service.batchErrors,
    speed_errors: service.speedErrors,
    p50_error: service.p50Error,
    p95_error: service.p95Error,
    p99_error: service.p99Error,
    quantile_error_max: service.quantileErrorMax,
  }));
  await clickhouse.insertRows('layer_drift', rows, { idempotent: true });
}
