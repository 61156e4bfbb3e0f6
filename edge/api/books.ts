/** Resources about how far figures can be trusted: runs, completeness, drift. Only data. */
import * as z from 'zod/mini';
import { bound, date, described, limit, range, resource, text, where } from './resource.ts';

const signal = z.optional(described(z.enum(['traces', 'logs', 'metrics']), 'Only this signal'));

const run = {
  signal: z.string(),
  period: described(z.string(), 'Begin of the day or hour'),
  periodKind: z.enum(['day', 'hour']),
  runId: z.string(),
  publishedAt: z.string(),
  isFinal: z.boolean(),
  watermark: described(z.string(), 'Everything received before this is in the run'),
};

const runColumns = `signal, period_start AS period, period_kind AS periodKind, run_id AS runId,
  published_at AS publishedAt, is_final AS isFinal, watermark`;

/** What a run counts is of all tenants, so it stays out of both. */
export const completeness = resource({
  path: '/completeness',
  name: 'completeness',
  summary: 'The run that is current for each day and hour, the latest first',
  query: z.object({ ...range, signal, limit }),
  row: z.object(run),
  read: (asked) => ({
    sql: `SELECT ${runColumns} FROM batch_current ${where([
      ...withinPeriods,
      asked.signal !== undefined && 'signal = {signal:String}',
    ])} ORDER BY period DESC, signal, periodKind LIMIT {rows:UInt32}`,
    parameters: parametersOf(asked),
  }),
});

export const runs = resource({
  path: '/runs',
  name: 'runs',
  summary: 'Published runs, the latest first',
  query: z.object({ ...range, signal, limit }),
  row: z.object({ ...run, codeVersion: z.string(), elapsedMs: z.int() }),
  read: (asked) => ({
    sql: `SELECT ${runColumns}, code_version AS codeVersion, elapsed_ms AS elapsedMs
      FROM batch_runs ${where([
        ...withinPeriods,
        asked.signal !== undefined && 'signal = {signal:String}',
      ])} ORDER BY publishedAt DESC, runId LIMIT {rows:UInt32}`,
    parameters: parametersOf(asked),
  }),
});

const withinPeriods = [
  'period_start >= toDate(fromUnixTimestamp64Milli({from:Int64}))',
  'period_start < fromUnixTimestamp64Milli({to:Int64})',
];

function parametersOf(asked: { fromMs: number; toMs: number; rowsMax: number; signal?: unknown }) {
  return bound({
    from: asked.fromMs,
    to: asked.toMs,
    rows: asked.rowsMax,
    signal: asked.signal as string | undefined,
  });
}

const error = described(z.nullable(z.number()), 'Realtime / batch - 1');

export const drift = resource({
  path: '/drift',
  name: 'drift',
  summary: 'Batch beside realtime for one day that has a run, by service and operation',
  query: z.object({ date, service: text('Only this service'), limit }),
  row: z.object({
    service: z.string(),
    operation: z.string(),
    kind: z.string(),
    runId: z.string(),
    batchSpans: z.int(),
    realtimeSpans: z.int(),
    duplicates: z.int(),
    batchErrors: z.int(),
    realtimeErrors: z.int(),
    spansError: error,
    p50Error: error,
    p95Error: error,
    p99Error: error,
  }),
  read: (asked) => ({
    sql: `SELECT service_name AS service, operation_name AS operation, span_kind AS kind,
        run_id AS runId, batch_total_spans AS batchSpans, realtime_total_spans AS realtimeSpans,
        duplicate_spans AS duplicates, batch_error_count AS batchErrors,
        realtime_error_count AS realtimeErrors, total_spans_error AS spansError,
        p50_error AS p50Error, p95_error AS p95Error, p99_error AS p99Error
      FROM service_drift ${where([
        'date = {date:Date}',
        'tenant_id = {tenant:String}',
        asked.service !== undefined && 'service_name = {service:String}',
      ])} ORDER BY abs(ifNull(spansError, 1)) DESC, service, operation, kind LIMIT {rows:UInt32}`,
    parameters: bound({ date: asked.date, service: asked.service, rows: asked.rowsMax }),
  }),
});
