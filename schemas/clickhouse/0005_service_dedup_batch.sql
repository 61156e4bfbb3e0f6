-- What deduplication removed on one day (UTC), by run and service. See service_stats_batch.
CREATE TABLE IF NOT EXISTS service_dedup_batch
(
    `date` Date,
    `run_id` String,
    `tenant_id` LowCardinality(String),
    `service_name` LowCardinality(String),
    `raw_span_count` UInt64,
    `deduped_span_count` UInt64,
    `duplicate_span_count` UInt64
)
ENGINE = MergeTree
PARTITION BY (date, run_id)
ORDER BY (tenant_id, service_name)
SETTINGS index_granularity = 1024;
