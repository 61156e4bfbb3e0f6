/** Lists what a day's figures of a signal are computed from. Reads commits, no data. */
import type { Signal } from '../schemas/archive.ts';
import { listPeriodFiles, type PeriodFile } from '../workers/clients/archive.ts';
import type { ObjectStore } from '../workers/clients/objects.ts';
import { dayMs, startOfDay } from './schedule.ts';
import { signalBatches } from './signals.ts';

export interface BatchInput {
  /**
   * Files to read, those of the hours that lead up to the day included. Quarantined ones are not
   * among them: their rows lie under the hour of their receipt, which is not their own.
   */
  readonly files: readonly PeriodFile[];
  /** How many of them are of the day itself. */
  readonly dayFiles: number;
  readonly commitKeys: readonly string[];
  /** Of what the figures are a function of; equal for equal input. */
  readonly inputHash: string;
  /** Rows that retention took away: the files are not the whole input any more unless 0. */
  readonly rowsRemoved: number;
  /** Everything received before this time, ms since 1970, is in the files. */
  readonly watermarkMs: number;
}

/** The input of one day. Throws what the store throws, and BAD_SETTING for a date that is none. */
export async function listInput(
  store: ObjectStore,
  signal: Signal,
  date: string,
): Promise<BatchInput> {
  const startMs = startOfDay(date);
  const fromMs = startMs - signalBatches[signal].leadMs;
  const period = await listPeriodFiles(store, signal, fromMs, startMs + dayMs);
  const files = period.files.filter((file) => !file.quarantined);
  return {
    files,
    dayFiles: files.filter((file) => file.hourMs >= startMs).length,
    commitKeys: period.commitKeys,
    inputHash: period.inputHash,
    rowsRemoved: period.rowsRemoved,
    watermarkMs: period.watermarkMs,
  };
}
