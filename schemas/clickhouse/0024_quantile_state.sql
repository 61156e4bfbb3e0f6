-- The durations of each row as a histogram that adds up: over days, operations, services. Bucket b holds the
-- 2^s whole nanoseconds from (b - 64 * s) * 2^s on, where s = max(0, b / 64 - 1) in whole numbers: a
-- bucket is at most 1/64 as wide as what is in it, and below 128 ns it is one number.
-- Rows that were published before this column was there have an empty state.
ALTER TABLE service_stats_batch
    ADD COLUMN IF NOT EXISTS `quantile_state` Tuple(buckets Array(UInt16), counts Array(UInt64))
        COMMENT 'distinct spans by bucket of duration; add up with sumMap(quantile_state.buckets, quantile_state.counts)'
        CODEC(ZSTD(3));

-- The quantile q (0 to 1) of all distinct spans of the days from and to, both included, by service, from the
-- runs that are current: SELECT * FROM service_quantiles(from = '2026-11-01', to = '2026-11-30', q = 0.95).
-- The exact quantile, type 7, lies in [low_ms, high_ms], which is less than 1/64 of it long. estimate_ms
-- takes the durations in a bucket as evenly spread. Least and greatest are known exactly: so are q = 0,
-- q = 1 and all of one or two spans. NaN without spans, and where a row has no state.
-- docs/EXACTNESS.md derives the bound.
CREATE VIEW IF NOT EXISTS service_quantiles AS
SELECT
    tenant_id,
    service_name,
    spans AS total_spans,
    bounds[1].1 + fraction * (bounds[2].1 - bounds[1].1) AS estimate_ms,
    bounds[1].2 + fraction * (bounds[2].2 - bounds[1].2) AS low_ms,
    bounds[1].3 + fraction * (bounds[2].3 - bounds[1].3) AS high_ms
FROM
(
    SELECT
        tenant_id,
        service_name,
        sum(rows.total_spans) AS spans,
        min(if(rows.total_spans = 0, inf, min_ms)) AS shortest,
        max(if(rows.total_spans = 0, -inf, max_ms)) AS longest,
        sumMap(quantile_state.buckets, quantile_state.counts) AS state,
        arrayCumSum(state.2) AS ends,
        spans > 0 AND arraySum(state.2) = spans AS is_known,
        if(is_known, {q:Float64} * (spans - 1), 0) + 1 AS position,
        toUInt64(floor(position)) - 1 AS rank,
        position - floor(position) AS fraction,
        arrayMap(
            (at, found) -> multiIf(
                NOT is_known, (nan, nan, nan),
                at = 0, (shortest, shortest, shortest),
                at + 1 >= spans, (longest, longest, longest),
                arrayMap(
                    (bucket, count, end, shift) -> arrayMap(
                        (low, width) -> (
                            greatest(shortest, least(longest, (low + width * ((at + 0.5 - (end - count)) / count)) / 1e6)),
                            greatest(shortest, low / 1e6),
                            least(longest, (low + width) / 1e6)
                        ),
                        [bitShiftLeft(toUInt64(bucket - 64 * shift), shift)],
                        [toUInt64(bitShiftLeft(toUInt64(1), shift) - 1)]
                    )[1],
                    [state.1[found]],
                    [state.2[found]],
                    [ends[found]],
                    [toUInt8(greatest(intDiv(state.1[found], 64), 1) - 1)]
                )[1]
            ),
            [rank, rank + 1],
            [arrayFirstIndex(end -> end > rank, ends), arrayFirstIndex(end -> end > rank + 1, ends)]
        ) AS bounds
    FROM service_stats_batch AS rows
    WHERE date BETWEEN {from:Date} AND {to:Date}
        AND (date, run_id) IN
        (
            SELECT toDate(period_start, 'UTC'), run_id
            FROM batch_current
            WHERE period_kind = 'day' AND signal = 'traces'
        )
    GROUP BY tenant_id, service_name
);

-- The same by operation.
CREATE VIEW IF NOT EXISTS operation_quantiles AS
SELECT
    tenant_id,
    service_name,
    operation_name,
    spans AS total_spans,
    bounds[1].1 + fraction * (bounds[2].1 - bounds[1].1) AS estimate_ms,
    bounds[1].2 + fraction * (bounds[2].2 - bounds[1].2) AS low_ms,
    bounds[1].3 + fraction * (bounds[2].3 - bounds[1].3) AS high_ms
FROM
(
    SELECT
        tenant_id,
        service_name,
        operation_name,
        sum(rows.total_spans) AS spans,
        min(if(rows.total_spans = 0, inf, min_ms)) AS shortest,
        max(if(rows.total_spans = 0, -inf, max_ms)) AS longest,
        sumMap(quantile_state.buckets, quantile_state.counts) AS state,
        arrayCumSum(state.2) AS ends,
        spans > 0 AND arraySum(state.2) = spans AS is_known,
        if(is_known, {q:Float64} * (spans - 1), 0) + 1 AS position,
        toUInt64(floor(position)) - 1 AS rank,
        position - floor(position) AS fraction,
        arrayMap(
            (at, found) -> multiIf(
                NOT is_known, (nan, nan, nan),
                at = 0, (shortest, shortest, shortest),
                at + 1 >= spans, (longest, longest, longest),
                arrayMap(
                    (bucket, count, end, shift) -> arrayMap(
                        (low, width) -> (
                            greatest(shortest, least(longest, (low + width * ((at + 0.5 - (end - count)) / count)) / 1e6)),
                            greatest(shortest, low / 1e6),
                            least(longest, (low + width) / 1e6)
                        ),
                        [bitShiftLeft(toUInt64(bucket - 64 * shift), shift)],
                        [toUInt64(bitShiftLeft(toUInt64(1), shift) - 1)]
                    )[1],
                    [state.1[found]],
                    [state.2[found]],
                    [ends[found]],
                    [toUInt8(greatest(intDiv(state.1[found], 64), 1) - 1)]
                )[1]
            ),
            [rank, rank + 1],
            [arrayFirstIndex(end -> end > rank, ends), arrayFirstIndex(end -> end > rank + 1, ends)]
        ) AS bounds
    FROM service_stats_batch AS rows
    WHERE date BETWEEN {from:Date} AND {to:Date}
        AND (date, run_id) IN
        (
            SELECT toDate(period_start, 'UTC'), run_id
            FROM batch_current
            WHERE period_kind = 'day' AND signal = 'traces'
        )
    GROUP BY tenant_id, service_name, operation_name
);
