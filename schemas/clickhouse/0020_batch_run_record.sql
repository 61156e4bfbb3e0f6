-- What a run took, why a row is there, and which input has been seen: what a rollback has to remember.
ALTER TABLE batch_runs
    ADD COLUMN IF NOT EXISTS `seen_hash` String DEFAULT input_hash
        COMMENT 'of the newest input that a run of the period has had: any other makes the period due',
    ADD COLUMN IF NOT EXISTS `cause` LowCardinality(String) DEFAULT 'computed'
        COMMENT 'computed; confirmed: the same run, final by now; restored: an earlier run, by a rollback',
    ADD COLUMN IF NOT EXISTS `list_ms` UInt64 COMMENT 'of elapsed_ms: listing and planning',
    ADD COLUMN IF NOT EXISTS `compute_ms` UInt64 COMMENT 'of elapsed_ms: the shards',
    ADD COLUMN IF NOT EXISTS `merge_ms` UInt64,
    ADD COLUMN IF NOT EXISTS `publish_ms` UInt64 COMMENT 'of elapsed_ms: inserting and counting rows';
