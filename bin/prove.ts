/** Proves the current run of a day against the Parquet files that it was computed from. */
import { currentRuns } from '../batch/runs.ts';
import { dayMs, startOfDay } from '../batch/schedule.ts';
import { verifyRun } from '../batch/verify.ts';
import type { VerifyReport } from '../batch/verify.ts';
import { TidemarkError } from '../schemas/errors.ts';
import type { Settings } from '../schemas/settings.ts';
import { listPeriodFiles } from '../workers/clients/archive.ts';
import type { ClickHouse } from '../workers/clients/clickhouse.ts';
import type { ObjectStore } from '../workers/clients/objects.ts';

export interface VerifyClients {
  readonly settings: Settings;
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
}

/**
 * Recomputes the day with ClickHouse's engine and compares every figure. Throws NOT_FOUND when no run
 * is current for the day, BATCH_FAILED when files came after that run: then figures must differ.
 */
export async function proveDate(
  clients: VerifyClients,
  date: string,
): Promise<{ runId: string; report: VerifyReport }> {
  const { settings, store, clickhouse } = clients;
  const run = (await currentRuns(clickhouse, date, date)).get(date);
  if (!run)
    throw new TidemarkError('NOT_FOUND', `Cannot verify ${date}: no run is published for it`);
  const startMs = startOfDay(date);
  const period = await listPeriodFiles(store, 'traces', startMs, startMs + dayMs);
  if (period.inputHash !== run.inputHash) {
    const message = `Cannot verify ${date}: data came after its run; run the batch for it first`;
    throw new TidemarkError('BATCH_FAILED', message);
  }
  const keys = period.files.filter((file) => !file.quarantined).map(({ key }) => key);
  const { runId } = run;
  return { runId, report: await verifyRun({ clickhouse, settings, date, runId, keys }) };
}
