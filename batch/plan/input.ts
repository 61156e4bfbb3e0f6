/** Lists what a period's figures of a signal are computed from. Reads commits, no data. */
import type { Signal } from '../../schemas/archive.ts';
import { periodsLookedAtOnce } from '../../schemas/limits/batch.ts';
import type { Period } from '../../schemas/period.ts';
import {
  listLiveFiles,
  readPartitions,
  type PeriodFile,
} from '../../workers/clients/commits/archive.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { mapParallel } from '../../workers/clients/parallel.ts';
import { leastWatermark } from '../../workers/clients/commits/watermark.ts';
import { signalBatches } from '../signals.ts';

export interface BatchInput {
  readonly period: Period;
  /**
   * Files to read, those of the hours that lead up to the period included. Quarantined ones are not
   * among them: their rows lie under the hour of their receipt, which is not their own.
   */
  readonly files: readonly PeriodFile[];
  /** How many of them are of the period itself. */
  readonly ownFiles: number;
  readonly commitKeys: readonly string[];
  /** Of what the figures are a function of; equal for equal input. */
  readonly inputHash: string;
  /** Rows that retention took away: the files are not the whole input any more unless 0. */
  readonly rowsRemoved: number;
  /** Everything received before this time, ms since 1970, is in the files. */
  readonly watermarkMs: number;
}

/** The input of one period. Throws what the store throws. */
export async function listInput(
  store: ObjectStore,
  signal: Signal,
  period: Period,
): Promise<BatchInput> {
  const watermarkMs = await readWatermark(store, signal);
  return { ...(await listFiles(store, signal, period)), watermarkMs };
}

/** The inputs of the periods, in their order. Throws what the store throws. */
export async function listInputs(
  store: ObjectStore,
  signal: Signal,
  periods: readonly Period[],
): Promise<BatchInput[]> {
  const watermarkMs = await readWatermark(store, signal);
  return mapParallel(periods, periodsLookedAtOnce, async (period) => {
    return { ...(await listFiles(store, signal, period)), watermarkMs };
  });
}

/** Is read before files are listed, so that all it vouches for is among them. */
async function readWatermark(store: ObjectStore, signal: Signal): Promise<number> {
  return leastWatermark(await readPartitions(store, signal));
}

async function listFiles(
  store: ObjectStore,
  signal: Signal,
  period: Period,
): Promise<Omit<BatchInput, 'watermarkMs'>> {
  const { startMs, endMs } = period;
  const fromMs = startMs - signalBatches[signal].leadMs;
  const listed = await listLiveFiles(store, signal, fromMs, endMs);
  const files = listed.files.filter((file) => !file.quarantined);
  return {
    period,
    files,
    ownFiles: files.filter((file) => file.hourMs >= startMs).length,
    commitKeys: listed.commitKeys,
    inputHash: listed.inputHash,
    rowsRemoved: listed.rowsRemoved,
  };
}
