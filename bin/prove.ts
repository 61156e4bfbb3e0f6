/** Proves the current runs of a day against the Parquet files that they were computed from. */
import { listInput } from '../batch/input.ts';
import { currentRuns } from '../batch/runs.ts';
import { startOfDay } from '../batch/schedule.ts';
import { signalBatches, signals } from '../batch/signals.ts';
import { verifyRun } from '../batch/verify.ts';
import type { VerifyReport } from '../batch/verify.ts';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import type { Settings } from '../schemas/settings.ts';
import type { ClickHouse } from '../workers/clients/clickhouse.ts';
import type { ObjectStore } from '../workers/clients/objects.ts';

export interface VerifyClients {
  readonly settings: Settings;
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
}

/** The signals that have a current run for the day. Throws NOT_FOUND when none has. */
export async function signalsOf(clickhouse: ClickHouse, date: string): Promise<Signal[]> {
  const found: Signal[] = [];
  for (const signal of signals) {
    if ((await currentRuns(clickhouse, signal, date, date)).has(date)) found.push(signal);
  }
  if (found.length > 0) return found;
  throw new TidemarkError('NOT_FOUND', `Cannot verify ${date}: no run is published for it`);
}

/**
 * Recomputes a signal of the day with ClickHouse's engine and compares every figure. Throws NOT_FOUND
 * when no run is current for it, BATCH_FAILED when files came after that run: then figures must differ.
 */
export async function proveDate(
  clients: VerifyClients,
  date: string,
  signal: Signal,
): Promise<{ runId: string; report: VerifyReport }> {
  const { settings, store, clickhouse } = clients;
  const run = (await currentRuns(clickhouse, signal, date, date)).get(date);
  if (!run) {
    const message = `Cannot verify ${date} (${signal}): no run is published for it`;
    throw new TidemarkError('NOT_FOUND', message);
  }
  const input = await listInput(store, signal, date);
  if (input.inputHash !== run.inputHash) {
    const message = `Cannot verify ${date} (${signal}): data came after its run; run the batch first`;
    throw new TidemarkError('BATCH_FAILED', message);
  }
  const report = await verifyRun({
    clickhouse,
    settings,
    date,
    runId: run.runId,
    keys: input.files.map(({ key }) => key),
    proofs: signalBatches[signal].proofs,
    periodMs: startOfDay(date),
    seriesMax: settings.TIDEMARK_BATCH_SERIES_MAX,
  });
  return { runId: run.runId, report };
}
