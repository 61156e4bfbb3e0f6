/** The rows of `service_graph_batch`. Merges the service graph's parts of partials and forms the rows. */
import { publishedQuantiles } from '../../schemas/partials/spans.ts';
import { mergeLimits, type MergeLimits, type PartialReader } from '../merge/ranges.ts';
import { arrayTable, double } from '../publish/table.ts';
import type { ResultTable, TableRow } from '../work.ts';
import { connectionOf, EdgeLimit } from './edges.ts';
import { mergePartials, type GroupStats } from './merge.ts';
import { joinMessages } from './messages.ts';
import { memoryReader, type Sections } from './sections.ts';

export const graphTable = 'service_graph_batch';

/**
 * Exact figures of all edges; at most `edgesMax` of a tenant stand by themselves. Throws as
 * `mergePartials` does.
 */
export async function mergeGraph(
  sections: readonly Pick<Sections, 'edges' | 'messages'>[],
  edgesMax: number,
  limits: MergeLimits = mergeLimits,
): Promise<GroupStats[]> {
  const joined = await joinMessages(
    sections.map(({ messages }) => messages),
    limits,
  );
  const readers: PartialReader[] = [
    ...sections.map(({ edges }) => edges),
    ...joined.map((bytes) => memoryReader(bytes)),
  ];
  return mergePartials(readers, publishedQuantiles, limits, new EdgeLimit(edgesMax));
}

/** The published table of these edges. */
export function graphResult(groups: readonly GroupStats[]): ResultTable {
  const calls = groups.reduce((sum, { totalSpans }) => sum + totalSpans, 0);
  return arrayTable(graphTable, groups.map(edgeRow), 'calls', calls);
}

function edgeRow(group: GroupStats): TableRow {
  const [p50 = Number.NaN, p95 = Number.NaN, p99 = Number.NaN] = group.quantilesMs;
  const { type, virtual } = connectionOf(group);
  return {
    tenant_id: group.tenantId,
    caller: group.serviceName,
    callee: group.operationName,
    connection_type: type,
    virtual_side: virtual,
    calls: group.totalSpans,
    errors: group.errorCount,
    p50_ms: double(p50),
    p95_ms: double(p95),
    p99_ms: double(p99),
    min_ms: double(group.minMs),
    max_ms: double(group.maxMs),
    mean_ms: double(group.meanMs),
  };
}
