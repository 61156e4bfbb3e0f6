/**
 * How the layers of metrics are compared. The speed tables do not have the hash of a series, so points are
 * matched by what names a series in both layers, start time and time; of series that differ in the
 * kinds of attributes' values alone, only the numbers of points are compared.
 */
import type { SignalDrift } from '../drift.ts';

/** Speed tables by the archive's word for their kind. */
export const pointTypes = {
  otel_metrics_gauge: 'Gauge',
  otel_metrics_sum: 'Sum',
  otel_metrics_histogram: 'Histogram',
  otel_metrics_exp_histogram: 'ExponentialHistogram',
  otel_metrics_summary: 'Summary',
} as const;

/** A point's identity in both layers; `type` is an expression. */
export function pointItem(type: string): string {
  const texts = [
    'TenantId',
    'ServiceName',
    'MetricName',
    'MetricUnit',
    'ScopeName',
    'ScopeVersion',
  ];
  const maps = ['ResourceAttributes', 'ScopeAttributes', 'Attributes'];
  return `sipHash128(${[
    type,
    ...texts.map((name) => `toString(${name})`),
    ...maps.map((name) => `toString(mapSort(CAST(${name}, 'Map(String, String)')))`),
    'toUnixTimestamp64Nano(StartTimeUnix)',
    'toUnixTimestamp64Nano(TimeUnix)',
  ].join(', ')})`;
}

export const pointDrift: SignalDrift = {
  structure: [
    'TenantId String',
    'ServiceName String',
    'MetricName String',
    'MetricUnit String',
    'MetricType String',
    'ScopeName String',
    'ScopeVersion String',
    'ResourceAttributes Map(String, String)',
    'ScopeAttributes Map(String, String)',
    'Attributes Map(String, String)',
    'SeriesHash FixedString(16)',
    "StartTimeUnix DateTime64(9, 'UTC')",
    "TimeUnix DateTime64(9, 'UTC')",
    "IngestedAt DateTime64(3, 'UTC')",
  ],
  archiveBy: ['MetricName', 'toUnixTimestamp64Nano(TimeUnix)'],
  speedBy: ['toString(MetricName)', 'toUnixTimestamp64Nano(TimeUnix)'],
  speedTables: Object.keys(pointTypes),
  speedTime: 'TimeUnix',
  repeats: false,
  archive: (source, { from, to }) => `
    SELECT
      any(${pointItem('MetricType')}) AS item,
      TenantId AS tenant,
      any(ServiceName) AS service,
      min(IngestedAt) AS received
    FROM ${source}
    WHERE TimeUnix >= ${from} AND TimeUnix < ${to}
    GROUP BY TenantId, SeriesHash, StartTimeUnix, TimeUnix`,
  speed: (source, table) => `
    SELECT
      ${pointItem(`'${pointTypes[table as keyof typeof pointTypes]}'`)} AS item,
      toString(TenantId) AS tenant,
      toString(ServiceName) AS service,
      0 AS failed
    FROM ${source}`,
  published: (source) => `
    SELECT tenant_id AS tenant, service_name AS service, sum(points) AS items, 0 AS errors
    FROM ${source} AS published
    GROUP BY tenant, service`,
};
