/** How `log_stats_batch` is proved: the same figures in ClickHouse's own SQL. */
import { addCounts } from '../verify/sums.ts';
import type { Proof } from '../verify.ts';

const figures = ['total_records', 'duplicate_records', 'body_bytes', 'unique_bodies'] as const;

export const logProof: Proof = {
  table: 'log_stats_batch',
  keys: ['tenant_id', 'service_name', 'severity_number', 'severity_text', 'hour'],
  figures,
  structure: [
    'TenantId String',
    'ServiceName String',
    'SeverityNumber Int32',
    'SeverityText String',
    "Timestamp DateTime64(9, 'UTC')",
    'Body String',
    'ContentHash FixedString(16)',
    'ContentOccurrence UInt32',
    "IngestedAt DateTime64(3, 'UTC')",
    'Partition Int32',
    'Offset Int64',
    'ItemIndex UInt32',
  ],
  sql: logSql,
  // Copies have one body, and so have equal bodies: distinct ones add up over slices too.
  slices: {
    by: ['Body'],
    sql: (source) => logSql(source),
    add: addCounts(figures),
    finish: (row) => row,
  },
};

/**
 * Of the copies of a record, one identity of (tenant, content hash, occurrence), the first by
 * (IngestedAt, Partition, Offset, ItemIndex) counts; the others are duplicates in their own hour.
 */
export function logSql(source: string): string {
  return `SELECT
  TenantId AS tenant_id,
  ServiceName AS service_name,
  SeverityNumber AS severity_number,
  SeverityText AS severity_text,
  toStartOfHour(toDateTime(Timestamp, 'UTC')) AS hour,
  countIf(place = 1) AS total_records,
  countIf(place > 1) AS duplicate_records,
  sumIf(length(Body), place = 1) AS body_bytes,
  uniqExactIf(Body, place = 1) AS unique_bodies
FROM
(
  SELECT
    TenantId,
    ServiceName,
    SeverityNumber,
    SeverityText,
    Timestamp,
    Body,
    row_number() OVER (
      PARTITION BY TenantId, ContentHash, ContentOccurrence
      ORDER BY IngestedAt, Partition, Offset, ItemIndex
    ) AS place
  FROM ${source}
)
GROUP BY tenant_id, service_name, severity_number, severity_text, hour`;
}
