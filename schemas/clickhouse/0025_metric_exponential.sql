-- Exponential histograms of an hour, brought to one scale: bucket i of positive_counts has the values in
-- (base^(positive_offset + i), base^(positive_offset + i + 1)], base = 2^(2^-scale), of negative_counts
-- likewise by magnitude. All are 0 and empty in rows of other histograms.
ALTER TABLE metric_histogram_batch
    ADD COLUMN IF NOT EXISTS `scale` Int32 AFTER mixed_bounds,
    ADD COLUMN IF NOT EXISTS `zero_count` UInt64 AFTER scale,
    ADD COLUMN IF NOT EXISTS `zero_threshold` Float64 COMMENT 'the largest that was sent' AFTER zero_count,
    ADD COLUMN IF NOT EXISTS `zero_widened` Bool COMMENT 'zero_count has the bucket of the threshold, up to its end' AFTER zero_threshold,
    ADD COLUMN IF NOT EXISTS `positive_offset` Int64 AFTER zero_widened,
    ADD COLUMN IF NOT EXISTS `positive_counts` Array(UInt64) AFTER positive_offset,
    ADD COLUMN IF NOT EXISTS `negative_offset` Int64 AFTER positive_counts,
    ADD COLUMN IF NOT EXISTS `negative_counts` Array(UInt64) AFTER negative_offset;

-- The view as it was, with these columns.
CREATE OR REPLACE VIEW metric_histogram_current AS
SELECT *
FROM metric_histogram_batch
WHERE (date, run_id) IN
(
    SELECT toDate(period_start, 'UTC'), run_id
    FROM batch_current
    WHERE period_kind = 'day' AND signal = 'metrics'
);

-- Summaries of each series and hour. What was counted adds up; quantiles do not, neither over hours nor over
-- series: they are the last of the hour, as they were sent.
CREATE TABLE IF NOT EXISTS metric_summary_batch
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
    `observations` UInt64 COMMENT 'values that were counted in the hour',
    `observation_sum` Float64,
    `quantiles` Array(Float64),
    `quantile_values` Array(Float64)
)
ENGINE = MergeTree
PARTITION BY (date, run_id)
ORDER BY (tenant_id, service_name, metric_name, series, hour)
SETTINGS index_granularity = 1024;

CREATE VIEW IF NOT EXISTS metric_summary_current AS
SELECT *
FROM metric_summary_batch
WHERE (date, run_id) IN
(
    SELECT toDate(period_start, 'UTC'), run_id
    FROM batch_current
    WHERE period_kind = 'day' AND signal = 'metrics'
);
