/**
 * Compares what Tidemark says of a day with what the generator knows of it: the end-to-end proof
 * that nothing was lost, counted twice or computed wrongly. Pure.
 */
import type { OperationTruth } from '../traffic/truth.ts';
import type { DedupRow, MergedRow } from './figures.ts';

export interface Comparison {
  /** Operations of the day, by either side. */
  readonly rows: number;
  /** Figures that were compared. */
  readonly figures: number;
  /** One line for each figure that differs. */
  readonly differences: readonly string[];
}

/** Quantiles in floating point may differ in the last bits of the interpolation. */
const relativeTolerance = 1e-12;

/** Every figure of the batch rows of one day against the generator's. */
export function compareWithTruth(
  rows: readonly MergedRow[],
  dedup: readonly DedupRow[],
  truth: readonly OperationTruth[],
): Comparison {
  const differences: string[] = [];
  let figures = 0;
  const check = (name: string, batch: number | undefined, generator: number): void => {
    figures += 1;
    if (batch !== undefined && isEqual(batch, generator)) return;
    differences.push(`${name}: batch has ${batch ?? 'nothing'}, the generator ${generator}`);
  };
  const byOperation = new Map(
    rows.map((row) => [`${row.service_name} ${row.operation_name} (${row.span_kind})`, row]),
  );
  for (const operation of truth) {
    const key = `${operation.service} ${operation.operation} (${operation.kind})`;
    const row = byOperation.get(key);
    byOperation.delete(key);
    const sorted = operation.durationsNs.toSorted((a, b) => a - b);
    check(`${key}, spans`, row?.total_spans, operation.spans);
    check(`${key}, errors`, row?.error_count, operation.errors);
    check(`${key}, traces`, row?.unique_traces, operation.traces.size);
    check(`${key}, p50`, row?.p50_ms, quantileMs(sorted, 0.5));
    check(`${key}, p95`, row?.p95_ms, quantileMs(sorted, 0.95));
    check(`${key}, p99`, row?.p99_ms, quantileMs(sorted, 0.99));
  }
  for (const key of byOperation.keys()) differences.push(`${key}: the generator made no such span`);
  for (const [service, repeated] of repeatedByService(truth)) {
    const row = dedup.find(({ service_name }) => service_name === service);
    check(`${service}, duplicates`, row?.duplicate_span_count, repeated);
  }
  return { rows: truth.length + byOperation.size, figures, differences };
}

/** Duplicates that were sent, by service. */
function repeatedByService(truth: readonly OperationTruth[]): Map<string, number> {
  const services = new Map<string, number>();
  for (const { service, repeated } of truth) {
    services.set(service, (services.get(service) ?? 0) + repeated);
  }
  return services;
}

/** Type 7 of Hyndman and Fan (1996): linear interpolation at rank (n - 1) q. */
function quantileMs(sortedNs: readonly number[], q: number): number {
  const rank = (sortedNs.length - 1) * q;
  const below = sortedNs[Math.floor(rank)] ?? Number.NaN;
  const above = sortedNs[Math.ceil(rank)] ?? Number.NaN;
  return (below + (above - below) * (rank - Math.floor(rank))) / 1e6;
}

function isEqual(a: number, b: number): boolean {
  return Math.abs(a - b) <= relativeTolerance * Math.max(Math.abs(a), Math.abs(b));
}
