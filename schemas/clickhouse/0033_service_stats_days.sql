-- The figures of days in few parts: the rows of service_stats_batch once more, of all runs together. There each
-- run of a day is a partition, so that it comes and goes as a whole; but a month is thirty parts then, and
-- to open one costs more than to read its thousand rows. Here parts of a month are merged. A view fills it;
-- when a run is removed, its rows are removed here as well.
CREATE TABLE IF NOT EXISTS service_stats_days
(
    `date` Date,
    `run_id` String,
    `tenant_id` LowCardinality(String),
    `service_name` LowCardinality(String),
    `operation_name` LowCardinality(String),
    `span_kind` LowCardinality(String),
    `total_spans` UInt64,
    `p50_ms` Float64,
    `p95_ms` Float64,
    `p99_ms` Float64,
    `error_count` UInt64,
    `unique_traces` UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(date)
ORDER BY (date, run_id, tenant_id, service_name, operation_name, span_kind)
SETTINGS index_granularity = 1024;

CREATE MATERIALIZED VIEW IF NOT EXISTS service_stats_days_mv TO service_stats_days AS
SELECT
    date,
    run_id,
    tenant_id,
    service_name,
    operation_name,
    span_kind,
    total_spans,
    p50_ms,
    p95_ms,
    p99_ms,
    error_count,
    unique_traces
FROM service_stats_batch;

-- What was published before. Rows that are here already came through the view, or by an earlier try of this.
INSERT INTO service_stats_days
SELECT
    date,
    run_id,
    tenant_id,
    service_name,
    operation_name,
    span_kind,
    total_spans,
    p50_ms,
    p95_ms,
    p99_ms,
    error_count,
    unique_traces
FROM service_stats_batch
WHERE sipHash128(date, run_id, tenant_id, service_name, operation_name, span_kind) NOT IN
(
    SELECT sipHash128(date, run_id, tenant_id, service_name, operation_name, span_kind)
    FROM service_stats_days
);

-- Counts of live days, a few rows for each part: a query that asks for counts alone reads these instead of minutes.
-- Parts that are merged have theirs made anew. Parts of before have none and are read as they were.
ALTER TABLE service_stats_realtime MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild';

ALTER TABLE service_stats_realtime ADD PROJECTION IF NOT EXISTS day_counts
(
    SELECT
        toDate(minute, 'UTC'),
        tenant_id,
        service_name,
        operation_name,
        span_kind,
        sum(total_spans),
        sum(error_count)
    GROUP BY
        toDate(minute, 'UTC'),
        tenant_id,
        service_name,
        operation_name,
        span_kind
);

-- What users read, as before: a day (UTC) comes from the batch layer exactly when a run is current for it, else
-- from the speed layer, and the current runs are read once for both halves. Most of the time of a query
-- is its planning, so: the runs come straight from batch_runs (which is current is said as in
-- batch_current), and what a run says of its day is looked up by the date instead of joined.
CREATE OR REPLACE VIEW service_stats_merged AS
WITH
    (
        SELECT (
            groupArray(toDate(period_start, 'UTC')),
            groupArray(run_id),
            groupArray(is_final),
            groupArray(watermark)
        )
        FROM
        (
            SELECT period_start, run_id, is_final, watermark
            FROM batch_runs
            WHERE period_kind = 'day' AND signal = 'traces'
            ORDER BY published_at DESC, run_id DESC
            LIMIT 1 BY period_start
        )
    ) AS current
SELECT
    date,
    tenant_id,
    service_name,
    operation_name,
    span_kind,
    'batch' AS layer,
    run_id,
    transform(date, current.1, current.3, false) AS is_final,
    transform(date, current.1, current.4, toDateTime64(0, 3, 'UTC')) AS watermark,
    total_spans,
    p50_ms,
    p95_ms,
    p99_ms,
    error_count,
    unique_traces
FROM service_stats_days
WHERE (date, run_id) IN (SELECT arrayJoin(arrayZip(current.1, current.2)))
UNION ALL
SELECT
    toDate(minute, 'UTC') AS date,
    tenant_id,
    service_name,
    operation_name,
    span_kind,
    'realtime' AS layer,
    '' AS run_id,
    false AS is_final,
    toDateTime64(0, 3, 'UTC') AS watermark,
    sum(total_spans) AS total_spans,
    (quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_quantiles) AS quantiles)[1] / 1e6 AS p50_ms,
    quantiles[2] / 1e6 AS p95_ms,
    quantiles[3] / 1e6 AS p99_ms,
    sum(error_count) AS error_count,
    uniqCombined64Merge(14)(unique_traces) AS unique_traces
FROM service_stats_realtime
WHERE toDate(minute, 'UTC') NOT IN (SELECT arrayJoin(current.1))
GROUP BY date, tenant_id, service_name, operation_name, span_kind;
