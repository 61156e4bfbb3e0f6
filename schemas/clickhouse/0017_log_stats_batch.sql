-- The batch layer's exact figures of log records, by hour (UTC) of a day, by run. See service_stats_batch.
-- Of the copies of a record the first received counts, in its own hour; the others are duplicates in theirs.
CREATE TABLE IF NOT EXISTS log_stats_batch
(
    `date` Date,
    `run_id` String,
    `tenant_id` LowCardinality(String),
    `service_name` LowCardinality(String),
    `severity_number` Int32 COMMENT 'as sent; 0 where none was',
    `severity_text` LowCardinality(String) COMMENT 'as sent',
    `hour` DateTime('UTC'),
    `total_records` UInt64 COMMENT 'after deduplication',
    `duplicate_records` UInt64,
    `body_bytes` UInt64 COMMENT 'of the string forms of the bodies of total_records, in UTF-8',
    `unique_bodies` UInt64 COMMENT 'distinct string forms, exact; additive over no other group'
)
ENGINE = MergeTree
PARTITION BY (date, run_id)
ORDER BY (tenant_id, service_name, hour, severity_number, severity_text)
SETTINGS index_granularity = 1024;

-- The rows of the runs that are current: what to read.
CREATE VIEW IF NOT EXISTS log_stats_current AS
SELECT *
FROM log_stats_batch
WHERE (date, run_id) IN
(
    SELECT toDate(period_start, 'UTC'), run_id
    FROM batch_current
    WHERE period_kind = 'day' AND signal = 'logs'
);
