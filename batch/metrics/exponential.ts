/**
 * Exponential histograms in ClickHouse's SQL, for the proof: brought to one scale and one threshold of zero,
 * and added up by hour. Written apart from the kernel: with maps, not with runs of buckets.
 */
import { exponentialBucketsMax } from '../../schemas/limits/batch.ts';

/** The indexes of a side's buckets. */
function indexes(offset: string, counts: string): string {
  return `arrayMap(i -> toInt64(ifNull(${offset}, 0)) + i - 1, arrayEnumerate(${counts}))`;
}

/** An exponential histogram as a tuple; 1 scale, 2 zero threshold, 3 zero count, 4 to 7 buckets. */
export const exponentialParts = `(
      toInt64(ifNull(Scale, 0)),
      if(ZeroThreshold > 0, assumeNotNull(ZeroThreshold), 0.),
      ifNull(ZeroCount, 0),
      ${indexes('PositiveOffset', 'PositiveBucketCounts')},
      PositiveBucketCounts,
      ${indexes('NegativeOffset', 'NegativeBucketCounts')},
      NegativeBucketCounts
    )`;

function coarser(indexesOf: string, by: string): string {
  return `arrayMap(index -> bitShiftRight(index, least(${by}, 63)), ${indexesOf})`;
}

/** The bucket of that scale in which the number lies; what is a bound but for rounding belongs below. */
function bucketOf(value: string, scale: string): string {
  const place = `log2(${value}) * exp2(greatest(least(${scale}, 1000), -60))`;
  const tolerance = `1e-6 * least(1, exp2(greatest(${scale}, -60)))`;
  return `toInt64(greatest(least(if(abs(${place} - round(${place})) < ${tolerance},
    round(${place}) - 1, floor(${place})), 4e18), -4e18))`;
}

const none = `toInt64(-5000000000000000000)`;

/** Index up to which buckets are zero: no bucket where thresholds are the same. */
function zeroUpTo(isUneven: string, threshold: string, scale: string): string {
  return `if(${isUneven}, ${bucketOf(threshold, scale)}, ${none})`;
}

/** Sums of the tuple's buckets at `low_scale`: indexes and sums. */
function cells(parts: string, side: 4 | 6): string {
  const lowered = coarser(`${parts}.${side}`, `${parts}.1 - low_scale`);
  return `arrayReduce('sumMap', [${lowered}], [${parts}.${side + 1}])`;
}

/** What of a tuple of indexes and counts is zero. */
function countUpTo(upTo: string, side: string): string {
  return `arraySum(arrayMap((i, c) -> if(i <= ${upTo}, c, 0), ${side}.1, ${side}.2))`;
}

/** Whether a bucket of this side had more before. */
function isLess(side: string): string {
  return `arrayExists((i, c) -> i > up_to
      AND c > mapFromArrays(now_${side}.1, now_${side}.2)[i], then_${side}.1, then_${side}.2)`;
}

/**
 * The rows of a query that has `exponential` and the one before it, with `exponential_fell`: whether it has
 * less in some bucket. In steps, because an expression that is written out twice is analysed twice.
 */
export function comparedSql(source: string): string {
  return `
  SELECT
    *,
    exponential.3 + ${countUpTo('up_to', 'now_positive')} + ${countUpTo('up_to', 'now_negative')}
      < exponential_before.3 + ${countUpTo('up_to', 'then_positive')} + ${countUpTo('up_to', 'then_negative')}
      OR ${isLess('positive')} OR ${isLess('negative')} AS exponential_fell
  FROM
  (
    SELECT
      *,
      ${zeroUpTo('exponential.2 != exponential_before.2', 'high_threshold', 'low_scale')} AS up_to,
      ${cells('exponential', 4)} AS now_positive,
      ${cells('exponential', 6)} AS now_negative,
      ${cells('exponential_before', 4)} AS then_positive,
      ${cells('exponential_before', 6)} AS then_negative
    FROM
    (
      SELECT
        *,
        least(exponential.1, exponential_before.1) AS low_scale,
        greatest(exponential.2, exponential_before.2) AS high_threshold
      FROM (${source})
    )
  )`;
}

/** Of all parts of an hour: the indexes of buckets that have counts, at one scale. */
function populated(side: 4 | 6, scale: string): string {
  return `arrayFlatten(arrayMap(part -> arrayMap(
      index -> bitShiftRight(index, least(part.1 - ${scale}, 63)),
      arrayFilter((index, c) -> c > 0, part.${side}, part.${side + 1})), parts))`;
}

function isWithin(indexesOf: string): string {
  return `(empty(${indexesOf}) OR bitShiftRight(arrayMax(${indexesOf}), n)
      - bitShiftRight(arrayMin(${indexesOf}), n) < ${exponentialBucketsMax})`;
}

/** Sums of a side by index, those of zero left out: a tuple of indexes and sums. */
function sums(side: 4 | 6): string {
  return `arrayReduce('sumMap',
      arrayMap(part -> arrayMap(index -> bitShiftRight(index, least(part.1 - whole_scale, 63)),
        part.${side}), parts),
      arrayMap(part -> arrayMap(c -> part.8 * toInt64(c), part.${side + 1}), parts))`;
}

function dense(side: string): string {
  return `if(empty(${side}.1), [], arrayMap(
      i -> toUInt64(mapFromArrays(${side}.1, ${side}.2)[${side}.1[1] + i]),
      range(toUInt64(${side}.1[-1] - ${side}.1[1] + 1))))`;
}

/** What is above the threshold of zero, without buckets of nothing. */
function above(side: string): string {
  const keep = `(i, c) -> i > zero_up_to AND c != 0`;
  return `(arrayFilter(${keep}, ${side}.1, ${side}.2), arrayFilter((c, i) -> i > zero_up_to
      AND c != 0, ${side}.2, ${side}.1))`;
}

/** The merged exponential histogram of each group, from the points of `steps`; in steps of its own. */
export function mergedSql(steps: string, group: string): string {
  const scaled = `
    SELECT
      *,
      ${populated(4, 'least_scale')} AS positive_indexes,
      ${populated(6, 'least_scale')} AS negative_indexes
    FROM (${partsSql(steps, group)})`;
  const lowered = `
    SELECT
      *,
      arrayFirst(n -> ${isWithin('positive_indexes')} AND ${isWithin('negative_indexes')},
        arrayMap(n -> toInt64(n), range(64))) AS lowered,
      least_scale - lowered AS whole_scale
    FROM (${scaled})`;
  const summed = `
    SELECT
      *,
      ${zeroUpTo('is_uneven', 'zero_threshold', 'whole_scale')} AS zero_up_to,
      ${sums(4)} AS positive_sums,
      ${sums(6)} AS negative_sums
    FROM (${lowered})`;
  const parted = `
    SELECT
      *,
      ${above('positive_sums')} AS positive_rest,
      ${above('negative_sums')} AS negative_rest
    FROM (${summed})`;
  return `
  SELECT
    ${group},
    toInt32(greatest(whole_scale, -2147483648)) AS scale,
    zero_threshold,
    toUInt64(arraySum(arrayMap(part -> part.8 * toInt64(part.3), parts))
      + ${countUpTo('zero_up_to', 'positive_sums')} + ${countUpTo('zero_up_to', 'negative_sums')}) AS zero_count,
    toBool(is_uneven AND has(arrayMap(index -> bitShiftRight(index, lowered),
      arrayConcat(positive_indexes, negative_indexes)), zero_up_to)) AS zero_widened,
    positive_rest.1[1] AS positive_offset,
    ${dense('positive_rest')} AS positive_counts,
    negative_rest.1[1] AS negative_offset,
    ${dense('negative_rest')} AS negative_counts
  FROM (${parted})`;
}

/** Of each group all histograms that its hour adds, with 1 as their eighth part, or takes away: -1. */
function partsSql(steps: string, group: string): string {
  return `
  SELECT
    ${group},
    arrayFlatten(groupArray(if(adds = 'difference',
      [tupleConcat(exponential, tuple(toInt64(1))),
       tupleConcat(exponential_before, tuple(toInt64(-1)))],
      [tupleConcat(exponential, tuple(toInt64(1)))]))) AS parts,
    arrayMin(arrayMap(part -> part.1, parts)) AS least_scale,
    arrayMax(arrayMap(part -> part.2, parts)) AS zero_threshold,
    arrayMin(arrayMap(part -> part.2, parts)) != zero_threshold AS is_uneven
  FROM (${steps})
  WHERE in_day AND is_exponential AND adds != 'nothing'
  GROUP BY ${group}`;
}
