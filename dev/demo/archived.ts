/** Waits until all that was sent lies in committed Parquet files. Only looks; the archiver works. */
import { setTimeout as pause } from 'node:timers/promises';
import { TidemarkError } from '../../schemas/errors.ts';
import { demoArchiveMs, demoPollMs } from '../../schemas/limits/dev.ts';
import type { Signal } from '../../schemas/archive.ts';
import { listPeriodFiles } from '../../workers/clients/commits/archive.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { archiveStatus } from '../../workers/clients/commits/status.ts';

export interface ArchivedOptions {
  readonly store: ObjectStore;
  /** UTC days that the items lie in. */
  readonly days: readonly string[];
  /** Rows of each signal that have to be there, duplicates included. */
  readonly rows: Readonly<Record<Signal, number>>;
  readonly monotonicMs: () => number;
  readonly onProgress: (waiting: { objects: number }) => void;
  readonly signal: AbortSignal;
}

const dayMs = 86_400_000;

/**
 * Resolves with the number of files once the spool is empty and the days hold exactly `rows` rows of
 * each signal.
 * Throws CORRUPT_ARCHIVE when they hold another number, PROGRAM_ENDED when it takes too long.
 */
export async function awaitArchived(options: ArchivedOptions): Promise<number> {
  const startMs = options.monotonicMs();
  while (options.monotonicMs() - startMs < demoArchiveMs) {
    options.signal.throwIfAborted();
    const { spools } = await archiveStatus(options.store);
    const objects = spools.reduce((sum, spool) => sum + spool.objects, 0);
    if (objects === 0) return await countFiles(options);
    options.onProgress({ objects });
    await pause(demoPollMs);
  }
  const message = `Archiving did not end within ${demoArchiveMs} ms: the archiver is stuck or gone`;
  throw new TidemarkError('PROGRAM_ENDED', message);
}

async function countFiles({ store, days, rows }: ArchivedOptions): Promise<number> {
  let fileCount = 0;
  for (const [signal, wanted] of Object.entries(rows) as [Signal, number][]) {
    const { files, found } = await countSignal(store, days, signal);
    fileCount += files;
    if (found === wanted) continue;
    throw new TidemarkError(
      'CORRUPT_ARCHIVE',
      `Cannot go on: the archive holds ${found} rows of ${signal}, ${wanted} were sent and taken`,
    );
  }
  return fileCount;
}

async function countSignal(store: ObjectStore, days: readonly string[], signal: Signal) {
  let [found, fileCount] = [0, 0];
  for (const day of days) {
    const startMs = Date.parse(`${day}T00:00:00Z`);
    const { files } = await listPeriodFiles(store, signal, startMs, startMs + dayMs);
    fileCount += files.length;
    found += files.reduce((sum, file) => sum + file.rows, 0);
  }
  return { files: fileCount, found };
}
