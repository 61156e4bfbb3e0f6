/** Resources about metrics: which there are, and points over time. Only data. */
import * as z from 'zod/mini';
import { bound, described, limit, range, rangeOf, resource, text, where } from './resource.ts';

/** The metric tables whose points have one value. */
const kinds = { gauge: 'otel_metrics_gauge', sum: 'otel_metrics_sum' } as const;

/** All metric tables, by the kind of their points. */
const allKinds = {
  ...kinds,
  histogram: 'otel_metrics_histogram',
  exponential_histogram: 'otel_metrics_exp_histogram',
  summary: 'otel_metrics_summary',
} as const;

const withinPoints = [
  'TimeUnix >= fromUnixTimestamp64Milli({from:Int64})',
  'TimeUnix < fromUnixTimestamp64Milli({to:Int64})',
];

export const metrics = resource({
  path: '/metrics',
  name: 'metrics',
  summary: 'Metrics that have points in the range, by service and name',
  query: z.object({ ...range, service: text('Only this service'), limit }),
  row: z.object({
    service: z.string(),
    metric: z.string(),
    unit: z.string(),
    kind: z.string(),
    points: z.int(),
    lastTime: z.string(),
  }),
  read: (asked) => ({
    sql: `SELECT service, metric, any(metricUnit) AS unit, kind, sum(count) AS points, max(last) AS lastTime
      FROM (${Object.entries(allKinds)
        .map(([kind, table]) => namesOf(kind, table, asked))
        .join(' UNION ALL ')})
      GROUP BY service, metric, kind ORDER BY service, metric, kind LIMIT {rows:UInt32}`,
    parameters: bound({ service: asked.service, ...rangeOf(asked) }),
  }),
});

function namesOf(kind: string, table: string, { service }: { service?: string | undefined }) {
  const conditions = [
    'TenantId = {tenant:String}',
    ...withinPoints,
    service !== undefined && 'ServiceName = {service:String}',
  ];
  return `SELECT ServiceName AS service, MetricName AS metric, any(MetricUnit) AS metricUnit,
    '${kind}' AS kind, count() AS count, max(TimeUnix) AS last
    FROM ${table} ${where(conditions)} GROUP BY service, metric`;
}

export const points = resource({
  path: '/points',
  name: 'points',
  summary: 'Points of one gauge or sum, series by series, oldest first',
  query: z.object({
    ...range,
    metric: described(z.string().check(z.minLength(1), z.maxLength(500)), "The metric's name"),
    kind: described(z.enum(['gauge', 'sum']), 'What its points are'),
    service: text('Only this service'),
    limit,
  }),
  row: z.object({
    service: z.string(),
    attributes: z.record(z.string(), z.string()),
    times: z.array(z.string()),
    values: z.array(z.nullable(z.number())),
  }),
  read: (asked) => ({
    sql: `SELECT ServiceName AS service, Attributes AS attributes,
        groupArray(2000)(TimeUnix) AS times, groupArray(2000)(Value) AS values
      FROM (SELECT ServiceName, Attributes, TimeUnix, any(Value) AS Value
        FROM ${kinds[asked.kind]} ${where([
          'TenantId = {tenant:String}',
          'MetricName = {metric:String}',
          ...withinPoints,
          asked.service !== undefined && 'ServiceName = {service:String}',
        ])} GROUP BY ServiceName, Attributes, TimeUnix ORDER BY TimeUnix)
      GROUP BY service, attributes ORDER BY service, toString(attributes) LIMIT {rows:UInt32}`,
    parameters: bound({ metric: asked.metric, service: asked.service, ...rangeOf(asked) }),
  }),
});
