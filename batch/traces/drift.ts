/** How the layers of traces are compared: spans by tenant, trace id, span id and kind. */
import type { EventWindow, SignalDrift } from '../drift.ts';

/** A span's identity, over the archive's columns and over the speed table's. */
export const archivedSpan =
  'sipHash128(TenantId, lower(hex(TraceId)), lower(hex(SpanId)), SpanKind)';
export const storedSpan = 'sipHash128(toString(TenantId), TraceId, SpanId, toString(SpanKind))';

export const spanDrift: SignalDrift = {
  structure: [
    'TenantId String',
    'ServiceName String',
    'TraceId FixedString(16)',
    'SpanId FixedString(8)',
    'SpanKind String',
    "IngestedAt DateTime64(3, 'UTC')",
    'Partition Int32',
    'Offset Int64',
    'ItemIndex UInt32',
  ],
  archiveBy: ['lower(hex(TraceId))'],
  speedBy: ['TraceId'],
  speedTables: ['otel_traces'],
  speedTime: 'Timestamp',
  repeats: false,
  archive: (source) => `
    SELECT
      ${archivedSpan} AS item,
      any(TenantId) AS tenant,
      argMin(ServiceName, (IngestedAt, Partition, Offset, ItemIndex)) AS service,
      min(IngestedAt) AS received
    FROM ${source}
    GROUP BY item`,
  speed: (source) => `
    SELECT
      ${storedSpan} AS item,
      toString(TenantId) AS tenant,
      toString(ServiceName) AS service,
      StatusCode = 'Error' AS failed
    FROM ${source}`,
  published: (source) => `
    SELECT tenant_id AS tenant, service_name AS service,
      sum(total_spans) AS items, sum(error_count) AS errors
    FROM ${source} AS published
    GROUP BY tenant, service`,
  quantiles: quantilesSql,
};

const names = ['p50', 'p95', 'p99'] as const;

/** The rollup's quantiles of each row that both layers have, against the published ones. */
function quantilesSql(source: string, { from, to }: EventWindow): string {
  const keys = ['tenant_id', 'service_name', 'operation_name', 'span_kind'];
  const errors = names.map(
    (name, i) =>
      `abs(digests[${i + 1}] / 1e6 / nullIf(published.${name}_ms, 0) - 1) AS ${name}_error`,
  );
  const means = names.map(
    (name) => `
      sum(${name}_error * spans) / sumIf(spans, ${name}_error IS NOT NULL) AS ${name}`,
  );
  return `
    SELECT tenant, service, sum(rolled) AS rollup, ${means.join(',')},
      max(greatest(ifNull(p50_error, 0), ifNull(p95_error, 0), ifNull(p99_error, 0))) AS worst
    FROM
    (
      SELECT
        speed.tenant_id AS tenant,
        speed.service_name AS service,
        speed.rolled AS rolled,
        published.total_spans AS spans,
        ${errors.join(',\n        ')}
      FROM
      (
        SELECT ${keys.join(', ')}, sum(total_spans) AS rolled,
          quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_quantiles) AS digests
        FROM service_stats_realtime
        WHERE minute >= ${from} AND minute < ${to}
        GROUP BY ${keys.join(', ')}
      ) AS speed
      LEFT JOIN (SELECT * FROM ${source} WHERE total_spans > 0) AS published
        ON ${keys.map((key) => `speed.${key} = published.${key}`).join(' AND ')}
    )
    GROUP BY tenant, service`;
}
