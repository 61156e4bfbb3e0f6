/** The shape of the demo's result, which `--json` prints as it is. */
import type { TrafficCounts } from '../traffic.ts';
import type { Comparison } from './compare.ts';
import type { EdgeRow, MergedRow, QuantileError, RunRow } from './figures.ts';
import type { LogRow, MetricRow } from './signals.ts';

export interface DemoResult {
  /** True when all proofs are equal and everything sent was archived. */
  readonly ok: boolean;
  /** Yesterday and today, UTC. */
  readonly days: readonly [string, string];
  readonly seed: number;
  readonly traffic: TrafficCounts & {
    /** Distinct spans that arrived after the first run. */
    readonly lateSpans: number;
  };
  /** Every row of `service_stats_merged` of both days. */
  readonly merged: readonly MergedRow[];
  /** The service graph of yesterday's current run, the edges with most calls first. */
  readonly graph: readonly EdgeRow[];
  /** The runs of yesterday, oldest first. */
  readonly runs: readonly RunRow[];
  readonly corrected: {
    readonly duplicateSpans: number;
    /** Distinct spans that the second run has and the first had not. */
    readonly lateSpans: number;
    /** Rows that the second run read and the first had not: late spans and their duplicates. */
    readonly lateRows: number;
    readonly conflictSpans: number;
    readonly quantileErrors: readonly QuantileError[];
  };
  readonly proof: {
    /** Batch tables against ClickHouse's engine over the Parquet files. */
    readonly archive: Comparison;
    /** The same of yesterday's logs, and of today's metrics so far. */
    readonly logs: Comparison;
    readonly metrics: Comparison;
    /** Batch tables against the generator's tally. */
    readonly generator: Comparison;
  };
  /** Logs and metrics, as ClickHouse has them. */
  readonly signals: {
    readonly logs: readonly LogRow[];
    readonly metrics: readonly MetricRow[];
    /** Against the generator's tally. */
    readonly comparison: Comparison;
  };
  readonly elapsedMs: number;
  /** Where the data is, when it was kept. */
  readonly data?: string;
}
