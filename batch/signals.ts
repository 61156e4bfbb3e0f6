/** The signals of the batch as data: everything that differs between them is named here. */
import type { Signal } from '../schemas/archive.ts';
import { kernelLogRowBytes, kernelRowBytes } from '../schemas/limits/batch.ts';
import { logProof } from './logs/proof.ts';
import { logTables, mergeLogs } from './logs/tables.ts';
import { startLogWork } from './logs/work.ts';
import { spanProof } from './traces/proof.ts';
import { mergeSpans, spanTables } from './traces/tables.ts';
import { startSpanWork } from './traces/work.ts';
import type { SignalBatch } from './work.ts';

export const signalBatches: Readonly<Record<Signal, SignalBatch>> = {
  traces: {
    signal: 'traces',
    items: 'spans',
    kernel: 'aggregate',
    rowBytes: kernelRowBytes,
    leadMs: 0,
    tables: spanTables,
    startWork: startSpanWork,
    merge: mergeSpans,
    proofs: [spanProof],
  },
  logs: {
    signal: 'logs',
    items: 'log records',
    kernel: 'aggregatelogs',
    rowBytes: kernelLogRowBytes,
    leadMs: 0,
    tables: logTables,
    startWork: startLogWork,
    merge: mergeLogs,
    proofs: [logProof],
  },
  metrics: undefined as never,
};

/** The order in which the signals of a day are computed. */
export const signals: readonly Signal[] = ['traces', 'logs'];
