-- The speed layer's rollup of data points, a row per hour (UTC), tenant, service, metric and series. It counts
-- what came in, duplicates included. A series is here what is one in the archive (resource, scope,
-- metric and attributes), but its id is another than the batch's: speed tables have attributes as texts alone.
-- Quantiles are t-digests of the points' values, in single precision.
CREATE TABLE IF NOT EXISTS metric_stats_realtime
(
    `hour` DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    `tenant_id` LowCardinality(String),
    `service_name` LowCardinality(String),
    `metric_name` LowCardinality(String),
    `metric_type` LowCardinality(String) COMMENT 'Gauge, Sum, Histogram, ExponentialHistogram or Summary',
    `series` FixedString(16),
    `metric_unit` SimpleAggregateFunction(any, String),
    `aggregation_temporality` SimpleAggregateFunction(any, Int32),
    `is_monotonic` SimpleAggregateFunction(any, Bool),
    `scope_name` SimpleAggregateFunction(any, String),
    `scope_version` SimpleAggregateFunction(any, String),
    `attributes` SimpleAggregateFunction(any, Map(String, String)) CODEC(ZSTD(1)),
    `resource_attributes` SimpleAggregateFunction(any, Map(String, String)) CODEC(ZSTD(1)),
    `points` SimpleAggregateFunction(sum, UInt64),
    `unrecorded_points` SimpleAggregateFunction(sum, UInt64) COMMENT 'points that say that nothing was recorded',
    `nan_points` SimpleAggregateFunction(sum, UInt64) COMMENT 'points whose value is NaN: in no figure but this one',
    `value_points` SimpleAggregateFunction(sum, UInt64) COMMENT 'points that have a number',
    `value_sum` SimpleAggregateFunction(sum, Float64),
    `value_min` SimpleAggregateFunction(min, Float64) COMMENT 'inf when no point has a number',
    `value_max` SimpleAggregateFunction(max, Float64),
    `value_last` AggregateFunction(argMaxIf, Float64, Tuple(DateTime64(9), DateTime64(9)), UInt8) CODEC(ZSTD(1)),
    `value_quantiles` AggregateFunction(quantilesTDigestIf(0.5, 0.95, 0.99), Float64, UInt8) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(hour, 'UTC')
ORDER BY (tenant_id, service_name, metric_name, metric_type, series, hour)
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stats_realtime_gauge_mv TO metric_stats_realtime AS
SELECT
    toStartOfHour(toDateTime(TimeUnix, 'UTC')) AS hour,
    TenantId AS tenant_id,
    ServiceName AS service_name,
    MetricName AS metric_name,
    'Gauge' AS metric_type,
    sipHash128(
        mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes),
        MetricName, MetricUnit, toInt32(0), false, mapSort(Attributes)
    ) AS series,
    any(MetricUnit) AS metric_unit,
    any(toInt32(0)) AS aggregation_temporality,
    any(false) AS is_monotonic,
    any(ScopeName) AS scope_name,
    any(ScopeVersion) AS scope_version,
    any(mapSort(Attributes)) AS attributes,
    any(mapSort(ResourceAttributes)) AS resource_attributes,
    count() AS points,
    countIf(bitAnd(Flags, 1) = 1 AS is_unrecorded) AS unrecorded_points,
    countIf(NOT is_unrecorded AND isNaN(Value)) AS nan_points,
    countIf(NOT is_unrecorded AND NOT isNaN(Value) AS has_value) AS value_points,
    sumIf(Value, has_value) AS value_sum,
    min(if(has_value, Value, inf)) AS value_min,
    max(if(has_value, Value, -inf)) AS value_max,
    argMaxIfState(Value, (toDateTime64(TimeUnix, 9), toDateTime64(StartTimeUnix, 9)), has_value) AS value_last,
    quantilesTDigestIfState(0.5, 0.95, 0.99)(Value, has_value) AS value_quantiles
FROM otel_metrics_gauge
GROUP BY hour, tenant_id, service_name, metric_name, series;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stats_realtime_sum_mv TO metric_stats_realtime AS
SELECT
    toStartOfHour(toDateTime(TimeUnix, 'UTC')) AS hour,
    TenantId AS tenant_id,
    ServiceName AS service_name,
    MetricName AS metric_name,
    'Sum' AS metric_type,
    sipHash128(
        mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes),
        MetricName, MetricUnit, AggregationTemporality, IsMonotonic, mapSort(Attributes)
    ) AS series,
    any(MetricUnit) AS metric_unit,
    any(AggregationTemporality) AS aggregation_temporality,
    any(IsMonotonic) AS is_monotonic,
    any(ScopeName) AS scope_name,
    any(ScopeVersion) AS scope_version,
    any(mapSort(Attributes)) AS attributes,
    any(mapSort(ResourceAttributes)) AS resource_attributes,
    count() AS points,
    countIf(bitAnd(Flags, 1) = 1 AS is_unrecorded) AS unrecorded_points,
    countIf(NOT is_unrecorded AND isNaN(Value)) AS nan_points,
    countIf(NOT is_unrecorded AND NOT isNaN(Value) AS has_value) AS value_points,
    sumIf(Value, has_value) AS value_sum,
    min(if(has_value, Value, inf)) AS value_min,
    max(if(has_value, Value, -inf)) AS value_max,
    argMaxIfState(Value, (toDateTime64(TimeUnix, 9), toDateTime64(StartTimeUnix, 9)), has_value) AS value_last,
    quantilesTDigestIfState(0.5, 0.95, 0.99)(Value, has_value) AS value_quantiles
FROM otel_metrics_sum
GROUP BY hour, tenant_id, service_name, metric_name, series;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stats_realtime_histogram_mv TO metric_stats_realtime AS
SELECT
    toStartOfHour(toDateTime(TimeUnix, 'UTC')) AS hour,
    TenantId AS tenant_id,
    ServiceName AS service_name,
    MetricName AS metric_name,
    'Histogram' AS metric_type,
    sipHash128(
        mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes),
        MetricName, MetricUnit, AggregationTemporality, false, mapSort(Attributes)
    ) AS series,
    any(MetricUnit) AS metric_unit,
    any(AggregationTemporality) AS aggregation_temporality,
    any(false) AS is_monotonic,
    any(ScopeName) AS scope_name,
    any(ScopeVersion) AS scope_version,
    any(mapSort(Attributes)) AS attributes,
    any(mapSort(ResourceAttributes)) AS resource_attributes,
    count() AS points,
    countIf(bitAnd(Flags, 1) = 1 AS is_unrecorded) AS unrecorded_points,
    countIf(false) AS nan_points,
    countIf(false AS has_value) AS value_points,
    sumIf(toFloat64(0), has_value) AS value_sum,
    min(if(has_value, toFloat64(0), inf)) AS value_min,
    max(if(has_value, toFloat64(0), -inf)) AS value_max,
    argMaxIfState(toFloat64(0), (toDateTime64(TimeUnix, 9), toDateTime64(StartTimeUnix, 9)), has_value) AS value_last,
    quantilesTDigestIfState(0.5, 0.95, 0.99)(toFloat64(0), has_value) AS value_quantiles
FROM otel_metrics_histogram
GROUP BY hour, tenant_id, service_name, metric_name, series;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stats_realtime_exp_histogram_mv TO metric_stats_realtime AS
SELECT
    toStartOfHour(toDateTime(TimeUnix, 'UTC')) AS hour,
    TenantId AS tenant_id,
    ServiceName AS service_name,
    MetricName AS metric_name,
    'ExponentialHistogram' AS metric_type,
    sipHash128(
        mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes),
        MetricName, MetricUnit, AggregationTemporality, false, mapSort(Attributes)
    ) AS series,
    any(MetricUnit) AS metric_unit,
    any(AggregationTemporality) AS aggregation_temporality,
    any(false) AS is_monotonic,
    any(ScopeName) AS scope_name,
    any(ScopeVersion) AS scope_version,
    any(mapSort(Attributes)) AS attributes,
    any(mapSort(ResourceAttributes)) AS resource_attributes,
    count() AS points,
    countIf(bitAnd(Flags, 1) = 1 AS is_unrecorded) AS unrecorded_points,
    countIf(false) AS nan_points,
    countIf(false AS has_value) AS value_points,
    sumIf(toFloat64(0), has_value) AS value_sum,
    min(if(has_value, toFloat64(0), inf)) AS value_min,
    max(if(has_value, toFloat64(0), -inf)) AS value_max,
    argMaxIfState(toFloat64(0), (toDateTime64(TimeUnix, 9), toDateTime64(StartTimeUnix, 9)), has_value) AS value_last,
    quantilesTDigestIfState(0.5, 0.95, 0.99)(toFloat64(0), has_value) AS value_quantiles
FROM otel_metrics_exp_histogram
GROUP BY hour, tenant_id, service_name, metric_name, series;

CREATE MATERIALIZED VIEW IF NOT EXISTS metric_stats_realtime_summary_mv TO metric_stats_realtime AS
SELECT
    toStartOfHour(toDateTime(TimeUnix, 'UTC')) AS hour,
    TenantId AS tenant_id,
    ServiceName AS service_name,
    MetricName AS metric_name,
    'Summary' AS metric_type,
    sipHash128(
        mapSort(ResourceAttributes), ScopeName, ScopeVersion, mapSort(ScopeAttributes),
        MetricName, MetricUnit, toInt32(0), false, mapSort(Attributes)
    ) AS series,
    any(MetricUnit) AS metric_unit,
    any(toInt32(0)) AS aggregation_temporality,
    any(false) AS is_monotonic,
    any(ScopeName) AS scope_name,
    any(ScopeVersion) AS scope_version,
    any(mapSort(Attributes)) AS attributes,
    any(mapSort(ResourceAttributes)) AS resource_attributes,
    count() AS points,
    countIf(bitAnd(Flags, 1) = 1 AS is_unrecorded) AS unrecorded_points,
    countIf(false) AS nan_points,
    countIf(false AS has_value) AS value_points,
    sumIf(toFloat64(0), has_value) AS value_sum,
    min(if(has_value, toFloat64(0), inf)) AS value_min,
    max(if(has_value, toFloat64(0), -inf)) AS value_max,
    argMaxIfState(toFloat64(0), (toDateTime64(TimeUnix, 9), toDateTime64(StartTimeUnix, 9)), has_value) AS value_last,
    quantilesTDigestIfState(0.5, 0.95, 0.99)(toFloat64(0), has_value) AS value_quantiles
FROM otel_metrics_summary
GROUP BY hour, tenant_id, service_name, metric_name, series;

-- What users read: the hours of a day (UTC) come from the batch layer exactly when a run is current for the
-- day, else from the speed layer. As service_stats_merged, which see. NaN says that there is no such figure, NULL that the
-- speed layer cannot know it: copies, bases, resets, and what cumulative sums increased by.
-- Ids of series are those of their layer: attributes, in metric_series_merged, are the same in both.
CREATE VIEW IF NOT EXISTS metric_stats_merged AS
WITH
    (
        SELECT groupArray((toDate(period_start, 'UTC'), run_id, is_final, watermark))
        FROM batch_current
        WHERE period_kind = 'day' AND signal = 'metrics'
    ) AS current
SELECT
    date,
    hour,
    tenant_id,
    service_name,
    metric_name,
    metric_type,
    series,
    'batch' AS layer,
    run_id,
    run.3 AS is_final,
    run.4 AS watermark,
    points,
    duplicate_points,
    conflict_points,
    unrecorded_points,
    nan_points,
    base_points,
    resets,
    increase,
    value_min,
    value_max,
    value_avg,
    value_last,
    value_p50,
    value_p95,
    value_p99,
    overflow_series
FROM metric_stats_batch
INNER JOIN (SELECT arrayJoin(current) AS run, run.1 AS run_date, run.2 AS run_of_date) AS runs
    ON date = run_date AND run_id = run_of_date
WHERE (date, run_id) IN (SELECT arrayJoin(arrayMap(run -> (run.1, run.2), current)))
UNION ALL
SELECT
    toDate(hour, 'UTC') AS date,
    hour,
    tenant_id,
    service_name,
    metric_name,
    metric_type,
    lower(hex(series)) AS series,
    'realtime' AS layer,
    '' AS run_id,
    false AS is_final,
    toDateTime64(0, 3, 'UTC') AS watermark,
    sum(points) AS points,
    NULL AS duplicate_points,
    NULL AS conflict_points,
    sum(unrecorded_points) AS unrecorded_points,
    sum(nan_points) AS nan_points,
    NULL AS base_points,
    NULL AS resets,
    multiIf(metric_type != 'Sum', nan, any(aggregation_temporality) = 1, sum(value_sum), NULL) AS increase,
    if(sum(value_points) = 0, nan, min(value_min)) AS value_min,
    if(sum(value_points) = 0, nan, max(value_max)) AS value_max,
    if(sum(value_points) = 0, nan, sum(value_sum) / sum(value_points)) AS value_avg,
    if(sum(value_points) = 0, nan, argMaxIfMerge(value_last)) AS value_last,
    quantilesTDigestIfMerge(0.5, 0.95, 0.99)(value_quantiles)[1] AS value_p50,
    quantilesTDigestIfMerge(0.5, 0.95, 0.99)(value_quantiles)[2] AS value_p95,
    quantilesTDigestIfMerge(0.5, 0.95, 0.99)(value_quantiles)[3] AS value_p99,
    0 AS overflow_series
FROM metric_stats_realtime
WHERE toDate(hour, 'UTC') NOT IN (SELECT arrayJoin(arrayMap(run -> run.1, current)))
GROUP BY date, hour, tenant_id, service_name, metric_name, metric_type, series;

-- What the series of metric_stats_merged are: a row for each of a day, of the same layer and run.
CREATE VIEW IF NOT EXISTS metric_series_merged AS
WITH
    (
        SELECT groupArray((toDate(period_start, 'UTC'), run_id, is_final, watermark))
        FROM batch_current
        WHERE period_kind = 'day' AND signal = 'metrics'
    ) AS current
SELECT
    date,
    tenant_id,
    service_name,
    metric_name,
    metric_type,
    series,
    'batch' AS layer,
    run_id,
    run.3 AS is_final,
    run.4 AS watermark,
    metric_unit,
    aggregation_temporality,
    is_monotonic,
    scope_name,
    scope_version,
    attributes,
    resource_attributes,
    points
FROM metric_series_batch
INNER JOIN (SELECT arrayJoin(current) AS run, run.1 AS run_date, run.2 AS run_of_date) AS runs
    ON date = run_date AND run_id = run_of_date
WHERE (date, run_id) IN (SELECT arrayJoin(arrayMap(run -> (run.1, run.2), current)))
UNION ALL
SELECT
    toDate(hour, 'UTC') AS date,
    tenant_id,
    service_name,
    metric_name,
    metric_type,
    lower(hex(series)) AS series,
    'realtime' AS layer,
    '' AS run_id,
    false AS is_final,
    toDateTime64(0, 3, 'UTC') AS watermark,
    any(metric_unit) AS metric_unit,
    any(aggregation_temporality) AS aggregation_temporality,
    any(is_monotonic) AS is_monotonic,
    any(scope_name) AS scope_name,
    any(scope_version) AS scope_version,
    any(attributes) AS attributes,
    any(resource_attributes) AS resource_attributes,
    sum(points) AS points
FROM metric_stats_realtime
WHERE toDate(hour, 'UTC') NOT IN (SELECT arrayJoin(arrayMap(run -> run.1, current)))
GROUP BY date, tenant_id, service_name, metric_name, metric_type, series;
