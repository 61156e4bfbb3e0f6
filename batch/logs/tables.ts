/** The rows of `log_stats_batch`. Only forms them. */
import type { PartialReader } from '../merge/ranges.ts';
import { arrayTable } from '../publish/table.ts';
import type { RunResults, TableRow } from '../work.ts';
import { mergeLogPartials, type LogStats } from './merge.ts';

export const logTables = ['log_stats_batch'] as const;

/** Merges the partials of logs. Throws as `mergeLogPartials` does. */
export async function mergeLogs(readers: readonly PartialReader[]): Promise<RunResults> {
  const groups = await mergeLogPartials(readers);
  const items = groups.reduce((sum, { totalRecords }) => sum + totalRecords, 0);
  return {
    items,
    duplicates: groups.reduce((sum, { duplicateRecords }) => sum + duplicateRecords, 0),
    // Records of one identity have one content.
    conflicts: 0,
    groups: groups.length,
    tables: [arrayTable(logTables[0], groups.map(rowOf), 'total_records', items)],
  };
}

function rowOf(group: LogStats): TableRow {
  return {
    tenant_id: group.tenantId,
    service_name: group.serviceName,
    severity_number: group.severityNumber,
    severity_text: group.severityText,
    hour: group.hourMs / 1000,
    total_records: group.totalRecords,
    duplicate_records: group.duplicateRecords,
    body_bytes: group.bodyBytes,
    unique_bodies: group.uniqueBodies,
  };
}
