/** Tests of the comparison between the batch and the generator's own tally. */
import { describe, expect, it } from 'vitest';
import { compareWithTruth } from '../../../dev/demo/compare.ts';
import type { MergedRow } from '../../../dev/demo/figures.ts';
import type { OperationTruth } from '../../../dev/traffic/truth.ts';

const truth: OperationTruth = {
  day: '2026-11-21',
  service: 'cart',
  operation: 'GET /items',
  kind: 'Server',
  spans: 4,
  repeated: 2,
  errors: 1,
  traces: new Set(['a', 'b', 'c']),
  durationsNs: [4_000_000, 1_000_000, 3_000_000, 2_000_000],
};

// numpy.quantile([1, 2, 3, 4], [0.5, 0.95, 0.99]) = 2.5, 3.85, 3.97
const row: MergedRow = {
  date: '2026-11-21',
  service_name: 'cart',
  operation_name: 'GET /items',
  span_kind: 'Server',
  layer: 'batch',
  run_id: 'r',
  is_final: true,
  total_spans: 4,
  p50_ms: 2.5,
  p95_ms: 3.85,
  p99_ms: 3.97,
  error_count: 1,
  unique_traces: 3,
};

const dedup = {
  service_name: 'cart',
  raw_span_count: 6,
  deduped_span_count: 4,
  duplicate_span_count: 2,
};

describe('compareWithTruth()', () => {
  it('finds equal what is equal, quantiles by linear interpolation', () => {
    const comparison = compareWithTruth([row], [dedup], [truth]);
    expect(comparison).toEqual({ rows: 1, figures: 7, differences: [] });
  });

  it.each([
    [{ ...row, total_spans: 5 }, 'spans'],
    [{ ...row, error_count: 0 }, 'errors'],
    [{ ...row, unique_traces: 4 }, 'traces'],
    [{ ...row, p99_ms: 3.970_000_1 }, 'p99'],
  ])('names a figure that differs', (other, figure) => {
    const { differences } = compareWithTruth([other], [dedup], [truth]);
    expect(differences).toHaveLength(1);
    expect(differences[0]).toContain(`cart GET /items (Server), ${figure}: batch has`);
  });

  it('names operations and duplicates that one side lacks', () => {
    const extra = { ...row, operation_name: 'GET /ghost' };
    const { differences } = compareWithTruth([row, extra], [], [truth]);
    expect(differences).toEqual([
      'cart GET /ghost (Server): the generator made no such span',
      'cart, duplicates: batch has nothing, the generator 2',
    ]);
    expect(compareWithTruth([], [dedup], [truth]).differences).toHaveLength(6);
  });
});
