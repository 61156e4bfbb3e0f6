-- The batch layer's exact figures of one day (UTC), by run. A run counts once `batch_runs` names it.
-- An unfinished run is taken back with ALTER TABLE service_stats_batch DROP PARTITION (date, run_id).
CREATE TABLE IF NOT EXISTS service_stats_batch
(
    `date` Date,
    `run_id` String,
    `tenant_id` LowCardinality(String),
    `service_name` LowCardinality(String),
    `operation_name` LowCardinality(String),
    `total_spans` UInt64,
    `duplicate_spans` UInt64,
    `p50_ms` Float64,
    `p95_ms` Float64,
    `p99_ms` Float64,
    `min_ms` Float64,
    `max_ms` Float64,
    `mean_ms` Float64,
    `error_count` UInt64,
    `unique_traces` UInt64,
    `conflict_spans` UInt64
)
ENGINE = MergeTree
PARTITION BY (date, run_id)
ORDER BY (tenant_id, service_name, operation_name)
SETTINGS index_granularity = 1024;
