/** The resource of rates, errors and durations over time: exact hours where the step allows it. Only data. */
import * as z from 'zod/mini';
import { apiPointsMax } from '../../schemas/limits/api.ts';
import { bound, described, layer, number, range, rangeOf, resource, where } from './resource.ts';
import {
  counts,
  durations,
  filtersOf,
  kind,
  liveCounts,
  liveQuantiles,
  operation,
  service,
  stepOf,
  steps,
  withinMinutes,
} from './services.ts';
import type { Filters } from './services.ts';

/** From this step on, in seconds, a point is made of whole hours. */
const hourSeconds = 3600;

export const timeseries = resource({
  path: '/timeseries',
  name: 'timeseries',
  summary:
    'Rate, errors and durations over time, in steps that follow from the range: live, but in steps of hours ' +
    'and days exact where the batch has published their hours',
  query: z.object({
    ...range,
    service,
    operation,
    kind,
    step: z.optional(
      number(`Least seconds of a point, rounded up to one of ${steps.join(', ')}`, 60, 86_400),
    ),
  }),
  row: z.object({
    time: z.string(),
    stepSeconds: z.int(),
    ...counts,
    traces: described(
      z.nullable(z.int()),
      'Null of exact points of several operations or hours: traces go over both',
    ),
    ...durations,
    layer,
    isFinal: z.boolean(),
  }),
  stepsOf: (rows) => ({
    begins: rows.map(({ time }) => time),
    stepSeconds: Number(rows[0]?.['stepSeconds']),
  }),
  read: (asked) => {
    const step = steps.find((each) => each >= Math.max(asked.step ?? 0, stepOf(asked))) ?? 86_400;
    return {
      sql: step < hourSeconds ? liveSql(asked) : hoursSql(asked),
      parameters: bound({
        service: asked.service,
        operation: asked.operation,
        kind: asked.kind,
        step,
        ...rangeOf({ ...asked, rowsMax: apiPointsMax + 2 }),
      }),
    };
  },
});

function startOf(time: string): string {
  return `toStartOfInterval(${time}, toIntervalSecond({step:UInt32}), 'UTC')`;
}

function liveSql(asked: Filters): string {
  return `SELECT ${startOf('minute')} AS time, {step:UInt32} AS stepSeconds, ${liveCounts}, ${liveQuantiles},
      'realtime' AS layer, false AS isFinal
    FROM service_stats_realtime ${where([...filtersOf(asked), ...withinMinutes])}
    GROUP BY time ORDER BY time LIMIT {rows:UInt32}`;
}

/**
 * A point is exact if each of its hours that has spans has a run, and else live as a whole. Points are
 * of whole steps, the first one too. Quantiles of several rows come from the sum of their histograms.
 */
function hoursSql(asked: Filters): string {
  const filters = filtersOf(asked);
  const from = startOf('fromUnixTimestamp64Milli({from:Int64})');
  const within = (time: string) => [
    `${time} >= ${from}`,
    `${time} < fromUnixTimestamp64Milli({to:Int64})`,
  ];
  const published = '(SELECT arrayJoin(arrayMap(run -> run.1, current)))';
  return `WITH
      (SELECT groupArray((period_start, run_id, is_final)) FROM batch_current
        WHERE period_kind = 'hour' AND signal = 'traces') AS current,
      (SELECT groupUniqArray(${startOf('minute')}) FROM service_stats_realtime
        ${where([...filters, ...within('minute'), `toStartOfHour(minute) NOT IN ${published}`])}) AS live
    SELECT time, {step:UInt32} AS stepSeconds, spans, errors, traces, p50Ms, p95Ms, p99Ms,
      layer, isFinal
    FROM (
      SELECT time, spans, errors, traces,
        if(parts = 1, exact.1, ${estimate(0.5)}) AS p50Ms,
        if(parts = 1, exact.2, ${estimate(0.95)}) AS p95Ms,
        if(parts = 1, exact.3, ${estimate(0.99)}) AS p99Ms,
        'batch' AS layer, isFinal
      FROM (
        SELECT ${startOf('hour')} AS time, count() AS parts, sum(total_spans) AS spans,
          sum(error_count) AS errors, if(parts = 1, any(unique_traces), NULL) AS traces,
          any((p50_ms, p95_ms, p99_ms)) AS exact,
          min(min_ms) * 1e6 AS shortest, max(max_ms) * 1e6 AS longest,
          sumMap(quantile_state.buckets, quantile_state.counts) AS state,
          arrayCumSum(state.2) AS ends,
          toBool(min(hour IN
            (SELECT arrayJoin(arrayMap(run -> run.1, arrayFilter(run -> run.3, current))))))
            AS isFinal
        FROM service_stats_hourly_batch ${where([
          ...filters,
          ...within('hour'),
          '(hour, run_id) IN (SELECT arrayJoin(arrayMap(run -> (run.1, run.2), current)))',
          `${startOf('hour')} NOT IN (SELECT arrayJoin(live))`,
        ])} GROUP BY time)
      UNION ALL
      SELECT ${startOf('minute')} AS time, ${liveCounts}, ${liveQuantiles},
        'realtime' AS layer, false AS isFinal
      FROM service_stats_realtime ${where([
        ...filters,
        ...within('minute'),
        `${startOf('minute')} IN (SELECT arrayJoin(live))`,
      ])} GROUP BY time)
    ORDER BY time LIMIT {rows:UInt32}`;
}

/**
 * The quantile, in ms, of the histogram `state`, whose counts add up to `ends`, between `shortest` and
 * `longest`, in ns; null without one. As `service_quantiles` in schemas/clickhouse/0024_quantile_state.sql.
 */
function estimate(quantile: number): string {
  const position = `(${quantile} * (spans - 1))`;
  const [low, high] = [
    `toInt64(${position})`,
    `least(toInt64(${position}) + 1, toInt64(spans) - 1)`,
  ].map(valueAt);
  return `if(spans = 0 OR arraySum(state.2) != spans, NULL,
    (${low} + (${position} - floor(${position})) * (${high} - ${low})) / 1e6)`;
}

/** The duration, in ns, that has a rank from 0 on: durations in a bucket are taken as evenly spread. */
function valueAt(rank: string): string {
  const found = `arrayFirstIndex(end -> end > ${rank}, ends)`;
  return `arrayMap(
      (bucket, count, end, shift) -> greatest(shortest, least(longest,
        toFloat64(bitShiftLeft(toUInt64(bucket - 64 * shift), shift))
          + (bitShiftLeft(toUInt64(1), shift) - 1) * ((${rank} + 0.5 - (end - count)) / count))),
      [state.1[${found}]], [state.2[${found}]], [ends[${found}]],
      [toUInt8(greatest(intDiv(state.1[${found}], 64), 1) - 1)])[1]`;
}
