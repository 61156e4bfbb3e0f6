-- How far the speed layer was off: one row for each service of a run that `tidemark drift` compared with the
-- speed tables. Items are spans, log records or data points. Comparing again replaces a run's rows.
CREATE TABLE IF NOT EXISTS layer_drift
(
    `signal` LowCardinality(String) COMMENT 'traces, logs or metrics',
    `period_kind` LowCardinality(String) COMMENT 'day or hour',
    `period_start` DateTime('UTC'),
    `run_id` String COMMENT 'the run of the batch that was compared',
    `computed_at` DateTime64(3, 'UTC'),
    `tenant_id` LowCardinality(String),
    `service_name` LowCardinality(String),
    `batch_items` UInt64 COMMENT 'distinct items, as published',
    `speed_items` UInt64 COMMENT 'rows of the speed tables',
    `rollup_items` UInt64 COMMENT 'as the rollup of the speed layer counts them',
    `missing_items` UInt64 COMMENT 'distinct items that the speed tables do not have',
    `duplicated_items` UInt64 COMMENT 'rows of the speed tables beyond the first of each item',
    `unarchived_items` UInt64 COMMENT 'distinct items of the speed tables that the run did not read',
    `late_items` UInt64 COMMENT 'received after the period had ended',
    `after_run_items` UInt64 COMMENT 'received after the first run of the period was published',
    `batch_errors` UInt64,
    `speed_errors` UInt64,
    `p50_error` Nullable(Float64) COMMENT 'mean of |speed / batch - 1| over operations, by their spans',
    `p95_error` Nullable(Float64),
    `p99_error` Nullable(Float64),
    `quantile_error_max` Nullable(Float64) COMMENT 'the largest of one operation'
)
ENGINE = ReplacingMergeTree(computed_at)
PARTITION BY toYYYYMM(period_start)
ORDER BY (signal, period_kind, period_start, run_id, tenant_id, service_name);

-- The last comparison of each run: what to read.
CREATE VIEW IF NOT EXISTS layer_drift_current AS
SELECT *
FROM layer_drift FINAL
WHERE (signal, period_kind, period_start, run_id, computed_at) IN
(
    SELECT signal, period_kind, period_start, run_id, max(computed_at)
    FROM layer_drift
    GROUP BY signal, period_kind, period_start, run_id
);
