/** Resources about services and their operations: rates, errors and durations. Only data. */
import * as z from 'zod/mini';
import { apiPointsMax } from '../../schemas/limits/api.ts';
import {
  bound,
  date,
  described,
  limit,
  provenance,
  range,
  rangeOf,
  resource,
  text,
  where,
} from './resource.ts';
import type { Asked } from './resource.ts';

export const service = text('Only this service');
export const operation = text('Only this operation (the span name)');
export const kind = z.optional(
  described(
    z.enum(['Server', 'Client', 'Producer', 'Consumer', 'Internal', 'Unspecified']),
    'Only spans of this kind',
  ),
);

const milliseconds = described(z.nullable(z.number()), 'Milliseconds');
export const durations = { p50Ms: milliseconds, p95Ms: milliseconds, p99Ms: milliseconds };
export const counts = { spans: z.int(), errors: z.int(), traces: z.int() };

/** Quantiles, in ms, of what the live rollup has. */
export const liveQuantiles = `
  (quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_quantiles) AS quantiles)[1] / 1e6 AS p50Ms,
  quantiles[2] / 1e6 AS p95Ms, quantiles[3] / 1e6 AS p99Ms`;

export const liveCounts = `
  sum(total_spans) AS spans, sum(error_count) AS errors,
  uniqCombined64Merge(14)(unique_traces) AS traces`;

export interface Filters {
  readonly service?: string | undefined;
  readonly operation?: string | undefined;
  readonly kind?: string | undefined;
}

export function filtersOf({ service: name, operation: of, kind: spanKind }: Filters) {
  return [
    'tenant_id = {tenant:String}',
    name !== undefined && 'service_name = {service:String}',
    of !== undefined && 'operation_name = {operation:String}',
    spanKind !== undefined && 'span_kind = {kind:String}',
  ];
}

export const withinMinutes = [
  'minute >= toStartOfMinute(fromUnixTimestamp64Milli({from:Int64}))',
  'minute < fromUnixTimestamp64Milli({to:Int64})',
];

export const services = resource({
  path: '/services',
  name: 'services',
  summary: 'Services with their rate, errors and durations, live, the busiest first',
  query: z.object({ ...range, kind, limit }),
  row: z.object({ service: z.string(), ...counts, ...durations, lastMinute: z.string() }),
  read: (asked) => ({
    sql: `SELECT service_name AS service, ${liveCounts}, ${liveQuantiles}, max(minute) AS lastMinute
      FROM service_stats_realtime ${where([...filtersOf(asked), ...withinMinutes])}
      GROUP BY service ORDER BY spans DESC, service LIMIT {rows:UInt32}`,
    parameters: bound({ kind: asked.kind, ...rangeOf(asked) }),
  }),
});

/** What a merged view says of an operation. */
const mergedColumns = `
  service_name AS service, operation_name AS operation, span_kind AS kind,
  total_spans AS spans, error_count AS errors, unique_traces AS traces,
  p50_ms AS p50Ms, p95_ms AS p95Ms, p99_ms AS p99Ms,
  layer, run_id AS runId, is_final AS isFinal, watermark`;

export const operations = resource({
  path: '/operations',
  name: 'operations',
  summary: 'Operations of one day: exact where the batch has published it, else live',
  query: z.object({ date, service, operation, kind, limit }),
  row: z.object({
    service: z.string(),
    operation: z.string(),
    kind: z.string(),
    ...counts,
    ...durations,
    ...provenance,
  }),
  read: (asked) => ({
    sql: `SELECT ${mergedColumns}
      FROM service_stats_merged ${where(['date = {date:Date}', ...filtersOf(asked)])}
      ORDER BY spans DESC, service, operation, kind LIMIT {rows:UInt32}`,
    parameters: bound({
      date: asked.date,
      service: asked.service,
      operation: asked.operation,
      kind: asked.kind,
      rows: asked.rowsMax,
    }),
  }),
});

export const hours = resource({
  path: '/hours',
  name: 'hours',
  summary: 'Operations hour by hour: exact where the batch has published the hour, else live',
  query: z.object({ ...range, service, operation, kind, limit }),
  row: z.object({
    hour: z.string(),
    service: z.string(),
    operation: z.string(),
    kind: z.string(),
    ...counts,
    ...durations,
    ...provenance,
  }),
  stepsOf: (rows) => ({ begins: rows.map(({ hour }) => hour), stepSeconds: 3600 }),
  read: (asked) => ({
    sql: `SELECT hour, ${mergedColumns}
      FROM service_stats_hourly_merged ${where([
        'hour >= toStartOfHour(fromUnixTimestamp64Milli({from:Int64}))',
        'hour < fromUnixTimestamp64Milli({to:Int64})',
        ...filtersOf(asked),
      ])} ORDER BY hour, spans DESC, service, operation, kind LIMIT {rows:UInt32}`,
    parameters: bound({
      service: asked.service,
      operation: asked.operation,
      kind: asked.kind,
      ...rangeOf(asked),
    }),
  }),
});

export const rates = resource({
  path: '/rates',
  name: 'rates',
  summary: 'Spans and errors over time of each service, live, for small charts beside each other',
  query: z.object({ ...range, kind, limit }),
  row: z.object({
    service: z.string(),
    stepSeconds: z.int(),
    times: z.array(z.string()),
    spans: z.array(z.int()),
    errors: z.array(z.int()),
  }),
  read: (asked) => ({
    sql: `SELECT service, {step:UInt32} AS stepSeconds, groupArray(time) AS times,
        groupArray(count) AS spans, groupArray(failed) AS errors
      FROM (
        SELECT service_name AS service,
          toStartOfInterval(minute, toIntervalSecond({step:UInt32}), 'UTC') AS time,
          sum(total_spans) AS count, sum(error_count) AS failed
        FROM service_stats_realtime ${where([...filtersOf(asked), ...withinMinutes])}
        GROUP BY service, time ORDER BY service, time)
      GROUP BY service ORDER BY sum(count) DESC, service LIMIT {rows:UInt32}`,
    parameters: bound({ kind: asked.kind, step: stepOf(asked, sparkPoints), ...rangeOf(asked) }),
  }),
});

/** Points of a chart that is as small as a word. */
const sparkPoints = 60;

/** Steps of a series, seconds. */
export const steps = [60, 300, 900, 3600, 21_600, 86_400] as const;

/** The shortest step that keeps the range below so many points. */
export function stepOf({ fromMs, toMs }: Asked<object>, pointsMax = apiPointsMax): number {
  const seconds = (toMs - fromMs) / 1000;
  return steps.find((step) => seconds / step <= pointsMax) ?? 86_400;
}
