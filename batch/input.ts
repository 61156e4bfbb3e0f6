/** Lists what a period's figures of a signal are computed from. Reads commits, no data. */
import type { Signal } from '../schemas/archive.ts';
import type { Period } from '../schemas/period.ts';
import { listPeriodFiles, type PeriodFile } from '../workers/clients/archive.ts';
import type { ObjectStore } from '../workers/clients/objects.ts';
import { signalBatches } from './signals.ts';

export interface BatchInput {
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
  { startMs, endMs }: Period,
): Promise<BatchInput> {
  const fromMs = startMs - signalBatches[signal].leadMs;
  const listed = await listPeriodFiles(store, signal, fromMs, endMs);
  const files = listed.files.filter((file) => !file.quarantined);
  return {
    files,
    ownFiles: files.filter((file) => file.hourMs >= startMs).length,
    commitKeys: listed.commitKeys,
    inputHash: listed.inputHash,
    rowsRemoved: listed.rowsRemoved,
    watermarkMs: listed.watermarkMs,
  };
}
