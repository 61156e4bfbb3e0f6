/** The batch as the scheduler starts it: looks at the archive and brings single periods up to date. */
import type { Signal } from '../../schemas/archive.ts';
import { readPartitions } from '../../workers/clients/commits/archive.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { leastWatermark } from '../../workers/clients/commits/watermark.ts';
import { lookForDue } from '../due.ts';
import { runBatch, type BatchOptions } from '../run.ts';
import { signalsOf } from '../signals.ts';
import type { Watermarks } from './agenda.ts';
import type { Work } from './leader.ts';

export type WorkOptions = Omit<BatchOptions, 'period' | 'of' | 'force' | 'onProgress' | 'signal'>;

/** The real work. Its functions throw what the store and ClickHouse throw. */
export function batchWork(options: WorkOptions): Work {
  return {
    look: (kind) => lookForDue({ ...options, kind }),
    signals: (kind) => signalsOf(kind),
    watermarks: (signals) => readWatermarks(options.store, signals),
    run: (period, of, given) => runBatch({ ...options, period, of, ...given }),
  };
}

async function readWatermarks(store: ObjectStore, signals: readonly Signal[]): Promise<Watermarks> {
  const read: Partial<Record<Signal, number>> = {};
  for (const signal of signals) {
    read[signal] = leastWatermark(await readPartitions(store, signal));
  }
  return read;
}
