-- The speed layer's spans as far as the service graph needs them: some 15 to 30 bytes a span, ids most of all.
-- Who called whom is known only once the spans of a trace are put side by side, which came in many inserts:
-- service_graph_merged does it when it is read. Levels 0 to n have 2^n in 65,536 of all traces, so the
-- first few levels are a sample of whole traces, of whatever size. docs/GRAPH.md has the rules.
CREATE TABLE IF NOT EXISTS service_graph_realtime
(
    `date` Date,
    `tenant_id` LowCardinality(String),
    `level` UInt8 COMMENT '0 to 16, by the hash of the trace id: each from 2 on has twice the traces of the one before',
    `trace` UInt64 COMMENT 'hash of the trace id',
    `span` UInt64,
    `parent` UInt64 COMMENT '0 for none',
    `kind` UInt8 COMMENT 'number in OTLP; 6 for others',
    `service_name` LowCardinality(String),
    `is_error` Bool,
    `duration` UInt64 CODEC(T64, ZSTD(1)),
    `peer_kind` LowCardinality(String) COMMENT 'database, messaging_system or virtual_node, of clients, producers and consumers',
    `peer` LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY date
ORDER BY (tenant_id, date, level, trace)
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS service_graph_realtime_mv TO service_graph_realtime AS
WITH
    transform(
        toString(SpanKind),
        ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'],
        [0, 1, 2, 3, 4, 5],
        6
    ) AS number,
    number IN (3, 4, 5) AS has_peer,
    SpanAttributes['peer.service'] AS own,
    SpanAttributes['db.system.name'] AS system,
    SpanAttributes['db.namespace'] AS space,
    SpanAttributes['messaging.destination.name'] AS queue,
    SpanAttributes['server.address'] AS address,
    arrayStringConcat(arrayFilter(name -> name != '', [
        if(system != '', system, SpanAttributes['db.system']),
        if(space != '', space, SpanAttributes['db.name'])
    ]), '/') AS database,
    arrayStringConcat(arrayFilter(name -> name != '', [
        SpanAttributes['messaging.system'],
        if(queue != '', queue, SpanAttributes['messaging.destination'])
    ]), '/') AS messaging,
    if(address != '', address, SpanAttributes['net.peer.name']) AS node
SELECT
    toDate(Timestamp, 'UTC') AS date,
    TenantId AS tenant_id,
    if(trace % 65536 = 0, 0, toUInt8(floor(log2(trace % 65536))) + 1) AS level,
    sipHash64(TraceId) AS trace,
    reinterpretAsUInt64(unhex(SpanId)) AS span,
    reinterpretAsUInt64(unhex(ParentSpanId)) AS parent,
    toUInt8(number) AS kind,
    ServiceName AS service_name,
    StatusCode = 'Error' AS is_error,
    Duration AS duration,
    if(has_peer, multiIf(
        database != '', 'database',
        messaging != '', 'messaging_system',
        own != '' OR node != '', 'virtual_node',
        ''
    ), '') AS peer_kind,
    if(has_peer, multiIf(
        own != '', own,
        database != '', database,
        messaging != '', messaging,
        node
    ), '') AS peer
FROM otel_traces;

-- What users read: the graph of a day (UTC) comes from the batch layer exactly when a run is current for it,
-- else from the speed layer: of all its traces while the tenant has about 250,000 spans that day at most, else of
-- as many levels as have so many. Then calls and errors are scaled up; sample_share says by how much. Of
-- duplicates one counts. Spans are joined by their parents alone: links are the batch's.
CREATE VIEW IF NOT EXISTS service_graph_merged AS
WITH
    (
        SELECT groupArray((toDate(period_start, 'UTC'), run_id, is_final, watermark))
        FROM batch_current
        WHERE period_kind = 'day' AND signal = 'traces'
    ) AS current,
    (
        SELECT groupArray((tenant_id, date, levels))
        FROM
        (
            -- Levels 0 to 6 have one trace in 1,024.
            SELECT
                tenant_id,
                date,
                toUInt8(greatest(1, 17 + floor(log2(250000 / (1024 * count()))))) AS levels
            FROM service_graph_realtime
            WHERE level <= 6 AND date NOT IN (SELECT arrayJoin(arrayMap(run -> run.1, current)))
            GROUP BY tenant_id, date
            HAVING 1024 * count() > 250000
        )
    ) AS samples
SELECT
    date,
    tenant_id,
    caller,
    callee,
    connection_type,
    virtual_side,
    'batch' AS layer,
    run_id,
    run.3 AS is_final,
    run.4 AS watermark,
    1. AS sample_share,
    calls,
    errors,
    p50_ms,
    p95_ms,
    p99_ms,
    min_ms,
    max_ms,
    mean_ms
FROM service_graph_batch
INNER JOIN (SELECT arrayJoin(current) AS run, run.1 AS run_date, run.2 AS run_of_date) AS runs
    ON date = run_date AND run_id = run_of_date
WHERE (date, run_id) IN (SELECT arrayJoin(arrayMap(run -> (run.1, run.2), current)))
UNION ALL
SELECT
    date,
    tenant_id,
    edge.1 AS caller,
    edge.2 AS callee,
    edge.3 AS connection_type,
    edge.4 AS virtual_side,
    'realtime' AS layer,
    '' AS run_id,
    false AS is_final,
    toDateTime64(0, 3, 'UTC') AS watermark,
    if(
        has(arrayMap(sample -> (sample.1, sample.2), samples), (tenant_id, date)),
        exp2(arrayFirst(sample -> sample.1 = tenant_id AND sample.2 = date, samples).3 - 17),
        1
    ) AS sample_share,
    toUInt64(round(count() / sample_share)) AS calls,
    toUInt64(round(countIf(edge.5) / sample_share)) AS errors,
    quantilesExactInclusive(0.5, 0.95, 0.99)(edge.6)[1] / 1e6 AS p50_ms,
    quantilesExactInclusive(0.5, 0.95, 0.99)(edge.6)[2] / 1e6 AS p95_ms,
    quantilesExactInclusive(0.5, 0.95, 0.99)(edge.6)[3] / 1e6 AS p99_ms,
    min(edge.6) / 1e6 AS min_ms,
    max(edge.6) / 1e6 AS max_ms,
    avg(edge.6) / 1e6 AS mean_ms
FROM
(
    SELECT
        date,
        tenant_id,
        arrayConcat(
            arrayMap(
                one -> (
                    parent.2,
                    one.2,
                    if(parent.1 = 4 OR one.1 = 5, 'messaging_system', ''),
                    '',
                    one.3 OR parent.1 IN (3, 4) AND parent.3,
                    one.4
                ),
                called
            ),
            arrayMap(
                one -> (
                    near[1].2,
                    one.2,
                    if(near[1].1 = 4 OR one.1 = 5, 'messaging_system', ''),
                    '',
                    one.3 OR near[1].3,
                    one.4
                ),
                answers
            ),
            arrayMap(
                one -> (one.2, one.7, one.6, 'callee', one.3, one.4),
                arrayFilter(
                    one -> one.6 != ''
                        AND NOT (one.1 = parent.1 AND (notEmpty(called) OR is_nested))
                        AND NOT (one.1 = near[1].1 AND notEmpty(answers)),
                    near
                )
            ),
            arrayMap(
                one -> if(
                    one.1 = 5 AND one.6 != '',
                    (one.7, one.2, if(one.6 = 'messaging_system', one.6, 'virtual_node'), 'caller', one.3, one.4),
                    ('user', one.2, 'virtual_node', 'caller', one.3, one.4)
                ),
                arrayFilter(one -> one.1 IN (2, 5) AND empty(near) AND one.5 = 0, selves)
            )
        ) AS edges
    FROM
    (
        SELECT
            date,
            tenant_id,
            selves,
            parent,
            near,
            arrayFilter(
                one -> notEmpty(selves) AND (parent.2 != one.2 OR parent.1 IN (3, 4) AND one.1 IN (2, 5)),
                children
            ) AS called,
            arrayFilter(one -> notEmpty(near) AND one.1 IN (2, 5), selves) AS answers,
            arrayExists(one -> one.1 IN (3, 4) AND one.2 = parent.2, children) AS is_nested
        FROM
        (
            -- Of several spans with one id the far side is the children's parent, and the near side calls it.
            SELECT
                date,
                tenant_id,
                selves,
                children,
                arraySort(
                    one -> transform(one.1, [2, 5, 1, 0, 6, 3, 4], [0, 1, 2, 3, 4, 5, 6], 7),
                    selves
                )[1] AS parent,
                arraySort(one -> one.1, arrayFilter(one -> one.1 IN (3, 4), selves)) AS near
            FROM
            (
                -- All that has to do with one span id: the spans that have it, and their children.
                SELECT
                    date,
                    tenant_id,
                    groupArrayArray(item.2) AS selves,
                    groupArrayArray(item.3) AS children
                FROM
                (
                    SELECT
                        date,
                        tenant_id,
                        trace,
                        arrayConcat(
                            [(span, spans, arraySlice(spans, 1, 0))],
                            arrayMap(
                                one -> (one.5, arraySlice(spans, 1, 0), [one]),
                                arrayFilter(
                                    one -> one.5 != 0 AND one.5 != span AND NOT
                                        (one.1 IN (2, 5) AND arrayExists(other -> other.1 IN (3, 4), spans)),
                                    spans
                                )
                            )
                        ) AS items
                    FROM
                    (
                        -- The spans of one id, one of each kind: that is their identity.
                        SELECT
                            date,
                            tenant_id,
                            trace,
                            span,
                            arrayFilter(
                                (one, place) -> place = 1 OR copies[place - 1].1 != one.1,
                                copies,
                                arrayEnumerate(copies)
                            ) AS spans
                        FROM
                        (
                            SELECT
                                date,
                                tenant_id,
                                trace,
                                span,
                                arraySort(groupArray((
                                    kind,
                                    toString(service_name),
                                    is_error,
                                    duration,
                                    parent,
                                    toString(peer_kind),
                                    toString(peer)
                                ))) AS copies
                            FROM service_graph_realtime
                            WHERE date NOT IN (SELECT arrayJoin(arrayMap(run -> run.1, current)))
                                AND
                                (
                                    (tenant_id, date) NOT IN
                                    (
                                        SELECT arrayJoin(arrayMap(sample -> (sample.1, sample.2), samples))
                                    )
                                    OR (tenant_id, date, level) IN
                                    (
                                        SELECT arrayJoin(arrayFlatten(arrayMap(
                                            sample -> arrayMap(
                                                level -> (sample.1, sample.2, level),
                                                range(sample.3)
                                            ),
                                            samples
                                        )))
                                    )
                                )
                            GROUP BY date, tenant_id, trace, span
                        )
                    )
                )
                ARRAY JOIN items AS item
                GROUP BY date, tenant_id, trace, item.1
            )
        )
    )
)
ARRAY JOIN edges AS edge
GROUP BY date, tenant_id, caller, callee, connection_type, virtual_side;
