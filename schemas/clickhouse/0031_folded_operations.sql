-- Services with very many operations: those past the limit are published as one, `__overflow__`, whose
-- distinct traces are added up over its operations.
ALTER TABLE batch_runs
    ADD COLUMN IF NOT EXISTS `folded_operations` UInt64
        COMMENT 'operations that stand for themselves no more, because their service has too many';
