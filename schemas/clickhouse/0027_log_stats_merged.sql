-- The speed layer's rollup of log records, a row per minute (UTC), tenant, service and severity. It counts
-- what came in, duplicates included. unique_bodies is HyperLogLog of 2^12 cells: standard error 1.6 %.
CREATE TABLE IF NOT EXISTS log_stats_realtime
(
    `minute` DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    `tenant_id` LowCardinality(String),
    `service_name` LowCardinality(String),
    `severity_number` Int32,
    `severity_text` LowCardinality(String),
    `total_records` SimpleAggregateFunction(sum, UInt64),
    `body_bytes` SimpleAggregateFunction(sum, UInt64),
    `unique_bodies` AggregateFunction(uniqCombined64(12), String) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(minute, 'UTC')
ORDER BY (tenant_id, service_name, minute, severity_number, severity_text)
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS log_stats_realtime_mv TO log_stats_realtime AS
SELECT
    toStartOfMinute(toDateTime(Timestamp, 'UTC')) AS minute,
    TenantId AS tenant_id,
    ServiceName AS service_name,
    toInt32(SeverityNumber) AS severity_number,
    SeverityText AS severity_text,
    count() AS total_records,
    sum(length(Body)) AS body_bytes,
    uniqCombined64State(12)(Body) AS unique_bodies
FROM otel_logs
GROUP BY minute, tenant_id, service_name, severity_number, severity_text;

-- What users read: the hours of a day (UTC) come from the batch layer exactly when a run is current for the
-- day, else from the speed layer. As service_stats_merged, which see.
CREATE VIEW IF NOT EXISTS log_stats_merged AS
WITH
    (
        SELECT groupArray((toDate(period_start, 'UTC'), run_id, is_final, watermark))
        FROM batch_current
        WHERE period_kind = 'day' AND signal = 'logs'
    ) AS current
SELECT
    date,
    hour,
    tenant_id,
    service_name,
    severity_number,
    severity_text,
    'batch' AS layer,
    run_id,
    run.3 AS is_final,
    run.4 AS watermark,
    total_records,
    body_bytes,
    unique_bodies
FROM log_stats_batch
INNER JOIN (SELECT arrayJoin(current) AS run, run.1 AS run_date, run.2 AS run_of_date) AS runs
    ON date = run_date AND run_id = run_of_date
WHERE (date, run_id) IN (SELECT arrayJoin(arrayMap(run -> (run.1, run.2), current)))
UNION ALL
SELECT
    toDate(minute, 'UTC') AS date,
    toStartOfHour(minute) AS hour,
    tenant_id,
    service_name,
    severity_number,
    severity_text,
    'realtime' AS layer,
    '' AS run_id,
    false AS is_final,
    toDateTime64(0, 3, 'UTC') AS watermark,
    sum(total_records) AS total_records,
    sum(body_bytes) AS body_bytes,
    uniqCombined64Merge(12)(unique_bodies) AS unique_bodies
FROM log_stats_realtime
WHERE toDate(minute, 'UTC') NOT IN (SELECT arrayJoin(arrayMap(run -> run.1, current)))
GROUP BY date, hour, tenant_id, service_name, severity_number, severity_text;
