-- The batch layer's exact figures of metrics, by series and hour (UTC) of a day, by run: see
-- service_stats_batch, and docs/METRICS.md for what each figure means. NaN says that there is none.
-- A service's series past TIDEMARK_BATCH_SERIES_MAX are one row an hour, whose series is empty.
CREATE TABLE IF NOT EXISTS metric_stats_batch
(
    `date` Date,
    `run_id` String,
    `tenant_id` LowCardinality(String),
    `service_name` LowCardinality(String),
    `metric_name` LowCardinality(String),
    `metric_type` LowCardinality(String) COMMENT 'Gauge, Sum, Histogram, ExponentialHistogram or Summary',
    `series` String COMMENT 'hex of SeriesHash; empty for the series past the limit',
    `hour` DateTime('UTC'),
    `points` UInt64 COMMENT 'after deduplication',
    `duplicate_points` UInt64,
    `conflict_points` UInt64 COMMENT 'duplicates that said otherwise than the point that counts',
    `unrecorded_points` UInt64 COMMENT 'points that say that nothing was recorded',
    `nan_points` UInt64 COMMENT 'points whose value is NaN: in no figure but this one',
    `base_points` UInt64 COMMENT 'totals that nothing is known before: bases of the next, no increase',
    `resets` UInt64,
    `increase` Float64 COMMENT 'of sums: what was added in the hour, over resets',
    `value_min` Float64,
    `value_max` Float64,
    `value_avg` Float64,
    `value_last` Float64,
    `value_p50` Float64,
    `value_p95` Float64,
    `value_p99` Float64,
    `overflow_series` UInt64 COMMENT 'series that the row stands for, if they are past the limit'
)
ENGINE = MergeTree
PARTITION BY (date, run_id)
ORDER BY (tenant_id, service_name, metric_name, series, hour)
SETTINGS index_granularity = 1024;

-- What a series is: one row for each of the day. Attributes are sorted by key.
CREATE TABLE IF NOT EXISTS metric_series_batch
(
    `date` Date,
    `run_id` String,
    `tenant_id` LowCardinality(String),
    `service_name` LowCardinality(String),
    `metric_name` LowCardinality(String),
    `metric_type` LowCardinality(String),
    `metric_unit` LowCardinality(String),
    `aggregation_temporality` Int32,
    `is_monotonic` Bool,
    `series` String,
    `scope_name` LowCardinality(String),
    `scope_version` LowCardinality(String),
    `attributes` Map(LowCardinality(String), String),
    `resource_attributes` Map(LowCardinality(String), String),
    `points` UInt64 COMMENT 'after deduplication, of the day'
)
ENGINE = MergeTree
PARTITION BY (date, run_id)
ORDER BY (tenant_id, service_name, metric_name, series)
SETTINGS index_granularity = 1024;

-- Histograms of each series and hour, merged. Buckets are (bounds[i - 1], bounds[i]], the first from -inf
-- and the last to inf; none when bounds changed within the hour, nor of exponential ones, of which
-- only the totals are recomputed. The exact quantile, type 7, lies in [low, high]; the estimate is linear.
CREATE TABLE IF NOT EXISTS metric_histogram_batch
(
    `date` Date,
    `run_id` String,
    `tenant_id` LowCardinality(String),
    `service_name` LowCardinality(String),
    `metric_name` LowCardinality(String),
    `metric_type` LowCardinality(String),
    `series` String,
    `hour` DateTime('UTC'),
    `points` UInt64,
    `observations` UInt64 COMMENT 'values that the histograms of the hour counted',
    `observation_sum` Float64 COMMENT 'NaN when a histogram did not say',
    `observation_min` Float64 COMMENT 'of deltas that all said so, else NaN',
    `observation_max` Float64,
    `bounds` Array(Float64),
    `bucket_counts` Array(UInt64),
    `mixed_bounds` Bool,
    `p50` Float64,
    `p50_low` Float64,
    `p50_high` Float64,
    `p95` Float64,
    `p95_low` Float64,
    `p95_high` Float64,
    `p99` Float64,
    `p99_low` Float64,
    `p99_high` Float64
)
ENGINE = MergeTree
PARTITION BY (date, run_id)
ORDER BY (tenant_id, service_name, metric_name, series, hour)
SETTINGS index_granularity = 1024;

-- The rows of the runs that are current: what to read.
CREATE VIEW IF NOT EXISTS metric_stats_current AS
SELECT *
FROM metric_stats_batch
WHERE (date, run_id) IN
(
    SELECT toDate(period_start, 'UTC'), run_id
    FROM batch_current
    WHERE period_kind = 'day' AND signal = 'metrics'
);

CREATE VIEW IF NOT EXISTS metric_series_current AS
SELECT *
FROM metric_series_batch
WHERE (date, run_id) IN
(
    SELECT toDate(period_start, 'UTC'), run_id
    FROM batch_current
    WHERE period_kind = 'day' AND signal = 'metrics'
);

CREATE VIEW IF NOT EXISTS metric_histogram_current AS
SELECT *
FROM metric_histogram_batch
WHERE (date, run_id) IN
(
    SELECT toDate(period_start, 'UTC'), run_id
    FROM batch_current
    WHERE period_kind = 'day' AND signal = 'metrics'
);
