import { describe, expect, it } from 'vitest';
import { spanSlices } from '../../../batch/traces/slices.ts';

const ends = (all: readonly bigint[]) => all.toSorted((a, b) => (a < b ? -1 : 1));

/** What a slice says of durations next to a published quantile, as its query does. */
function nearby(durations: readonly bigint[], published: bigint) {
  const below = durations.filter((one) => one < published);
  const within = durations.filter((one) => one === published);
  const above = durations.filter((one) => one > published);
  return [
    String(below.length),
    String(ends(below).at(-1) ?? 0n),
    within.length === 0 ? [[], []] : [[String(published)], [String(within.length)]],
    String(above.length),
    String(ends(above)[0] ?? 0n),
  ];
}

function slice(durations: readonly bigint[], published: bigint) {
  const sorted = durations.toSorted((a, b) => (a < b ? -1 : 1));
  const near = nearby(durations, published);
  return {
    total_spans: String(durations.length),
    duplicate_spans: '1',
    error_count: '0',
    unique_traces: '2',
    conflict_spans: '0',
    total: String(durations.reduce((sum, one) => sum + one, 0n)),
    least: String(sorted[0] ?? 0n),
    greatest: String(sorted.at(-1) ?? 0n),
    p50_ms_nearby: near,
    p95_ms_nearby: near,
    p99_ms_nearby: near,
    quantile_state: { buckets: [], counts: [] },
    folded_names: [],
    folded_spans: [[], []],
  };
}

function figuresOf(slices: readonly (readonly bigint[])[], published: bigint) {
  const [first, ...rest] = slices.map((durations) => slice(durations, published));
  if (first === undefined) throw new Error('Bug: no slice');
  return spanSlices.finish(
    rest.reduce<Readonly<Record<string, unknown>>>((sum, part) => spanSlices.add(sum, part), first),
  );
}

describe('spanSlices', () => {
  it('finds the median of slices, between two durations and on one', () => {
    expect(figuresOf([[1n, 9n], [], [3n, 4n]], 3n)).toMatchObject({
      total_spans: '4',
      duplicate_spans: '3',
      min_ms: 1e-6,
      max_ms: 9e-6,
      mean_ms: 4.25e-6,
      p50_ms: 3.5e-6,
    });
    expect(
      figuresOf(
        [
          [5n, 5n],
          [5n, 1n, 8n],
        ],
        5n,
      ),
    ).toMatchObject({ p50_ms: 5e-6 });
  });

  it('says that a published quantile is not near it', () => {
    const { p50_ms: median } = figuresOf(
      [
        [1n, 2n, 3n],
        [4n, 5n, 6n, 7n],
      ],
      6n,
    );
    expect(median).toBe('not near it: 5 of 7 durations are below, 1 above');
    expect(figuresOf([[1n, 2n], [7n]], 1n)).toMatchObject({ p50_ms: 2e-6 });
  });

  it('has no figures of a group without spans', () => {
    expect(figuresOf([[], []], 0n)).toMatchObject({ p50_ms: 'nan', min_ms: 'nan', mean_ms: 'nan' });
  });
});
