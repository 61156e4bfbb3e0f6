/**
 * How the layers of logs are compared. The speed table has neither the hash of a record's content nor its
 * request, so records are matched by what both layers have: of records that are equal in it, only
 * their numbers are compared.
 */
import type { SignalDrift } from '../drift.ts';

/** The severity number as the speed table has it: a byte, 0 for what that cannot hold. */
const severity = 'if(SeverityNumber BETWEEN 0 AND 255, SeverityNumber, 0)';

/** What a record is matched by, over the archive's columns and over the speed table's. */
export const archivedRecord = `sipHash128(TenantId, ServiceName, toUnixTimestamp64Nano(Timestamp),
          toUInt8(${severity}), SeverityText,
          lower(hex(ifNull(TraceId, ''))), lower(hex(ifNull(SpanId, ''))), Body)`;
export const storedRecord = `sipHash128(toString(TenantId), toString(ServiceName),
        toUnixTimestamp64Nano(Timestamp), SeverityNumber, toString(SeverityText), TraceId, SpanId, Body)`;

export const logDrift: SignalDrift = {
  structure: [
    'TenantId String',
    'ServiceName String',
    "Timestamp DateTime64(9, 'UTC')",
    'SeverityNumber Int32',
    'SeverityText String',
    'TraceId Nullable(FixedString(16))',
    'SpanId Nullable(FixedString(8))',
    'Body String',
    'ContentHash FixedString(16)',
    'ContentOccurrence UInt32',
    "IngestedAt DateTime64(3, 'UTC')",
    'Partition Int32',
    'Offset Int64',
    'ItemIndex UInt32',
  ],
  archiveBy: ['Body'],
  speedBy: ['Body'],
  speedTables: ['otel_logs'],
  speedTime: 'Timestamp',
  repeats: true,
  archive: (source) => `
    SELECT
      argMin(
        ${archivedRecord},
        (IngestedAt, Partition, Offset, ItemIndex)
      ) AS item,
      TenantId AS tenant,
      any(ServiceName) AS service,
      min(IngestedAt) AS received
    FROM ${source}
    GROUP BY TenantId, ContentHash, ContentOccurrence`,
  speed: (source) => `
    SELECT
      ${storedRecord} AS item,
      toString(TenantId) AS tenant,
      toString(ServiceName) AS service,
      SeverityNumber >= 17 AS failed
    FROM ${source}`,
  published: (source) => `
    SELECT tenant_id AS tenant, service_name AS service,
      sum(total_records) AS items,
      sumIf(total_records, severity_number BETWEEN 17 AND 255) AS errors
    FROM ${source} AS published
    GROUP BY tenant, service`,
};
