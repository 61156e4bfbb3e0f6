-- What batch corrected: batch beside realtime for every day that has a current run. Relative errors
-- are realtime / batch - 1, and NULL where one side has nothing to compare.
CREATE VIEW IF NOT EXISTS service_drift AS
WITH
    (
        SELECT groupArray((toDate(period_start, 'UTC'), run_id))
        FROM batch_current
        WHERE period_kind = 'day'
    ) AS current
SELECT
    date,
    tenant_id,
    service_name,
    operation_name,
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
    GROUP BY date, tenant_id, service_name, operation_name
)
GROUP BY date, tenant_id, service_name, operation_name;
