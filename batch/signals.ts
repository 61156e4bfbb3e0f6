/** The signals of the batch as data: everything that differs between them is named here. */
import type { Signal } from '../schemas/archive.ts';
import { SettingError } from '../schemas/errors.ts';
import {
  kernelBaseBytes,
  kernelGraphBaseBytes,
  kernelGraphRowBytes,
  kernelLogRowBytes,
  kernelPointRowBytes,
  kernelRowBytes,
  metricLeadMs,
} from '../schemas/limits/batch.ts';
import type { PeriodKind } from '../schemas/period.ts';
import { logDrift } from './logs/drift.ts';
import { logProof } from './logs/proof.ts';
import { logTables, mergeLogs } from './logs/tables.ts';
import { startLogWork } from './logs/work.ts';
import { pointDrift } from './metrics/drift.ts';
import { histogramProof, pointProof, summaryProof } from './metrics/proof.ts';
import { mergePoints, pointTables } from './metrics/tables.ts';
import { startPointWork } from './metrics/work.ts';
import { spanDrift } from './traces/drift.ts';
import { graphProof } from './traces/graphproof.ts';
import { graphSlices } from './traces/graphslices.ts';
import { dedupProof, spanProof } from './traces/proof.ts';
import { mergeSpans, spanHourTables, spanTables } from './traces/tables.ts';
import { startSpanWork } from './traces/work.ts';
import type { SignalBatch } from './work.ts';

export const signalBatches: Readonly<Record<Signal, SignalBatch>> = {
  traces: {
    signal: 'traces',
    items: 'spans',
    kernel: 'aggregate',
    memory: {
      baseBytes: kernelBaseBytes + kernelGraphBaseBytes,
      rowBytes: kernelRowBytes + kernelGraphRowBytes,
    },
    leadMs: 0,
    tables: spanTables,
    startWork: startSpanWork,
    merge: mergeSpans,
    proofs: [spanProof, dedupProof, { ...graphProof, slices: graphSlices }],
    drift: spanDrift,
    hours: {
      tables: spanHourTables,
      proofs: [{ ...spanProof, table: spanHourTables[0] }],
    },
  },
  logs: {
    signal: 'logs',
    items: 'log records',
    kernel: 'aggregatelogs',
    memory: { baseBytes: kernelBaseBytes, rowBytes: kernelLogRowBytes },
    leadMs: 0,
    tables: logTables,
    startWork: startLogWork,
    merge: mergeLogs,
    proofs: [logProof],
    drift: logDrift,
  },
  metrics: {
    signal: 'metrics',
    items: 'data points',
    kernel: 'aggregatepoints',
    memory: { baseBytes: kernelBaseBytes, rowBytes: kernelPointRowBytes },
    leadMs: metricLeadMs,
    tables: pointTables,
    startWork: startPointWork,
    merge: mergePoints,
    proofs: [pointProof, histogramProof, summaryProof],
    drift: pointDrift,
  },
};

/** The order in which the signals of a period are computed. */
export const signals: readonly Signal[] = ['traces', 'logs', 'metrics'];

/** Those that have runs of such periods, in the same order. */
export function signalsOf(kind: PeriodKind): readonly Signal[] {
  return kind === 'day' ? signals : signals.filter((signal) => signalBatches[signal].hours);
}

/**
 * The tables of a signal's runs of such periods, and their proofs. Throws `SettingError` for hour runs of
 * a signal whose day tables have the hours in them.
 */
export function publishedOf(
  signal: Signal,
  kind: PeriodKind,
): Pick<SignalBatch, 'tables' | 'proofs'> {
  const batch = signalBatches[signal];
  const published = kind === 'day' ? batch : batch.hours;
  if (published !== undefined) return published;
  throw new SettingError(
    'hour',
    `Cannot run hours of ${signal}: the day's run has the figures of each hour`,
  );
}
