/** Writes the demo's result for people. Only formats: every figure comes in. */
import { table } from '../table.ts';
import type { DemoResult } from './result.ts';
import type { MergedRow } from './figures.ts';

/** Operations of each day that the table shows. */
const shownRows = 10;

/** The whole report, ending in a line break. */
export function report(result: DemoResult): string {
  return [
    '\nservice_stats_merged: what users read\n\n',
    ...result.days.map((day) => mergedTable(day, result.merged)),
    graphTable(result),
    logTable(result),
    metricTable(result),
    corrections(result),
    proofs(result),
    closing(result),
  ].join('');
}

function mergedTable(day: string, merged: readonly MergedRow[]): string {
  const rows = merged.filter(({ date }) => date === day);
  const shown = rows
    .slice(0, shownRows)
    .map((row) => [
      row.date,
      row.layer + (row.layer === 'batch' && !row.is_final ? ' (provisional)' : ''),
      row.service_name,
      row.operation_name,
      row.span_kind,
      count(row.total_spans),
      row.p50_ms.toFixed(2),
      row.p95_ms.toFixed(2),
      row.p99_ms.toFixed(2),
      count(row.error_count),
      count(row.unique_traces),
    ]);
  const total = [
    day,
    rows[0]?.layer ?? 'none',
    `${new Set(rows.map(({ service_name }) => service_name)).size} services`,
    `all ${rows.length} rows`,
    '',
    count(sum(rows, ({ total_spans }) => total_spans)),
    '',
    '',
    '',
    count(sum(rows, ({ error_count }) => error_count)),
    '',
  ];
  const columns = [
    { title: 'date' },
    { title: 'layer' },
    { title: 'service_name' },
    { title: 'operation_name' },
    { title: 'span_kind' },
    ...['total_spans', 'p50_ms', 'p95_ms', 'p99_ms', 'error_count', 'unique_traces'].map(
      (title) => ({ title, align: 'right' as const }),
    ),
  ];
  return `${table(columns, [...shown, total], '  ')}\n`;
}

/** Edges of the service graph that the table shows. */
const shownEdges = 6;

function graphTable({ graph, days }: DemoResult): string {
  const rows = graph
    .slice(0, shownEdges)
    .map((row) => [
      row.caller,
      row.callee,
      row.connection_type,
      count(row.calls),
      count(row.errors),
      row.p50_ms.toFixed(2),
      row.p99_ms.toFixed(2),
    ]);
  const columns = [
    { title: 'caller' },
    { title: 'callee' },
    { title: 'connection_type' },
    ...['calls', 'errors', 'p50_ms', 'p99_ms'].map((title) => ({
      title,
      align: 'right' as const,
    })),
  ];
  const calls = sum(graph, (row) => row.calls);
  const errors = sum(graph, (row) => row.errors);
  const all = [`all ${graph.length} edges`, '', '', count(calls), count(errors), '', ''];
  return `service_graph_batch: who called whom on ${days[0]}\n\n${table(columns, [...rows, all], '  ')}\n`;
}

/** Services and severities of logs that the table shows. */
const shownLogRows = 8;

function logTable({ signals: { logs } }: DemoResult): string {
  const rows = logs
    .slice(0, shownLogRows)
    .map((row) => [
      row.service_name,
      row.severity,
      count(row.records),
      count(row.with_trace),
      row.example.slice(0, 56),
    ]);
  const total = sum(logs, ({ records }) => records);
  const traced = sum(logs, ({ with_trace: withTrace }) => withTrace);
  const columns = [
    { title: 'service_name' },
    { title: 'severity' },
    { title: 'records', align: 'right' as const },
    { title: 'with their trace', align: 'right' as const },
    { title: 'such as' },
  ];
  const all = ['all', '', count(total), count(traced), ''];
  return `otel_logs: what services said\n\n${table(columns, [...rows, all], '  ')}\n`;
}

function metricTable({ signals: { metrics } }: DemoResult): string {
  const columns = [
    { title: 'table' },
    ...['data points', 'metrics', 'services'].map((title) => ({
      title,
      align: 'right' as const,
    })),
  ];
  const rows = metrics.map((row) => [
    row.table,
    count(row.points),
    count(row.metrics),
    count(row.services),
  ]);
  return `otel_metrics_*: what services measured\n\n${table(columns, rows, '  ')}\n`;
}

function corrections(result: DemoResult): string {
  const { corrected, days } = result;
  const errors = corrected.quantileErrors.map(({ quantile, operations, median, max }) => [
    quantile,
    percent(median),
    percent(max),
    count(operations),
  ]);
  const columns = [
    { title: 'quantile' },
    ...['median error', 'largest error', 'operations'].map((title) => ({
      title,
      align: 'right' as const,
    })),
  ];
  return `What batch corrected on ${days[0]}

  duplicates removed  ${count(corrected.duplicateSpans)} spans, of requests delivered twice
  late spans added    ${count(corrected.lateSpans)} spans, which came after the first run

  The speed layer's quantiles against the exact ones:

${table(columns, errors, '  ')}
`;
}

function proofs(result: DemoResult): string {
  const { archive, logs, metrics, generator } = result.proof;
  return `The proof

  ClickHouse's own engine, straight from the Parquet files:  ${verdict(archive)}
  the same of log_stats_batch:                               ${verdict(logs)}
  the same of metric_stats_batch and metric_histogram_batch: ${verdict(metrics)}
  the generator's own tally of what it sent:                 ${verdict(generator)}
  its log records, and its counters against its spans:       ${verdict(result.signals.comparison)}
`;
}

function verdict(proof: { rows: number; figures: number; differences: readonly string[] }): string {
  const { rows, figures, differences } = proof;
  const compared = `${count(rows)} rows, ${count(figures)} figures`;
  if (differences.length === 0) return `equal (${compared}, 0 differences)`;
  const listed = differences.slice(0, 10).map((line) => `\n    ${line}`);
  return `NOT EQUAL (${compared}, ${differences.length} differences)${listed.join('')}`;
}

function closing(result: DemoResult): string {
  const { traffic, elapsedMs, data } = result;
  const kept = data === undefined ? '' : `  The data stays in ${data}\n`;
  const seconds = (elapsedMs / 1000).toFixed(1);
  const spans = count(traffic.spans + traffic.repeatedSpans);
  return `\n${kept}  ${spans} spans in ${count(traffic.requests)} requests, ${seconds} s in all\n`;
}

function sum<T>(rows: readonly T[], value: (row: T) => number): number {
  return rows.reduce((total, row) => total + value(row), 0);
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(3)} %`;
}
