-- Published runs: one row, inserted last, makes a run current for its period in every view at once.
-- A rollback is one more row that names an earlier run. Rows are never changed.
CREATE TABLE IF NOT EXISTS batch_runs
(
    `period_kind` LowCardinality(String) COMMENT 'day or hour',
    `period_start` DateTime('UTC'),
    `run_id` String,
    `published_at` DateTime64(3, 'UTC'),
    `is_final` Bool,
    `watermark` DateTime64(3, 'UTC') COMMENT 'everything received before this is in the run',
    `input_hash` String COMMENT 'of the commits that were read',
    `commits` UInt32,
    `files` UInt32,
    `rows_read` UInt64,
    `total_spans` UInt64 COMMENT 'after deduplication',
    `duplicate_spans` UInt64,
    `conflict_spans` UInt64 COMMENT 'same identity, different content',
    `late_spans` Int64 COMMENT 'raw rows more than the previous run had',
    `shards` UInt32,
    `elapsed_ms` UInt64,
    `code_version` String
)
ENGINE = MergeTree
ORDER BY (period_kind, period_start, published_at);

-- The run that is current for each period: the one published last.
CREATE VIEW IF NOT EXISTS batch_current AS
SELECT
    period_kind,
    period_start,
    newest.1 AS run_id,
    newest.2 AS is_final,
    newest.3 AS watermark,
    newest.4 AS total_spans,
    newest.5 AS duplicate_spans,
    newest.6 AS late_spans,
    published_last AS published_at
FROM
(
    SELECT
        period_kind,
        period_start,
        max(published_at) AS published_last,
        argMax(
            (run_id, is_final, watermark, total_spans, duplicate_spans, late_spans),
            (published_at, run_id)
        ) AS newest
    FROM batch_runs
    GROUP BY period_kind, period_start
);
