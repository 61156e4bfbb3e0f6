-- The books: what the edge says that it received, what the archiver says that it archived, and what comes of
-- comparing both with the speed tables, by tenant, signal and minute (UTC) of receipt. docs/LEDGER.md.

-- Notes of the edge, one for each request. One that is written twice counts once.
CREATE TABLE IF NOT EXISTS ledger_received
(
    `received_at` DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `tenant_id` LowCardinality(String),
    `signal` LowCardinality(String) COMMENT 'traces, logs or metrics',
    `request_id` String CODEC(ZSTD(1)),
    `recorded_at` DateTime64(3, 'UTC') COMMENT 'when the first request of its record was received' CODEC(Delta(8), ZSTD(1)),
    `token` String COMMENT 'the deduplication token of its rows' CODEC(ZSTD(1)),
    `state` LowCardinality(String) COMMENT 'stored, doubtful, refused, copy or empty',
    `accepted` UInt64 COMMENT 'valid items, quarantined ones included' CODEC(ZSTD(1)),
    `quarantined` UInt64 CODEC(ZSTD(1)),
    `rejected` Map(LowCardinality(String), UInt64) COMMENT 'invalid items by reason' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(received_at, 'UTC')
ORDER BY (signal, tenant_id, received_at, request_id)
TTL toDateTime(received_at, 'UTC') + INTERVAL 100 DAY
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1;

-- What commits say of the records that they hold; read from the object store, each once.
CREATE TABLE IF NOT EXISTS ledger_archived
(
    `minute` DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    `tenant_id` LowCardinality(String),
    `signal` LowCardinality(String),
    `origin` LowCardinality(String) COMMENT 'edge, other, or uncounted: of a version that did not count',
    `partition` LowCardinality(String) COMMENT 'of Kafka, or spool',
    `first_offset` Int64 COMMENT 'names the commit' CODEC(ZSTD(1)),
    `ingested_max_at` DateTime64(3, 'UTC') COMMENT 'when the last record of the commit was received' CODEC(ZSTD(1)),
    `records` UInt64 CODEC(ZSTD(1)),
    `rows` UInt64 CODEC(ZSTD(1)),
    `rejected` UInt64 CODEC(ZSTD(1)),
    `dead` UInt64 COMMENT 'records that were set aside whole' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (signal, minute, tenant_id, origin, partition, first_offset);

-- The files that those commits name.
CREATE TABLE IF NOT EXISTS ledger_files
(
    `signal` LowCardinality(String),
    `ingested_max_at` DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `hour` DateTime('UTC') COMMENT 'the event hour that it lies under' CODEC(ZSTD(1)),
    `key` String CODEC(ZSTD(1)),
    `rows` UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(ingested_max_at)
ORDER BY (signal, ingested_max_at, key);

-- What waits in the spool of the speed tables, or lies aside, as one computation of the ledger found it.
CREATE TABLE IF NOT EXISTS ledger_spooled
(
    `run` String COMMENT 'which computation',
    `signal` LowCardinality(String),
    `token` String,
    `place` LowCardinality(String) COMMENT 'spool or dead',
    `listed_at` DateTime('UTC')
)
ENGINE = MergeTree
ORDER BY (run, signal, token)
TTL listed_at + INTERVAL 1 DAY;

-- The result: a row for each minute in which anything was received. Computing a day again adds its rows anew.
CREATE TABLE IF NOT EXISTS ledger_minutes
(
    `signal` LowCardinality(String),
    `tenant_id` LowCardinality(String),
    `minute` DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    `computed_at` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `is_settled` Bool COMMENT 'false while something of the minute may still be on its way',
    `received` UInt64 COMMENT 'items of requests that were answered with 200',
    `accepted` UInt64,
    `rejected` UInt64,
    `rejected_by` Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)),
    `quarantined` UInt64 COMMENT 'of the accepted: archived only',
    `copies` UInt64 COMMENT 'of the accepted: left out of a group that had them already',
    `refused` UInt64 COMMENT 'items of requests that were answered with 503',
    `archived` UInt64 COMMENT 'of requests that the edge received',
    `archived_other` UInt64 COMMENT 'of records that came another way',
    `speed` UInt64 COMMENT 'rows of the speed tables',
    `late` UInt64 COMMENT 'of the speed rows: their day had been published before',
    `differences` Map(LowCardinality(String), UInt64) COMMENT 'items by name of the difference' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(computed_at)
PARTITION BY toYYYYMM(minute)
ORDER BY (signal, tenant_id, minute);

-- The last computation of each day and signal: what to read.
CREATE VIEW IF NOT EXISTS ledger AS
SELECT *
FROM ledger_minutes FINAL
WHERE (signal, toDate(minute, 'UTC'), computed_at) IN
(
    SELECT signal, toDate(minute, 'UTC'), max(computed_at)
    FROM ledger_minutes
    GROUP BY signal, toDate(minute, 'UTC')
);

-- The ledger asks the speed tables for what was received in a day.
ALTER TABLE otel_traces ADD INDEX IF NOT EXISTS idx_ingested_at IngestedAt TYPE minmax GRANULARITY 1;

ALTER TABLE otel_logs ADD INDEX IF NOT EXISTS idx_ingested_at IngestedAt TYPE minmax GRANULARITY 1;

ALTER TABLE otel_metrics_gauge ADD INDEX IF NOT EXISTS idx_ingested_at IngestedAt TYPE minmax GRANULARITY 1;

ALTER TABLE otel_metrics_sum ADD INDEX IF NOT EXISTS idx_ingested_at IngestedAt TYPE minmax GRANULARITY 1;

ALTER TABLE otel_metrics_histogram ADD INDEX IF NOT EXISTS idx_ingested_at IngestedAt TYPE minmax GRANULARITY 1;

ALTER TABLE otel_metrics_exp_histogram ADD INDEX IF NOT EXISTS idx_ingested_at IngestedAt TYPE minmax GRANULARITY 1;

ALTER TABLE otel_metrics_summary ADD INDEX IF NOT EXISTS idx_ingested_at IngestedAt TYPE minmax GRANULARITY 1;
