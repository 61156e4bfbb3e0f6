-- What repairs took from the speed tables because it was there more often than the archive has it: the ledger does
-- not call it missing.
CREATE TABLE IF NOT EXISTS ledger_repairs
(
    `signal` LowCardinality(String),
    `day` Date COMMENT 'the event day that was repaired',
    `repaired_at` DateTime64(3, 'UTC'),
    `removed` UInt64 COMMENT 'rows'
)
ENGINE = MergeTree
ORDER BY (signal, day, repaired_at);
