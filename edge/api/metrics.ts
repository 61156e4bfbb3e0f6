/** Resources about metrics: which there are, their hours, and points over time. Only data. */
import * as z from 'zod/mini';
import { bound, described, limit, range, rangeOf, resource, text, where } from './resource.ts';

/** The metric tables whose points have one value. */
const valueTables = { gauge: 'otel_metrics_gauge', sum: 'otel_metrics_sum' } as const;

/** What points are, by `metric_type` of the merged views. */
const kinds = {
  Gauge: 'gauge',
  Sum: 'sum',
  Histogram: 'histogram',
  ExponentialHistogram: 'exponential_histogram',
  Summary: 'summary',
} as const;

const kindOf = `transform(metric_type, ${namesOf(Object.keys(kinds))}, ${namesOf(Object.values(kinds))})`;

function namesOf(names: readonly string[]): string {
  return `[${names.map((name) => `'${name}'`).join(', ')}]`;
}

/** Whole hours. The days are said too: one view has nothing else, and they prune partitions of both. */
const withinDays = `date BETWEEN toDate(fromUnixTimestamp64Milli({from:Int64}), 'UTC')
  AND toDate(fromUnixTimestamp64Milli({to:Int64}), 'UTC')`;
const withinHours = [
  withinDays,
  'hour >= toStartOfHour(fromUnixTimestamp64Milli({from:Int64}))',
  'hour < fromUnixTimestamp64Milli({to:Int64})',
];

const ofService = (service: string | undefined) =>
  service !== undefined && 'service_name = {service:String}';

export const metrics = resource({
  path: '/metrics',
  name: 'metrics',
  summary: 'Metrics that have points in the hours of the range, by service and name',
  query: z.object({ ...range, service: text('Only this service'), limit }),
  row: z.object({
    service: z.string(),
    metric: z.string(),
    unit: z.string(),
    kind: z.enum(Object.values(kinds)),
    points: described(z.int(), 'Distinct ones of hours that are exact, else as they came in'),
    lastHour: described(z.string(), 'Begin of the last hour with points'),
  }),
  read: (asked) => ({
    sql: `SELECT service, metric, unit, kind, points, lastHour
      FROM (
        SELECT service_name AS service, metric_name AS metric, ${kindOf} AS kind,
          sum(points) AS points, max(hour) AS lastHour
        FROM metric_stats_merged ${where([
          'tenant_id = {tenant:String}',
          ...withinHours,
          ofService(asked.service),
          "metric_name != ''",
        ])} GROUP BY service, metric, kind ORDER BY service, metric, kind LIMIT {rows:UInt32}
      ) AS counted
      LEFT JOIN (
        SELECT service_name AS service, metric_name AS metric, ${kindOf} AS kind,
          any(metric_unit) AS unit
        FROM metric_series_merged ${where([
          'tenant_id = {tenant:String}',
          withinDays,
          ofService(asked.service),
        ])} GROUP BY service, metric, kind
      ) AS named USING (service, metric, kind)
      ORDER BY service, metric, kind`,
    parameters: bound({ service: asked.service, ...rangeOf(asked) }),
  }),
});

const metric = described(z.string().check(z.minLength(1), z.maxLength(500)), "The metric's name");
const kind = described(z.enum(['gauge', 'sum']), 'What its points are');
const attributes = z.record(z.string(), z.string());
const values = z.array(z.nullable(z.number()));

export const series = resource({
  path: '/series',
  name: 'series',
  summary:
    'One gauge or sum hour by hour, series by series: exact where the batch has published the day, else live',
  query: z.object({ ...range, metric, kind, service: text('Only this service'), limit }),
  row: z.object({
    service: z.string(),
    unit: z.string(),
    attributes,
    resource: described(attributes, 'Attributes of the resource'),
    hours: z.array(z.string()),
    points: z.array(z.int()),
    min: values,
    max: values,
    avg: values,
    last: values,
    increase: described(
      values,
      'Of sums, what was added in the hour; null where nobody knows, as of live cumulative sums',
    ),
    runIds: described(
      z.array(z.string()),
      "The run of each hour's day; empty of hours that are live",
    ),
    isFinal: described(z.boolean(), 'Whether all these hours are of final runs'),
  }),
  stepsOf: (rows) => ({ begins: rows.flatMap((row) => row['hours']), stepSeconds: 3600 }),
  read: (asked) => ({
    sql: `SELECT service, unit, attributes, resource,
        groupArray(hour) AS hours, groupArray(points) AS points, groupArray(least) AS min,
        groupArray(greatest) AS max, groupArray(average) AS avg, groupArray(final) AS last,
        arrayMap(value -> if(value.2, NULL, value.1),
          groupArray((ifNull(added, 0), isNull(added)))) AS increase,
        groupArray(run) AS runIds, toBool(min(is_final)) AS isFinal
      FROM (
        SELECT service_name AS service, metric_unit AS unit, attributes,
          resource_attributes AS resource, hour, points, value_min AS least,
          value_max AS greatest, value_avg AS average,
          value_last AS final, increase AS added, run_id AS run, is_final
        FROM (
          SELECT * FROM metric_stats_merged ${where([...ofMetric(asked), ...withinHours])}
        ) AS stats
        INNER JOIN (
          SELECT date, service_name, series, run_id, metric_unit, attributes, resource_attributes
          FROM metric_series_merged ${where([...ofMetric(asked), withinDays])}
        ) AS named USING (date, service_name, series, run_id)
        ORDER BY hour)
      GROUP BY service, unit, attributes, resource
      ORDER BY service, toString(attributes), toString(resource) LIMIT {rows:UInt32}`,
    parameters: bound({
      metric: asked.metric,
      type: asked.kind === 'gauge' ? 'Gauge' : 'Sum',
      service: asked.service,
      ...rangeOf(asked),
    }),
  }),
});

function ofMetric({ service }: { readonly service?: string | undefined }) {
  return [
    'tenant_id = {tenant:String}',
    'metric_name = {metric:String}',
    'metric_type = {type:String}',
    ofService(service),
  ];
}

export const points = resource({
  path: '/points',
  name: 'points',
  summary: 'Points of one gauge or sum as they came in, series by series, oldest first',
  query: z.object({ ...range, metric, kind, service: text('Only this service'), limit }),
  row: z.object({ service: z.string(), attributes, times: z.array(z.string()), values }),
  read: (asked) => ({
    sql: `SELECT ServiceName AS service, Attributes AS attributes,
        groupArray(2000)(TimeUnix) AS times, groupArray(2000)(Value) AS values
      FROM (SELECT ServiceName, Attributes, TimeUnix, any(Value) AS Value
        FROM ${valueTables[asked.kind]} ${where([
          'TenantId = {tenant:String}',
          'MetricName = {metric:String}',
          'TimeUnix >= fromUnixTimestamp64Milli({from:Int64})',
          'TimeUnix < fromUnixTimestamp64Milli({to:Int64})',
          asked.service !== undefined && 'ServiceName = {service:String}',
        ])} GROUP BY ServiceName, Attributes, TimeUnix ORDER BY TimeUnix)
      GROUP BY service, attributes ORDER BY service, toString(attributes) LIMIT {rows:UInt32}`,
    parameters: bound({ metric: asked.metric, service: asked.service, ...rangeOf(asked) }),
  }),
});
