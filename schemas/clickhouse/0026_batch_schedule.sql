-- What the batch's scheduler did: a row for each tick that was begun, done or missed, and for each try of a
-- period that a tick asked for. Rows are only added, and may be there twice.
CREATE TABLE IF NOT EXISTS batch_schedule
(
    `at` DateTime64(3, 'UTC') COMMENT 'when it was noted',
    `event` LowCardinality(String) COMMENT 'of ticks: begun, done, missed; of periods: published, confirmed, unchanged, retried, failed',
    `period_kind` LowCardinality(String) COMMENT 'day or hour',
    `tick_at` DateTime('UTC') COMMENT 'when the tick was due',
    `signal` LowCardinality(String) COMMENT 'empty for ticks',
    `period_start` DateTime('UTC') COMMENT '1970 for ticks',
    `attempt` UInt32 COMMENT '1 for the first try of a period',
    `elapsed_ms` UInt64,
    `run_id` String COMMENT 'the run that is current after it',
    `message` String,
    `scheduler` String COMMENT 'who did it',
    `term` UInt64 COMMENT 'of its leadership: whoever leads later has a higher one'
)
ENGINE = MergeTree
ORDER BY (period_kind, tick_at, at)
TTL toDateTime(at) + INTERVAL 400 DAY;

-- Ticks of the schedule. One that was begun and not done is under way, or its scheduler died and another
-- goes on with it; one that is missed fell into a time when no scheduler ran.
CREATE VIEW IF NOT EXISTS batch_ticks AS
SELECT
    period_kind,
    tick_at,
    multiIf(has(events, 'done'), 'done', has(events, 'begun'), 'begun', 'missed') AS state,
    first_at AS begun_at,
    last_at AS changed_at,
    published,
    failed,
    last_scheduler AS scheduler
FROM
(
    SELECT
        period_kind,
        tick_at,
        groupUniqArray(event) AS events,
        min(at) AS first_at,
        max(at) AS last_at,
        uniqExactIf((signal, period_start), event = 'published') AS published,
        uniqExactIf((signal, period_start), event = 'failed') AS failed,
        argMax(scheduler, at) AS last_scheduler
    FROM batch_schedule
    GROUP BY period_kind, tick_at
);

-- Periods whose last computation failed, retries included, and that nobody has published since.
CREATE VIEW IF NOT EXISTS batch_failures AS
SELECT
    failures.period_kind AS period_kind,
    failures.signal AS signal,
    failures.period_start AS period_start,
    failures.last_at AS failed_at,
    failures.last.2 AS message,
    failures.last.3 AS attempts,
    failures.last.4 AS scheduler
FROM
(
    SELECT
        period_kind,
        signal,
        period_start,
        max(at) AS last_at,
        argMax((event, message, attempt, scheduler), at) AS last
    FROM batch_schedule
    WHERE event IN ('published', 'confirmed', 'unchanged', 'failed')
    GROUP BY period_kind, signal, period_start
) AS failures
LEFT JOIN batch_current
    ON batch_current.period_kind = failures.period_kind
    AND batch_current.signal = failures.signal
    AND batch_current.period_start = failures.period_start
WHERE failures.last.1 = 'failed' AND batch_current.published_at < failures.last_at;
