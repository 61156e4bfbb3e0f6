/**
 * How `service_graph_batch` is proved in slices of trace ids: each slice finds the calls of its own traces. Calls
 * join spans of one trace, but for messages; so a slice also gets the producers that its consumers link to, and
 * the consumers that link to its producers, from all traces. Their own calls are other slices'.
 */
import { createHash } from 'node:crypto';
import { inSlice, type Slice } from '../verify/source.ts';
import { addCounts } from '../verify/sums.ts';
import type { FigureRow, PartSlices, ProofOptions } from '../verify.ts';
import { overflow } from './copies.ts';
import { callsSql } from './graphproof.ts';
import {
  addDurations,
  durationFigures,
  durationParts,
  finishDurations,
  publishedNs,
} from './nearby.ts';

const counts = ['calls', 'errors'];

export const graphSlices: PartSlices = {
  by: ['TraceId'],
  isSorted: true,
  sql: partSql,
  add,
  finish,
  settle,
};

/** As the spans' `partSql`: past the limit is what is not published, if the tenant has an overflow. */
function partSql(
  _: string,
  published: string,
  __: ProofOptions,
  whole: { readonly source: string; readonly slice: Slice },
): string {
  const { slice } = whole;
  const own = inSlice({ ...slice, by: ['trace'] });
  const past = `tenant IN (
      SELECT tenant_id FROM ${published} WHERE caller = '${overflow}' OR callee = '${overflow}'
    ) AND (tenant, edge.1, edge.2, edge.3, edge.4) NOT IN (
      SELECT tenant_id, caller, callee, connection_type, virtual_side FROM ${published}
    )`;
  return `SELECT
  tenant AS tenant_id,
  node.1 AS caller,
  node.2 AS callee,
  edge.3 AS connection_type,
  edge.4 AS virtual_side,
  count() AS calls,
  countIf(failed) AS errors,
  groupUniqArrayIf((edge.1, edge.2), is_past) AS folded,
  ${durationParts('duration', '1')}
FROM
(
  SELECT
    calls.*,
    ${publishedNs}
  FROM
  (
    SELECT *, ${past} AS is_past, if(
      is_past,
      if(edge.4 = 'caller', ('${overflow}', edge.2), (edge.1, '${overflow}')),
      (edge.1, edge.2)
    ) AS node
    FROM ${callsSql(slicedSource(whole), own)}
  ) AS calls
  LEFT JOIN ${published} AS published ON tenant = published.tenant_id
    AND node.1 = published.caller
    AND node.2 = published.callee
    AND edge.3 = published.connection_type
    AND edge.4 = published.virtual_side
)
ARRAY JOIN durations AS duration
GROUP BY tenant_id, caller, callee, connection_type, virtual_side`;
}

/**
 * Rows of the slice, and of other traces those that messages join them with: all copies of them, without their
 * attributes, since what they call is not this slice's.
 */
function slicedSource({
  source,
  slice,
}: {
  readonly source: string;
  readonly slice: Slice;
}): string {
  const own = inSlice({ ...slice, by: ['TraceId'] });
  const linked = inSlice({ ...slice, by: ['linked'] });
  return `(
  SELECT * FROM ${source} WHERE ${own}
  UNION ALL
  SELECT * REPLACE (map() AS SpanAttributes) FROM ${source}
  WHERE NOT ${own} AND (
    SpanKind = 'Consumer' AND (TenantId, TraceId, SpanId) IN (
      SELECT TenantId, TraceId, SpanId FROM ${source}
      WHERE SpanKind = 'Consumer' AND arrayExists(linked -> ${linked}, \`Links.TraceId\`)
    )
    OR SpanKind = 'Producer' AND (TenantId, TraceId, SpanId) IN (
      SELECT TenantId, link.1, link.2 FROM ${source}
      ARRAY JOIN arrayZip(\`Links.TraceId\`, \`Links.SpanId\`) AS link
      WHERE SpanKind = 'Consumer' AND ${own}
    )
  )
)`;
}

function add(left: FigureRow, right: FigureRow): FigureRow {
  return {
    ...addCounts(counts)(left, right),
    ...addDurations(left, right, 'calls'),
    folded: mergedNodes(left, right),
  };
}

type Nodes = readonly [caller: string, callee: string];

/** Each pair once, by its text. */
function mergedNodes(left: FigureRow, right: FigureRow): Map<string, Nodes> {
  const known = nodesOf(left);
  for (const [text, nodes] of nodesOf(right)) known.set(text, nodes);
  return known;
}

function nodesOf({ folded }: FigureRow): Map<string, Nodes> {
  if (folded instanceof Map) return folded as Map<string, Nodes>;
  return new Map((folded as Nodes[]).map((nodes) => [JSON.stringify(nodes), nodes]));
}

function finish(row: FigureRow): FigureRow {
  return { ...row, ...finishDurations(row, 'calls') };
}

/** An edge that stands by itself, or is among those past the limit. */
interface Edge {
  readonly names: FigureRow;
  /** Its row; of one that is past the limit there is none. */
  readonly row: FigureRow | undefined;
}

/** Puts those edges by themselves that should be, if others are published: see the spans' `settle`. */
function settle(
  rows: readonly FigureRow[],
  { edgesMax }: Pick<ProofOptions, 'edgesMax'>,
): FigureRow[] {
  const tenants = Map.groupBy(rows, (row) => row['tenant_id']);
  return [...tenants.values()].flatMap((own) => settleTenant(own, edgesMax));
}

function settleTenant(rows: readonly FigureRow[], edgesMax: number): FigureRow[] {
  const overflows = rows.filter(isOverflow);
  const edges = [
    ...rows.filter((row) => !isOverflow(row)).map((row): Edge => ({ names: row, row })),
    ...overflows.flatMap((row) =>
      Array.from(nodesOf(row).values(), ([caller, callee]): Edge => {
        return { names: { ...row, caller, callee }, row: undefined };
      }),
    ),
  ];
  const ranked = edges
    .map((edge) => ({ edge, rank: rankOf(edge.names) }))
    .toSorted((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ edge }) => edge);
  const kept = ranked.slice(0, edgesMax).map(({ names, row }) => row ?? stub(names));
  const isLost = ranked.slice(edgesMax).some(({ row }) => row !== undefined);
  const lost = isLost && overflows.length === 0 ? [stub({ ...rows[0], caller: overflow })] : [];
  return [...kept, ...overflows, ...lost];
}

/** A row that has its names only, which no published one is equal to. */
function stub(names: FigureRow): FigureRow {
  const none = [...counts, ...durationFigures].map((figure) => [figure, null]);
  return { ...names, ...Object.fromEntries(none) };
}

function isOverflow({ caller, callee }: FigureRow): boolean {
  return caller === overflow || callee === overflow;
}

/** As docs/GRAPH.md orders them: between services and from users first, then by a hash. */
function rankOf(row: FigureRow): string {
  const { tenant_id: tenant, caller, callee, connection_type: type, virtual_side: side } = row;
  const text = [tenant, caller, callee, type, side].join('\u001f');
  const isFirst = side === '' || (side === 'caller' && caller === 'user');
  return `${isFirst ? 0 : 1}${createHash('sha256').update(text).digest('hex')}`;
}
