-- Figures are by span kind too: of one operation, the client's spans and the server's are two things. Rows
-- that were there before have an empty kind, and a day's runs of before keep it until it is run again.
ALTER TABLE service_stats_batch
    ADD COLUMN IF NOT EXISTS `span_kind` LowCardinality(String) COMMENT 'as in otel_traces: Server, Client, …' AFTER operation_name,
    MODIFY ORDER BY (tenant_id, service_name, operation_name, span_kind);

ALTER TABLE service_stats_realtime
    ADD COLUMN IF NOT EXISTS `span_kind` LowCardinality(String) COMMENT 'as in otel_traces: Server, Client, …' AFTER operation_name,
    MODIFY ORDER BY (tenant_id, service_name, operation_name, minute, span_kind);

ALTER TABLE service_stats_realtime_mv MODIFY QUERY
SELECT
    toStartOfMinute(toDateTime(Timestamp, 'UTC')) AS minute,
    TenantId AS tenant_id,
    ServiceName AS service_name,
    SpanName AS operation_name,
    SpanKind AS span_kind,
    count() AS total_spans,
    countIf(StatusCode = 'Error') AS error_count,
    min(Duration) AS duration_min,
    max(Duration) AS duration_max,
    sum(toFloat64(Duration)) AS duration_sum,
    quantilesTDigestState(0.5, 0.95, 0.99)(Duration) AS duration_quantiles,
    uniqCombined64State(14)(TraceId) AS unique_traces
FROM otel_traces
GROUP BY minute, tenant_id, service_name, operation_name, span_kind;

-- service_stats_merged and service_drift as they were, by kind.
CREATE OR REPLACE VIEW service_stats_merged AS
WITH
    (
        SELECT groupArray((toDate(period_start, 'UTC'), run_id, is_final, watermark))
        FROM batch_current
        WHERE period_kind = 'day' AND signal = 'traces'
    ) AS current
SELECT
    date,
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
FROM service_stats_batch
INNER JOIN (SELECT arrayJoin(current) AS run, run.1 AS run_date, run.2 AS run_of_date) AS runs
    ON date = run_date AND run_id = run_of_date
WHERE (date, run_id) IN (SELECT arrayJoin(arrayMap(run -> (run.1, run.2), current)))
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
    quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_quantiles)[1] / 1e6 AS p50_ms,
    quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_quantiles)[2] / 1e6 AS p95_ms,
    quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_quantiles)[3] / 1e6 AS p99_ms,
    sum(error_count) AS error_count,
    uniqCombined64Merge(14)(unique_traces) AS unique_traces
FROM service_stats_realtime
WHERE toDate(minute, 'UTC') NOT IN (SELECT arrayJoin(arrayMap(run -> run.1, current)))
GROUP BY date, tenant_id, service_name, operation_name, span_kind;

CREATE OR REPLACE VIEW service_drift AS
WITH
    (
        SELECT groupArray((toDate(period_start, 'UTC'), run_id))
        FROM batch_current
        WHERE period_kind = 'day' AND signal = 'traces'
    ) AS current
SELECT
    date,
    tenant_id,
    service_name,
    operation_name,
    span_kind,
    max(run) AS run_id,
    sum(batch_spans) AS batch_total_spans,
    sum(realtime_spans) AS realtime_total_spans,
    sum(duplicates) AS duplicate_spans,
    sum(batch_errors) AS batch_error_count,
    sum(realtime_errors) AS realtime_error_count,
    max(batch_quantiles.1) AS batch_p50_ms,
    max(batch_quantiles.2) AS batch_p95_ms,
    max(batch_quantiles.3) AS batch_p99_ms,
    max(realtime_quantiles.1) AS realtime_p50_ms,
    max(realtime_quantiles.2) AS realtime_p95_ms,
    max(realtime_quantiles.3) AS realtime_p99_ms,
    realtime_total_spans / nullIf(batch_total_spans, 0) - 1 AS total_spans_error,
    realtime_error_count / nullIf(batch_error_count, 0) - 1 AS error_count_error,
    if(realtime_total_spans = 0, NULL, realtime_p50_ms / nullIf(batch_p50_ms, 0) - 1) AS p50_error,
    if(realtime_total_spans = 0, NULL, realtime_p95_ms / nullIf(batch_p95_ms, 0) - 1) AS p95_error,
    if(realtime_total_spans = 0, NULL, realtime_p99_ms / nullIf(batch_p99_ms, 0) - 1) AS p99_error
FROM
(
    SELECT
        date,
        tenant_id,
        service_name,
        operation_name,
        span_kind,
        run_id AS run,
        total_spans AS batch_spans,
        0 AS realtime_spans,
        duplicate_spans AS duplicates,
        error_count AS batch_errors,
        0 AS realtime_errors,
        (p50_ms, p95_ms, p99_ms) AS batch_quantiles,
        (0., 0., 0.) AS realtime_quantiles
    FROM service_stats_batch
    WHERE (date, run_id) IN (SELECT arrayJoin(current))
    UNION ALL
    SELECT
        toDate(minute, 'UTC') AS date,
        tenant_id,
        service_name,
        operation_name,
        span_kind,
        '' AS run,
        0 AS batch_spans,
        sum(total_spans) AS realtime_spans,
        0 AS duplicates,
        0 AS batch_errors,
        sum(error_count) AS realtime_errors,
        (0., 0., 0.) AS batch_quantiles,
        (
            quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_quantiles)[1] / 1e6,
            quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_quantiles)[2] / 1e6,
            quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_quantiles)[3] / 1e6
        ) AS realtime_quantiles
    FROM service_stats_realtime
    WHERE toDate(minute, 'UTC') IN (SELECT arrayJoin(arrayMap(run -> run.1, current)))
    GROUP BY date, tenant_id, service_name, operation_name, span_kind
)
GROUP BY date, tenant_id, service_name, operation_name, span_kind;
