/** Tests of the report for people. */
import { describe, expect, it } from 'vitest';
import { report } from '../../../dev/demo/report.ts';
import type { DemoResult } from '../../../dev/demo/result.ts';

const row = {
  date: '2026-11-21',
  service_name: 'cart',
  span_kind: 'Server',
  layer: 'batch' as const,
  run_id: 'r',
  is_final: true,
  p50_ms: 1.234,
  p95_ms: 2,
  p99_ms: 3,
  error_count: 4,
  unique_traces: 5,
};

const result: DemoResult = {
  ok: true,
  days: ['2026-11-21', '2026-11-22'],
  seed: 1,
  traffic: {
    requests: 9,
    repeatedRequests: 1,
    spans: 4000,
    repeatedSpans: 512,
    keptBackSpans: 0,
    lateSpans: 30,
    logRecords: 70,
    points: 8,
  },
  merged: Array.from({ length: 12 }, (_, index) => ({
    ...row,
    operation_name: `operation ${index}`,
    total_spans: 1000 - index,
  })),
  graph: Array.from({ length: 8 }, (_, index) => ({
    caller: 'web',
    callee: `service ${index}`,
    connection_type: index === 1 ? 'messaging_system' : '',
    calls: 2000 - index,
    errors: index,
    p50_ms: 1.5,
    p99_ms: 9,
  })),
  runs: [],
  corrected: {
    duplicateSpans: 512,
    lateSpans: 30,
    lateRows: 31,
    conflictSpans: 0,
    quantileErrors: [{ quantile: 'p50', operations: 12, median: 0.001, max: 0.0234 }],
  },
  proof: {
    archive: { rows: 12, figures: 132, differences: [] },
    logs: { rows: 7, figures: 28, differences: [] },
    metrics: { rows: 8, figures: 80, differences: [] },
    generator: { rows: 12, figures: 85, differences: ['cart GET /, spans: batch has 1, 2'] },
  },
  signals: {
    logs: [
      {
        service_name: 'cart',
        severity: 'ERROR',
        records: 60,
        with_trace: 59,
        example: 'x'.repeat(99),
      },
      { service_name: 'email', severity: 'INFO', records: 10, with_trace: 10, example: 'sent' },
    ],
    metrics: [{ table: 'otel_metrics_sum', points: 8, metrics: 2, services: 3 }],
    comparison: { rows: 5, figures: 6, differences: [] },
  },
  elapsedMs: 12_345,
};

describe('report()', () => {
  it('shows ten operations a day and the total over all', () => {
    const text = report(result);
    expect(text).toContain('operation 9');
    expect(text).not.toContain('operation 10');
    expect(text).toMatch(/2026-11-21 {2}batch +1 services +all 12 rows +11,934/);
  });

  it('shows the edges with most calls, and the total over all', () => {
    const text = report(result);
    expect(text).toContain('service_graph_batch: who called whom on 2026-11-21');
    expect(text).toMatch(/web +service 1 +messaging_system +1,999 +1 +1\.50 +9\.00/);
    expect(text).not.toContain('service 6');
    expect(text).toMatch(/all 8 edges +15,972 +28/);
  });

  it('shows logs by service and severity, and the metric tables', () => {
    const text = report(result);
    expect(text).toMatch(/cart +ERROR +60 +59 +x{56}\s/);
    expect(text).toMatch(/all +70 +69/);
    expect(text).toMatch(/otel_metrics_sum +8 +2 +3/);
    expect(text).toContain('equal (5 rows, 6 figures, 0 differences)');
  });

  it('shows what was corrected and both verdicts, with the differences of the one that failed', () => {
    const text = report(result);
    expect(text).toMatch(/duplicates removed +512 spans/);
    expect(text).toMatch(/p50 +0\.100 % +2\.340 % +12/);
    expect(text).toContain('equal (12 rows, 132 figures, 0 differences)');
    expect(text).toContain('log_stats_batch:                               equal (7 rows');
    expect(text).toContain('metric_histogram_batch: equal (8 rows, 80 figures');
    expect(text).toContain('NOT EQUAL (12 rows, 85 figures, 1 differences)');
    expect(text).toContain('cart GET /, spans: batch has 1, 2');
  });
});
