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
  sum(length(durations)) AS calls,
  sumIf(length(durations), failed) AS errors,
  ${quantile(0.5)} AS p50_ms,
  ${quantile(0.95)} AS p95_ms,
  ${quantile(0.99)} AS p99_ms,
  minArray(durations) / 1e6 AS min_ms,
  maxArray(durations) / 1e6 AS max_ms,
  toFloat64(toString(sumArray(CAST(durations, 'Array(UInt128)')))) / calls / 1e6 AS mean_ms
FROM
(
  SELECT *, dense_rank() OVER (
    PARTITION BY tenant
    ORDER BY
      edge.4 != '' AND (edge.4, edge.1) != ('caller', 'user'),
      SHA256(arrayStringConcat([tenant, edge.1, edge.2, edge.3, edge.4], '\\x1f'))
  ) AS place
  FROM ${callsSql(source)}
)
GROUP BY tenant_id, caller, callee, connection_type, virtual_side
ORDER BY tenant_id, caller, callee, connection_type, virtual_side`;
}

function quantile(q: number): string {
  return `quantileExactInclusiveArray(${q})(durations) / 1e6`;
}

/**
 * All calls, by tenant, edge (caller, callee, type, virtual side) and whether they failed: their durations. Of the
 * spans that make or answer them those for which `where` holds, by their `trace`.
 */
export function callsSql(source: string, where = '1'): string {
  return `(
  SELECT tenant, call.1 AS edge, call.2 AS failed, groupArray(duration) AS durations
  FROM ${answered(source)}
  ARRAY JOIN arrayConcat(
    arrayFilter(it -> is_call, [(
      (caller.2, service, if(caller.1 = 4 OR kind = 5, 'messaging_system', ''), ''),
      is_error OR caller.1 IN (3, 4) AND caller.3,
      '',
      0
    )]),
    arrayFilter(it -> is_call AND waiting != '', [(stand_in, is_error, waiting, 1)]),
    arrayFilter(it -> is_open, [(stand_in, is_error, waiting, 0)])
  ) AS call
  WHERE ${where}
  GROUP BY tenant, edge, failed, call.3
  HAVING NOT max(call.4)
)`;
}

/**
 * What each span refers to, with the span that is its caller by that, if any, and whether the two make a
 * call; and each span itself, with whether the other side of its call is missing.
 */
function answered(source: string): string {
  return `(
  SELECT
    tenant,
    ref.2 AS own_caller, ref.3 AS trace, ref.4 AS kind, ref.5 AS service, ref.6 AS is_error,
    ref.7 AS duration, ref.8 AS waiting, ref.9 AS stand_in,
    multiIf(ref.1 = 1, near, ref.1 = 2, parent, producer) AS caller,
    multiIf(
      ref.1 = 0 OR caller.1 = ${nobody}, false,
      ref.1 = 3, multiIf(own_caller = 1, near.1, own_caller = 2, parent.1, ${nobody}) != 4,
      caller.1 IN (3, 4) AND kind IN (2, 5) OR caller.2 != service
    ) AS is_call,
    ref.1 = 0 AND stand_in.4 != '' AND (stand_in.4 = 'caller' OR NOT has(taken, kind)) AS is_open
  FROM
  (
    SELECT
      tenant,
      groupArrayIf((kind, service, is_error), relation = 0) AS spans,
      ${firstOf(`arrayFilter(it -> it.1 IN (3, 4), spans)`, 'it.1')} AS near,
      ${firstOf('spans', `indexOf([2, 5, 1, 0, 6, 3, 4], it.1)`)} AS parent,
      ${firstOf(`arrayFilter(it -> it.1 = 4, spans)`, 'it.1')} AS producer,
      groupArrayIf(
        (relation, own_caller, trace, kind, service, is_error, duration, waiting, stand_in),
        relation != 0 OR stand_in.4 != ''
      ) AS refs,
      groupUniqArrayIf(service, relation = 2 AND kind NOT IN (2, 3, 4, 5)) AS others,
      [
        if(countIf(relation = 1) > 0, near.1, ${nobody}),
        if(
          countIf(relation = 2 AND kind IN (2, 3, 4, 5)) > 0
            OR arrayExists(it -> it != parent.2, others),
          parent.1,
          ${nobody}
        ),
        if(countIf(relation = 3) > 0, producer.1, ${nobody})
      ] AS taken
    FROM ${referring(source)}
    GROUP BY tenant, id
  )
  ARRAY JOIN refs AS ref
)`;
}

/** The first of spans, in an order, as kind, service, whether it failed. */
function firstOf(spans: string, order: string): string {
  return `arrayConcat(arraySort(it -> ${order}, ${spans}), [(${nobody}, '', false)])[1]`;
}

/** The kind of a span that there is not. */
const nobody = 255;

/**
 * The spans that are kept, once for each id that they have to do with (`relation`): 0 is their own, 1 theirs again if
 * its client or producer is their caller, 2 their parent's, 3 what a link names. A link's `own_caller` is the
 * relation that leads to the caller as well, `waiting` a consumer that has a `stand_in` only if nobody calls it.
 */
function referring(source: string): string {
  return `(
  SELECT
    *,
    item.1 AS relation,
    item.2 AS id,
    if(relation = 3 AND id = caller_id, caller_relation, 0) AS own_caller
  FROM
  (
    SELECT
      tenant, trace, span, kind, service, is_error, duration,
      multiIf(kind IN (2, 5) AND has_near, 1, parent IS NOT NULL AND parent != span, 2, 0)
        AS caller_relation,
      (trace, if(caller_relation = 2, assumeNotNull(parent), span)) AS caller_id,
      if(kind = 5, links, []) AS sent,
      caller_relation != 1 AND (parent IS NULL OR notEmpty(sent)) AS is_first,
      if(kind = 5 AND is_first, concat(trace, span), '') AS waiting,
      multiIf(
        kind IN (3, 4) AND peer_kind != '', (service, peer, peer_kind, 'callee'),
        kind = 2 AND is_first, ('user', service, 'virtual_node', 'caller'),
        waiting = '', ('', '', '', ''),
        peer_kind = '', ('user', service, 'virtual_node', 'caller'),
        (peer, service, if(peer_kind = 'messaging_system', peer_kind, 'virtual_node'), 'caller')
      ) AS stand_in
    FROM ${kept(source)}
  )
  ARRAY JOIN arrayConcat(
    [(0, (trace, span))],
    if(caller_relation = 0, [], [(caller_relation, caller_id)]),
    arrayMap(link -> (3, link), sent)
  ) AS item
)`;
}

/** Of each identity the span that is kept, its peer, and whether its id is a client's or producer's too. */
function kept(source: string): string {
  return `(
  SELECT *
  FROM
  (
    SELECT
      *,
      row_number() OVER (
        PARTITION BY tenant, trace, span, kind
        ORDER BY IngestedAt, Partition, Offset, ItemIndex
      ) AS place,
      max(kind IN (3, 4)) OVER (PARTITION BY tenant, trace, span) AS has_near
    FROM
    (
      SELECT
        TenantId AS tenant,
        TraceId AS trace,
        SpanId AS span,
        ${kind} AS kind,
        ServiceName AS service,
        StatusCode = 'Error' AS is_error,
        Duration AS duration,
        ParentSpanId AS parent,
        arrayZip(\`Links.TraceId\`, \`Links.SpanId\`) AS links,
        SpanAttributes['peer.service'] AS own_name,
        ${joined(either('db.system.name', 'db.system'), either('db.namespace', 'db.name'))} AS database,
        ${joined(
          `SpanAttributes['messaging.system']`,
          either('messaging.destination.name', 'messaging.destination'),
        )} AS messaging,
        ${either('server.address', 'net.peer.name')} AS server,
        if(kind IN (3, 4, 5), ${peerKind}, '') AS peer_kind,
        if(own_name != '', own_name, multiIf(
          peer_kind = 'database', database, peer_kind = 'messaging_system', messaging, server
        )) AS peer,
        IngestedAt, Partition, Offset, ItemIndex
      FROM ${source}
    )
  )
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
