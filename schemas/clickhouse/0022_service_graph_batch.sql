-- The batch layer's exact service graph of one day (UTC), by run: calls between services, and between a
-- service and a node that has no spans of its own. See service_stats_batch, and docs/GRAPH.md.
-- An edge past TIDEMARK_BATCH_EDGES_MAX counts under the node `__overflow__`.
CREATE TABLE IF NOT EXISTS service_graph_batch
(
    `date` Date,
    `run_id` String,
    `tenant_id` LowCardinality(String),
    `caller` LowCardinality(String),
    `callee` LowCardinality(String),
    `connection_type` LowCardinality(String) COMMENT 'empty (HTTP, RPC), messaging_system, database or virtual_node',
    `virtual_side` LowCardinality(String) COMMENT 'caller or callee: the node without spans of its own; else empty',
    `calls` UInt64 COMMENT 'after deduplication',
    `errors` UInt64 COMMENT 'calls that failed on either side',
    `p50_ms` Float64 COMMENT 'quantiles of the callee''s durations; of the caller''s where the callee is virtual',
    `p95_ms` Float64,
    `p99_ms` Float64,
    `min_ms` Float64,
    `max_ms` Float64,
    `mean_ms` Float64
)
ENGINE = MergeTree
PARTITION BY (date, run_id)
ORDER BY (tenant_id, caller, callee, connection_type, virtual_side)
SETTINGS index_granularity = 1024;

-- The rows of the runs that are current: what to read.
CREATE VIEW IF NOT EXISTS service_graph AS
SELECT *
FROM service_graph_batch
WHERE (date, run_id) IN
(
    SELECT toDate(period_start, 'UTC'), run_id
    FROM batch_current
    WHERE period_kind = 'day' AND signal = 'traces'
);
