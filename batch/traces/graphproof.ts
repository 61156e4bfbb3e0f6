/**
 * How `service_graph_batch` is proved: the rules of docs/GRAPH.md in ClickHouse's own SQL, which takes peers
 * from attributes, and looks up callers and links by the ids that spans name instead of walking traces.
 */
import type { Proof, ProofOptions } from '../verify.ts';

export const graphProof: Proof = {
  table: 'service_graph_batch',
  keys: ['tenant_id', 'caller', 'callee', 'connection_type', 'virtual_side'],
  figures: ['calls', 'errors', 'p50_ms', 'p95_ms', 'p99_ms', 'min_ms', 'max_ms', 'mean_ms'],
  structure: [
    'TenantId String',
    'ServiceName String',
    'TraceId FixedString(16)',
    'SpanId FixedString(8)',
    'ParentSpanId Nullable(FixedString(8))',
    'SpanKind String',
    'StatusCode String',
    'Duration UInt64',
    'SpanAttributes Map(String, String)',
    '`Links.TraceId` Array(FixedString(16))',
    '`Links.SpanId` Array(FixedString(8))',
    "IngestedAt DateTime64(3, 'UTC')",
    'Partition Int32',
    'Offset Int64',
    'ItemIndex UInt32',
  ],
  sql: graphSql,
};

/**
 * A ClickHouse query over the rows of `source` (a table, table function or subquery with the columns of
 * `graphProof.structure`) that gives each edge's exact figures.
 */
export function graphSql(source: string, { edgesMax }: Pick<ProofOptions, 'edgesMax'>): string {
  return `SELECT
  tenant AS tenant_id,
  if(edge.4 = 'caller' AND place > ${edgesMax}, '__overflow__', edge.1) AS caller,
  if(edge.4 != 'caller' AND place > ${edgesMax}, '__overflow__', edge.2) AS callee,
  edge.3 AS connection_type,
  edge.4 AS virtual_side,
  count() AS calls,
  countIf(edge.5) AS errors,
  ${quantile(0.5)} AS p50_ms,
  ${quantile(0.95)} AS p95_ms,
  ${quantile(0.99)} AS p99_ms,
  min(duration) / 1e6 AS min_ms,
  max(duration) / 1e6 AS max_ms,
  toFloat64(toString(sum(toUInt128(duration)))) / calls / 1e6 AS mean_ms
FROM
(
  SELECT *, dense_rank() OVER (
    PARTITION BY tenant
    ORDER BY
      edge.4 != '' AND (edge.4, edge.1) != ('caller', 'user'),
      SHA256(arrayStringConcat([tenant, edge.1, edge.2, edge.3, edge.4], '\\x1f'))
  ) AS place
  FROM ${closed(source)}
)
GROUP BY tenant_id, caller, callee, connection_type, virtual_side
ORDER BY tenant_id, caller, callee, connection_type, virtual_side`;
}

function quantile(q: number): string {
  return `quantileExactInclusive(${q})(duration) / 1e6`;
}

/**
 * Every call, as tenant, duration, edge: caller, callee, type, virtual side, whether it failed; those that spans
 * make or answer for which `where` holds, whose trace is `event.1`.
 */
export function closed(source: string, where = '1'): string {
  const isOpen = `own_kind IN (3, 4) AND self.5 != '' AND NOT is_called AND NOT is_nested`;
  const isUnanswered = `length(self.8) = 0 AND (NOT self.4 OR own_kind = 5 AND self.7 > 0)`;
  const type = `if(self.5 = 'messaging_system', self.5, 'virtual_node')`;
  return `(
  SELECT
    tenant,
    self.3 AS duration,
    edge
  FROM
  (
    SELECT
      tenant,
      event.3 AS own_kind,
      anyIf(
        (service, failed, duration, has_parent, peer_kind, peer, links, edges),
        event.4 = 0
      ) AS self,
      max(event.4 = 1) AS is_called,
      max(event.4 = 2) AS is_nested
    FROM ${connected(source)}
    ARRAY JOIN arrayConcat(
      [(trace, span, kind, 0)],
      arrayMap(other -> (other.4, other.5, other.1, 1), callers),
      arrayMap(other -> (other.4, other.5, other.1, 2), nested)
    ) AS event
    WHERE ${where}
    GROUP BY tenant, event.1, event.2, own_kind
  )
  ARRAY JOIN arrayConcat(
    self.8,
    arrayFilter(edge -> ${isOpen}, [(self.1, self.6, self.5, 'callee', self.2)]),
    arrayFilter(
      edge -> own_kind = 2 AND ${isUnanswered},
      [('user', self.1, 'virtual_node', 'caller', self.2)]
    ),
    arrayFilter(
      edge -> own_kind = 5 AND ${isUnanswered},
      [(if(self.5 = '', 'user', self.6), self.1, ${type}, 'caller', self.2)]
    )
  ) AS edge
)`;
}

/** Every span once, with its edges from other spans, the callers of those, and a caller of its own service. */
function connected(source: string): string {
  return `(
  SELECT
    tenant, trace, span, kind,
    any(ref.5) AS service,
    any(ref.6) AS failed,
    any(ref.7) AS duration,
    any(ref.8) AS has_parent,
    any(ref.9) AS peer_kind,
    any(ref.10) AS peer,
    any(ref.11) AS links,
    groupArrayIf(found[1], ref.1 = 1 AND notEmpty(found)) AS near,
    groupArrayIf(found[1], ref.1 = 2 AND notEmpty(found)) AS parents,
    arraySlice(arrayConcat(near, parents), 1, 1) AS own_caller,
    arrayFilter(
      other -> other.1 IN (3, 4) AND kind IN (2, 5) OR other.2 != service,
      own_caller
    ) AS direct,
    arrayFilter(
      other -> NOT has(own_caller, other),
      groupArrayIf(found[1], ref.1 = 3 AND notEmpty(found))
    ) AS senders,
    arrayConcat(direct, senders) AS callers,
    arrayFilter(
      other -> empty(direct) AND other.1 IN (3, 4) AND kind IN (3, 4),
      own_caller
    ) AS nested,
    arrayConcat(
      arrayMap(
        other -> (
          other.2,
          service,
          if(other.1 = 4 OR kind = 5, 'messaging_system', ''),
          '',
          failed OR other.1 IN (3, 4) AND other.3
        ),
        direct
      ),
      arrayMap(
        other -> (other.2, service, 'messaging_system', '', failed OR other.3),
        senders
      )
    ) AS edges
  FROM ${resolved(source)}
  GROUP BY tenant, ref.2 AS trace, ref.3 AS span, ref.4 AS kind
)`;
}

/** What each span refers to, and the spans with that id, the one that is meant first. */
function resolved(source: string): string {
  const rank = `transform(other.1, [2, 5, 1, 0, 6, 3, 4], [0, 1, 2, 3, 4, 5, 6], 7)`;
  return `(
  SELECT
    tenant,
    ref,
    multiIf(
      ref.1 = 1, arraySort(other -> other.1, arrayFilter(other -> other.1 IN (3, 4), spans)),
      ref.1 = 2, arraySort(other -> ${rank}, spans),
      ref.1 = 3, arrayFilter(other -> other.1 = 4, spans),
      arraySlice(spans, 1, 0)
    ) AS found
  FROM
  (
    SELECT
      tenant,
      groupArrayIf((kind, service, failed, trace, span), item.3 = 0) AS spans,
      groupArrayIf(
        (item.3, trace, span, kind, service, failed, duration, has_parent, peer_kind, peer, links),
        item.3 != 0
      ) AS refs
    FROM ${referring(source)}
    GROUP BY tenant, item.1, item.2
  )
  ARRAY JOIN refs AS ref
)`;
}

/**
 * The spans that are kept, once for each id that they have to do with: 0 and 4 are their own, 1 the near
 * side of their call if it shares the id, 2 the parent, 3 what a link names.
 */
function referring(source: string): string {
  return `(
  SELECT
    TenantId AS tenant,
    TraceId AS trace,
    SpanId AS span,
    ${kind} AS kind,
    ServiceName AS service,
    StatusCode = 'Error' AS failed,
    Duration AS duration,
    ParentSpanId IS NOT NULL AS has_parent,
    if(kind IN (3, 4, 5), ${peerKind}, '') AS peer_kind,
    if(own_name != '', own_name, multiIf(
      peer_kind = 'database', database, peer_kind = 'messaging_system', messaging, server
    )) AS peer,
    length(\`Links.TraceId\`) AS links,
    item
  FROM
  (
    SELECT
      *,
      SpanAttributes['peer.service'] AS own_name,
      ${joined(either('db.system.name', 'db.system'), either('db.namespace', 'db.name'))} AS database,
      ${joined(
        `SpanAttributes['messaging.system']`,
        either('messaging.destination.name', 'messaging.destination'),
      )} AS messaging,
      ${either('server.address', 'net.peer.name')} AS server,
      row_number() OVER (
        PARTITION BY TenantId, TraceId, SpanId, SpanKind
        ORDER BY IngestedAt, Partition, Offset, ItemIndex
      ) AS place
    FROM ${source}
  )
  ARRAY JOIN arrayConcat(
    [(TraceId, SpanId, 0), (TraceId, SpanId, 4)],
    arrayFilter(it -> ${kind} IN (2, 5), [(TraceId, SpanId, 1)]),
    arrayFilter(
      it -> ParentSpanId IS NOT NULL AND it.2 != SpanId,
      [(TraceId, assumeNotNull(ParentSpanId), 2)]
    ),
    arrayFilter(
      it -> ${kind} = 5,
      arrayMap((linked, id) -> (linked, id, 3), \`Links.TraceId\`, \`Links.SpanId\`)
    )
  ) AS item
  WHERE place = 1
)`;
}

/** OTLP's numbers. */
const kind = `transform(
  SpanKind,
  ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'],
  [0, 1, 2, 3, 4, 5],
  6
)`;

const peerKind = `multiIf(
      database != '', 'database',
      messaging != '', 'messaging_system',
      own_name != '' OR server != '', 'virtual_node',
      ''
    )`;

function either(name: string, older: string): string {
  const newer = `SpanAttributes['${name}']`;
  return `if(${newer} != '', ${newer}, SpanAttributes['${older}'])`;
}

function joined(first: string, second: string): string {
  return `arrayStringConcat(arrayFilter(text -> text != '', [${first}, ${second}]), '/')`;
}
