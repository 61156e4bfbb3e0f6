/**
 * The rows of `service_stats_batch` and `service_dedup_batch`, and of hours those of
 * `service_stats_hourly_batch`. Only forms them.
 */
import { publishBucketsPerInsert, publishRowsPerInsert } from '../../schemas/limits/batch.ts';
import { publishedQuantiles } from '../../schemas/partials/spans.ts';
import type { PeriodKind } from '../../schemas/period.ts';
import { mapBounded, mergeLimits, type PartialReader } from '../merge/ranges.ts';
import { arrayTable, double } from '../publish/table.ts';
import type { MergeOptions, ResultTable, RunResults, TableRow } from '../work.ts';
import { graphResult, graphTable, mergeGraph } from './graphtable.ts';
import { mergePartials, type GroupStats } from './merge.ts';
import { OperationLimit } from './operations.ts';
import { openSections } from './sections.ts';

export const spanTables = ['service_stats_batch', 'service_dedup_batch', graphTable] as const;
export const spanHourTables = ['service_stats_hourly_batch'] as const;

/** Merges the partials of spans. Throws as `mergePartials` does. */
export async function mergeSpans(
  readers: readonly PartialReader[],
  { kind, edgesMax, operationsMax }: Pick<MergeOptions, 'kind' | 'edgesMax' | 'operationsMax'>,
): Promise<RunResults> {
  const limit = new OperationLimit(operationsMax);
  const merge = (groups: readonly PartialReader[]) =>
    mergePartials(groups, publishedQuantiles, mergeLimits, limit);
  const resultsOf = (groups: readonly GroupStats[]) => ({
    ...spanResults(groups, kind),
    folded: limit.folded,
  });
  if (kind === 'hour') return resultsOf(await merge(readers));
  const { readsInFlight } = mergeLimits;
  const sections = await mapBounded(readers, readsInFlight, (reader) => openSections(reader));
  const groups = sections.map((section) => section.groups);
  const results = resultsOf(await merge(groups));
  const edges = await mergeGraph(sections, edgesMax);
  return { ...results, tables: [...results.tables, graphResult(edges)] };
}

/** What is published of the groups of such a period, which have the quantiles 0.5, 0.95 and 0.99. */
export function spanResults(groups: readonly GroupStats[], kind: PeriodKind = 'day'): RunResults {
  const sum = (of: (group: GroupStats) => number) =>
    groups.reduce((total, group) => total + of(group), 0);
  const items = sum((group) => group.totalSpans);
  return {
    items,
    duplicates: sum((group) => group.duplicateSpans),
    conflicts: sum((group) => group.conflicts),
    groups: groups.length,
    tables:
      kind === 'hour'
        ? [statsTable(spanHourTables[0], groups, items)]
        : [
            statsTable(spanTables[0], groups, items),
            arrayTable(spanTables[1], dedupRows(groups), 'deduped_span_count', items),
          ],
  };
}

/** Rows become JSON only as they are sent, few at a time when their histograms are long. */
function statsTable(name: string, groups: readonly GroupStats[], items: number): ResultTable {
  return {
    name,
    rowCount: groups.length,
    sumColumn: 'total_spans',
    sum: items,
    *parts() {
      let rows: TableRow[] = [];
      let buckets = 0;
      for (const group of groups) {
        rows.push(statsRow(group));
        buckets += group.buckets.length;
        if (rows.length < publishRowsPerInsert && buckets < publishBucketsPerInsert) continue;
        yield rows;
        [rows, buckets] = [[], 0];
      }
      if (rows.length > 0) yield rows;
    },
  };
}

function statsRow(group: GroupStats): TableRow {
  const [p50 = Number.NaN, p95 = Number.NaN, p99 = Number.NaN] = group.quantilesMs;
  return {
    tenant_id: group.tenantId,
    service_name: group.serviceName,
    operation_name: group.operationName,
    span_kind: group.spanKind,
    total_spans: group.totalSpans,
    duplicate_spans: group.duplicateSpans,
    p50_ms: double(p50),
    p95_ms: double(p95),
    p99_ms: double(p99),
    min_ms: double(group.minMs),
    max_ms: double(group.maxMs),
    mean_ms: double(group.meanMs),
    error_count: group.errorCount,
    unique_traces: group.uniqueTraces,
    conflict_spans: group.conflicts,
    quantile_state: { buckets: [...group.buckets], counts: [...group.bucketCounts] },
  };
}

/** Sums over the operations of each service. */
function dedupRows(groups: readonly GroupStats[]): TableRow[] {
  const services = Map.groupBy(groups, ({ tenantId, serviceName }) =>
    JSON.stringify([tenantId, serviceName]),
  );
  return Array.from(services.values(), (own) => {
    const kept = own.reduce((sum, { totalSpans }) => sum + totalSpans, 0);
    const duplicates = own.reduce((sum, { duplicateSpans }) => sum + duplicateSpans, 0);
    return {
      tenant_id: own[0]?.tenantId,
      service_name: own[0]?.serviceName,
      raw_span_count: kept + duplicates,
      deduped_span_count: kept,
      duplicate_span_count: duplicates,
    };
  });
}
