-- The batch layer's exact figures of one hour (UTC), by run: of the spans that began in it. See
-- service_stats_batch. Traces go over hours: unique_traces of hours do not add up to those of a day.
-- There are hours of traces only, because log_stats_batch and metric_stats_batch have them in their days.
CREATE TABLE IF NOT EXISTS service_stats_hourly_batch
(
    `hour` DateTime('UTC'),
    `run_id` String,
    `tenant_id` LowCardinality(String),
    `service_name` LowCardinality(String),
    `operation_name` LowCardinality(String),
    `span_kind` LowCardinality(String),
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
    `conflict_spans` UInt64,
    `quantile_state` Tuple(buckets Array(UInt16), counts Array(UInt64)) CODEC(ZSTD(3))
)
ENGINE = MergeTree
PARTITION BY (hour, run_id)
ORDER BY (tenant_id, service_name, operation_name, span_kind)
SETTINGS index_granularity = 1024;

-- What users read: an hour (UTC) comes from the batch layer exactly when a run is current for it, else from
-- the speed layer's minutes. One scalar of current runs for both halves, as in service_stats_merged.
CREATE VIEW IF NOT EXISTS service_stats_hourly_merged AS
WITH
    (
        SELECT groupArray((period_start, run_id, is_final, watermark))
        FROM batch_current
        WHERE period_kind = 'hour' AND signal = 'traces'
    ) AS current
SELECT
    hour,
    tenant_id,
    service_name,
    operation_name,
    span_kind,
    'batch' AS layer,
    run_id,
    run.3 AS is_final,
    run.4 AS watermark,
    total_spans,
    p50_ms,
    p95_ms,
    p99_ms,
    error_count,
    unique_traces
FROM service_stats_hourly_batch
INNER JOIN (SELECT arrayJoin(current) AS run, run.1 AS run_hour, run.2 AS run_of_hour) AS runs
    ON hour = run_hour AND run_id = run_of_hour
WHERE (hour, run_id) IN (SELECT arrayJoin(arrayMap(run -> (run.1, run.2), current)))
UNION ALL
SELECT
    toStartOfHour(minute) AS hour,
    tenant_id,
    service_name,
    operation_name,
    span_kind,
    'realtime' AS layer,
    '' AS run_id,
    false AS is_final,
    toDateTime64(0, 3, 'UTC') AS watermark,
    sum(total_spans) AS total_spans,
    quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_quantiles)[1] / 1e6 AS p50_ms,
    quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_quantiles)[2] / 1e6 AS p95_ms,
    quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_quantiles)[3] / 1e6 AS p99_ms,
    sum(error_count) AS error_count,
    uniqCombined64Merge(14)(unique_traces) AS unique_traces
FROM service_stats_realtime
WHERE toStartOfHour(minute) NOT IN (SELECT arrayJoin(arrayMap(run -> run.1, current)))
GROUP BY hour, tenant_id, service_name, operation_name, span_kind;
