/**
 * Asks ClickHouse what the three sides say of each minute: the edge's notes, the commits' counts, and the rows of
 * the speed tables, which are matched with the notes request by request. It judges nothing and changes nothing.
 */
import type { Signal } from '../../schemas/archive.ts';
import { ledgerRepeatMs, ledgerRequestsAtOnce } from '../../schemas/limits/batch.ts';
import { periodLengthMs } from '../../schemas/period.ts';
import { tablesOf } from '../../schemas/tables.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';

export interface MatchOptions {
  readonly clickhouse: ClickHouse;
  readonly of: Signal;
  /** The day, ms since 1970. */
  readonly startMs: number;
  readonly endMs: number;
  /** Which listing of the spools is to be used. */
  readonly run: string;
  /** How far from its receipt the time of an item in the speed tables may be. */
  readonly pastMaxMs: number;
  readonly futureMaxMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What is known of one minute of one tenant, before it is judged. Counts of items unless said otherwise. */
export interface MinuteSums {
  readonly tenantId: string;
  /** Start of the minute, ms since 1970. */
  readonly minuteMs: number;
  /** Of the edge, by minute of receipt: requests that were answered with 200. */
  readonly accepted: number;
  readonly rejected: number;
  readonly rejectedBy: Readonly<Record<string, number>>;
  readonly quarantined: number;
  readonly copies: number;
  /** Of requests that were answered with 503. */
  readonly refused: number;
  /** Of the edge, by minute of the record: what the archive must have, and what it may have beyond that. */
  readonly given: number;
  readonly givenRejected: number;
  readonly unsure: number;
  /** Of the archiver. */
  readonly archived: number;
  readonly archivedRejected: number;
  /** Records that were set aside. */
  readonly dead: number;
  readonly archivedOther: number;
  readonly uncounted: number;
  /** Of ClickHouse. */
  readonly speed: number;
  readonly late: number;
  /** Requests matched with rows: sent again and kept once, waiting, set aside, missing. */
  readonly keptOnce: number;
  readonly inSpool: number;
  readonly setAside: number;
  readonly missing: number;
  /** Rows beyond what was noted: of refused requests, of noted ones, of none. */
  readonly storedThoughRefused: number;
  readonly duplicated: number;
  readonly unnoted: number;
}

export interface Repaired {
  readonly items: number;
  readonly untilMs: number;
}

type Row = Readonly<Record<string, unknown>> & {
  readonly tenant: string;
  readonly minute_s: string | number;
};

/** The sums of each tenant and minute in which anything was received, in order. Throws `ClickHouseError`. */
export async function matchMinutes(options: MatchOptions): Promise<MinuteSums[]> {
  const sums = new Map<string, Row>();
  const take = (rows: readonly Row[]) => {
    for (const row of rows) merge(sums, row);
  };
  const ask = (sql: string) =>
    options.clickhouse.query<Row>(sql, { of: options.of, run: options.run });
  take(await ask(notesSql(options)));
  take(await ask(recordsSql(options)));
  take(await ask(archivedSql(options)));
  const published = await publishedDays(options);
  for (const window of await windowsOf(options)) {
    options.signal?.throwIfAborted();
    take(await ask(speedSql(options, window, published)));
  }
  return [...sums.values()]
    .map(sumsOf)
    .toSorted((a, b) => a.minuteMs - b.minuteMs || (a.tenantId < b.tenantId ? -1 : 1));
}

interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The whole day, or its hours when there are very many requests. */
async function windowsOf({ clickhouse, of, startMs, endMs }: MatchOptions): Promise<Window[]> {
  const [row] = await clickhouse.query<{ requests: string }>(
    `SELECT count() AS requests FROM ledger_received
     WHERE signal = {of:String} AND ${within('received_at', startMs, endMs)}`,
    { of },
  );
  if (Number(row?.requests ?? 0) <= ledgerRequestsAtOnce) return [{ fromMs: startMs, toMs: endMs }];
  const hours = (endMs - startMs) / periodLengthMs.hour;
  return Array.from({ length: hours }, (_, hour) => {
    const fromMs = startMs + hour * periodLengthMs.hour;
    return { fromMs, toMs: fromMs + periodLengthMs.hour };
  });
}

/** Rows that repairs took away, of items received before the last of them: how many, and until when, ms since 1970. */
export async function readRepairs({
  clickhouse,
  of,
  startMs,
}: Pick<MatchOptions, 'clickhouse' | 'of' | 'startMs'>): Promise<Repaired> {
  const [row] = await clickhouse.query<{ items: string; until_ms: string }>(
    `SELECT sum(removed) AS items, toUnixTimestamp64Milli(max(repaired_at)) AS until_ms
     FROM ledger_repairs
     WHERE signal = {of:String} AND day BETWEEN toDate(${time(startMs)}, 'UTC') - 1 AND toDate(${time(startMs)}, 'UTC')`,
    { of },
  );
  return { items: Number(row?.items ?? 0), untilMs: Number(row?.until_ms ?? 0) };
}

/** When each day was published first: what is received later is late. Days since 1970, and ms. */
async function publishedDays({ clickhouse, of }: MatchOptions) {
  return clickhouse.query<{ day: string; first_ms: string }>(
    `SELECT toUInt16(toDate(period_start, 'UTC')) AS day,
       toUnixTimestamp64Milli(min(published_at)) AS first_ms
     FROM batch_runs WHERE period_kind = 'day' AND signal = {of:String} GROUP BY day`,
    { of },
  );
}

function within(column: string, fromMs: number, toMs: number): string {
  return `${column} >= ${time(fromMs)} AND ${column} < ${time(toMs)}`;
}

function time(ms: number): string {
  return `fromUnixTimestamp64Milli(toInt64(${ms}), 'UTC')`;
}

function minute(column: string): string {
  return `toUnixTimestamp(toStartOfMinute(toDateTime(${column}, 'UTC'))) AS minute_s`;
}

const isAnswered = `state IN ('stored', 'doubtful', 'copy', 'empty')`;
const isGiven = `state IN ('stored', 'doubtful')`;

function notesSql({ startMs, endMs }: MatchOptions): string {
  return `SELECT tenant_id AS tenant, ${minute('received_at')},
    sumIf(accepted, ${isAnswered}) AS accepted_items,
    sumIf(arraySum(mapValues(rejected)), ${isAnswered}) AS rejected_items,
    sumMapIf(rejected, ${isAnswered}) AS rejected_by,
    sumIf(quarantined, ${isAnswered}) AS quarantined_items,
    sumIf(accepted, state = 'copy') AS copies,
    sumIf(accepted + arraySum(mapValues(rejected)), state = 'refused') AS refused
  FROM ledger_received FINAL
  WHERE signal = {of:String} AND ${within('received_at', startMs, endMs)}
  GROUP BY tenant, minute_s`;
}

/** By the minute of the record, in which the archiver counts: a group's may begin in the minute before. */
function recordsSql({ startMs, endMs }: MatchOptions): string {
  return `SELECT tenant_id AS tenant, ${minute('recorded_at')},
    sumIf(accepted, ${isGiven}) AS given,
    sumIf(arraySum(mapValues(rejected)), ${isGiven}) AS given_rejected,
    sumIf(accepted, state IN ('doubtful', 'refused')) AS unsure
  FROM ledger_received FINAL
  WHERE signal = {of:String} AND ${within('recorded_at', startMs, endMs)}
    AND ${within('received_at', startMs, endMs + periodLengthMs.hour)}
  GROUP BY tenant, minute_s`;
}

function archivedSql({ startMs, endMs }: MatchOptions): string {
  return `SELECT tenant_id AS tenant, toUnixTimestamp(minute) AS minute_s,
    sumIf(rows, origin = 'edge') AS archived,
    sumIf(rejected, origin = 'edge') AS archived_rejected,
    sumIf(dead, origin = 'edge') AS dead_records,
    sumIf(rows, origin = 'other') AS archived_other,
    sumIf(rows, origin = 'uncounted') AS uncounted
  FROM ledger_archived FINAL
  WHERE signal = {of:String}
    AND minute >= toDateTime(${startMs / 1000}, 'UTC') AND minute < toDateTime(${endMs / 1000}, 'UTC')
  GROUP BY tenant, minute_s`;
}

/** Rows of the speed tables by tenant and millisecond of receipt: in effect, by request. */
function heldSql(
  { of, pastMaxMs, futureMaxMs }: MatchOptions,
  { fromMs, toMs }: Window,
  published: readonly { readonly day: string; readonly first_ms: string }[],
): string {
  const days = published.map(({ day }) => `toUInt16(${day})`).join(', ');
  const firsts = published.map(({ first_ms: ms }) => `toInt64(${ms})`).join(', ');
  const behind = (column: string) =>
    published.length === 0
      ? '0'
      : `countIf(ms >= transform(toUInt16(toDate(${column}, 'UTC')), [${days}], [${firsts}],
          toInt64(9000000000000000)))`;
  const tables = tablesOf[of].map((table) => {
    const column = of === 'metrics' ? 'TimeUnix' : 'Timestamp';
    return `SELECT toString(TenantId) AS tenant, toUnixTimestamp64Milli(IngestedAt) AS ms, count() AS n,
        ${behind(column)} AS behind
      FROM ${table}
      WHERE ${within('IngestedAt', fromMs, toMs)}
        AND ${within(column, Math.max(0, fromMs - pastMaxMs), toMs + futureMaxMs + 1)}
      GROUP BY tenant, ms`;
  });
  return `SELECT tenant, ms, sum(n) AS held_rows, sum(behind) AS late_rows
    FROM (${tables.join(' UNION ALL ')})
    GROUP BY tenant, ms`;
}

/**
 * Requests with the rows that were received in their millisecond. A request whose token came more than once needs
 * its rows once: ClickHouse leaves out what it knows by its token. So all but one of such requests are
 * forgiven, and all when any of them is there, refused ones included: which one is kept is not
 * known beforehand.
 */
function speedSql(options: MatchOptions, window: Window, published: Parameters<typeof heldSql>[2]) {
  const wide = { fromMs: window.fromMs - ledgerRepeatMs, toMs: window.toMs + ledgerRepeatMs };
  return `
WITH
  held AS (${heldSql(options, wide, published)}),
  noted AS (
    SELECT tenant_id AS tenant, toUnixTimestamp64Milli(received_at) AS ms, request_id, token,
      if(${isGiven}, accepted - quarantined, 0) AS want,
      if(state = 'refused', accepted - quarantined, 0) AS perhaps
    FROM ledger_received FINAL
    WHERE signal = {of:String} AND ${within('received_at', wide.fromMs, wide.toMs)}
  ),
  judged AS (
    SELECT noted.tenant AS tenant, noted.ms AS ms, want, perhaps, held_rows,
      token != '' AND count() OVER (PARTITION BY noted.tenant, token) > 1
        AND (
          max(held_rows >= want + perhaps) OVER (PARTITION BY noted.tenant, token)
          OR row_number() OVER (
            PARTITION BY noted.tenant, token ORDER BY want = 0, noted.ms, request_id
          ) > 1
        ) AS is_forgiven,
      ${liesIn('spool')} AS is_spooled,
      ${liesIn('dead')} AS is_aside
    FROM noted LEFT JOIN held ON noted.tenant = held.tenant AND noted.ms = held.ms
  ),
  wanted AS (
    SELECT tenant, ms, sum(want) AS want_rows, sum(perhaps) AS perhaps_rows,
      sumIf(want, is_forgiven) AS forgiven,
      sumIf(want, is_spooled AND NOT is_forgiven) AS waiting,
      sumIf(want, is_aside AND NOT is_forgiven) AS aside, count() AS requests
    FROM judged GROUP BY tenant, ms
  ),
  compared AS (
    SELECT
      if(wanted.tenant = '', held.tenant, wanted.tenant) AS tenant,
      if(wanted.ms = 0, held.ms, wanted.ms) AS ms,
      toInt64(held_rows) AS held_n, late_rows, requests,
      greatest(toInt64(want_rows) - held_n, 0) AS lack,
      least(lack, toInt64(forgiven)) AS kept_once_n,
      least(lack - kept_once_n, toInt64(waiting)) AS in_spool_n,
      least(lack - kept_once_n - in_spool_n, toInt64(aside)) AS set_aside_n,
      greatest(held_n - toInt64(want_rows), 0) AS surplus,
      least(surplus, toInt64(perhaps_rows)) AS though_refused_n
    FROM wanted FULL JOIN held ON wanted.tenant = held.tenant AND wanted.ms = held.ms
  )
SELECT tenant, intDiv(ms, 60000) * 60 AS minute_s,
  sum(held_n) AS speed,
  sum(late_rows) AS late,
  sum(kept_once_n) AS kept_once,
  sum(in_spool_n) AS in_spool,
  sum(set_aside_n) AS set_aside,
  sum(lack - kept_once_n - in_spool_n - set_aside_n) AS missing,
  sum(though_refused_n) AS though_refused,
  sumIf(surplus - though_refused_n, requests > 0) AS duplicated,
  sumIf(surplus - though_refused_n, requests = 0) AS unnoted
FROM compared
WHERE ms >= ${window.fromMs} AND ms < ${window.toMs}
GROUP BY tenant, minute_s`;
}

/** That a note's rows were found there. */
function liesIn(place: 'spool' | 'dead'): string {
  return `token IN (SELECT token FROM ledger_spooled
    WHERE run = {run:String} AND signal = {of:String} AND place = '${place}')`;
}

function merge(sums: Map<string, Row>, row: Row): void {
  const key = `${row.minute_s} ${row.tenant}`;
  sums.set(key, { ...sums.get(key), ...row });
}

function sumsOf(row: Row): MinuteSums {
  const count = (name: string) => Number(row[name] ?? 0);
  const reasons = Object.entries((row['rejected_by'] ?? {}) as Record<string, unknown>);
  return {
    tenantId: row.tenant,
    minuteMs: count('minute_s') * 1000,
    accepted: count('accepted_items'),
    rejected: count('rejected_items'),
    rejectedBy: Object.fromEntries(reasons.map(([reason, items]) => [reason, Number(items)])),
    quarantined: count('quarantined_items'),
    copies: count('copies'),
    refused: count('refused'),
    given: count('given'),
    givenRejected: count('given_rejected'),
    unsure: count('unsure'),
    archived: count('archived'),
    archivedRejected: count('archived_rejected'),
    dead: count('dead_records'),
    archivedOther: count('archived_other'),
    uncounted: count('uncounted'),
    speed: count('speed'),
    late: count('late'),
    keptOnce: count('kept_once'),
    inSpool: count('in_spool'),
    setAside: count('set_aside'),
    missing: count('missing'),
    storedThoughRefused: count('though_refused'),
    duplicated: count('duplicated'),
    unnoted: count('unnoted'),
  };
}
