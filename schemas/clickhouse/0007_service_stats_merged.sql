-- What users read: a day (UTC) comes from the batch layer exactly when a run is current for it, else from
-- the speed layer. The current runs are read once, as a scalar (`current`), which both halves
-- share: a run that is published while a query runs is in both halves of it or in neither. IN
-- prunes the partitions of other runs and days; the join brings the run's own columns.
CREATE VIEW IF NOT EXISTS service_stats_merged AS
WITH
    (
        SELECT groupArray((toDate(period_start, 'UTC'), run_id, is_final, watermark))
        FROM batch_current
        WHERE period_kind = 'day'
    ) AS current
SELECT
    date,
    tenant_id,
    service_name,
    operation_name,
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
GROUP BY date, tenant_id, service_name, operation_name;
