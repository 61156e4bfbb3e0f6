/**
 * Reads from ClickHouse what the demo shows of logs and metrics, and compares it with what the
 * generator says that it sent. Only reads.
 */
import { tablesOf } from '../../schemas/tables.ts';
import { endedCounter } from '../traffic/metric.ts';
import type { Truth } from '../traffic/truth.ts';
import type { Comparison } from './compare.ts';
import type { Query } from './figures.ts';

/** Log records of one service and severity. */
export interface LogRow {
  readonly service_name: string;
  readonly severity: string;
  readonly records: number;
  /** Records whose trace is in `otel_traces`. */
  readonly with_trace: number;
  readonly example: string;
}

/** What one metric table holds. */
export interface MetricRow {
  readonly table: string;
  readonly points: number;
  readonly metrics: number;
  readonly services: number;
}

/** Log records by service and severity, most first. */
export function readLogs(query: Query): Promise<LogRow[]> {
  return query<LogRow>(
    `SELECT ServiceName AS service_name, SeverityText AS severity,
        toFloat64(count()) AS records,
        toFloat64(countIf(TraceId IN (SELECT TraceId FROM otel_traces_trace_id_ts))) AS with_trace,
        any(Body) AS example
     FROM otel_logs GROUP BY service_name, severity ORDER BY records DESC, service_name, severity`,
    {},
  );
}

/** The metric tables that have rows. */
export async function readMetrics(query: Query): Promise<MetricRow[]> {
  const counts = tablesOf.metrics.map(
    (table) => `SELECT '${table}' AS table, toFloat64(count()) AS points,
      toFloat64(uniqExact(MetricName)) AS metrics, toFloat64(uniqExact(ServiceName)) AS services
      FROM ${table}`,
  );
  const rows = await query<MetricRow>(counts.join(' UNION ALL '), {});
  const order = (row: MetricRow) => tablesOf.metrics.findIndex((table) => table === row.table);
  return rows.filter(({ points }) => points > 0).toSorted((a, b) => order(a) - order(b));
}

/** The spans that each service says it has ended, from its counter: deltas, or the last total. */
export function readEnded(query: Query): Promise<{ service_name: string; ended: number }[]> {
  return query(
    `SELECT ServiceName AS service_name, sum(value) AS ended FROM (
        SELECT ServiceName, Attributes, AggregationTemporality,
          if(AggregationTemporality = 1, sum(Value), argMax(Value, TimeUnix)) AS value
        FROM otel_metrics_sum WHERE MetricName = {name:String}
        GROUP BY ServiceName, Attributes, AggregationTemporality)
     GROUP BY service_name`,
    { name: endedCounter },
  );
}

/** Compares counts by service (and severity) with the generator's. */
export function compareSignals(
  logs: readonly LogRow[],
  ended: readonly { service_name: string; ended: number }[],
  truth: Truth,
): Comparison {
  const stored = new Map(logs.map((row) => [`${row.service_name}|${row.severity}`, row.records]));
  const counted = new Map(ended.map((row) => [row.service_name, row.ended]));
  const differences = [
    ...differ('log records', stored, truth.records),
    ...differ('spans counted by metrics', counted, truth.ended),
  ];
  const figures = truth.records.size + truth.ended.size;
  return { rows: logs.length + ended.length, figures, differences };
}

function differ(
  what: string,
  found: ReadonlyMap<string, number>,
  wanted: ReadonlyMap<string, number>,
): string[] {
  const names = new Set([...found.keys(), ...wanted.keys()]);
  return [...names]
    .filter((name) => (found.get(name) ?? 0) !== (wanted.get(name) ?? 0))
    .map(
      (name) =>
        `${name.replace('|', ' ')}, ${what}: stored ${found.get(name) ?? 0}, ` +
        `sent ${wanted.get(name) ?? 0}`,
    );
}
