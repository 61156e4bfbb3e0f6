/** Proves the current runs of a period against the Parquet files that they were computed from. */
import { listInput } from '../batch/input.ts';
import { currentRun } from '../batch/runs.ts';
import { publishedOf, signalsOf } from '../batch/signals.ts';
import { verifyRun } from '../batch/verify.ts';
import type { VerifyReport } from '../batch/verify.ts';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import type { Period } from '../schemas/period.ts';
import type { Settings } from '../schemas/settings.ts';
import type { ClickHouse } from '../workers/clients/clickhouse.ts';
import type { ObjectStore } from '../workers/clients/objects.ts';

export interface VerifyClients {
  readonly settings: Settings;
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
}

/** The signals that have a current run for the period. Throws NOT_FOUND when none has. */
export async function publishedSignals(clickhouse: ClickHouse, period: Period): Promise<Signal[]> {
  const found: Signal[] = [];
  for (const signal of signalsOf(period.kind)) {
    if ((await currentRun(clickhouse, signal, period)) !== undefined) found.push(signal);
  }
  if (found.length > 0) return found;
  throw new TidemarkError('NOT_FOUND', `Cannot verify ${period.name}: no run is published for it`);
}

/**
 * Recomputes a signal of the period with ClickHouse's engine and compares every figure. Throws NOT_FOUND
 * when no run is current for it, BATCH_FAILED when files came after that run: then figures must differ.
 */
export async function provePeriod(
  clients: VerifyClients,
  period: Period,
  signal: Signal,
): Promise<{ runId: string; report: VerifyReport }> {
  const { settings, store, clickhouse } = clients;
  const run = await currentRun(clickhouse, signal, period);
  const name = `${period.name} (${signal})`;
  if (!run) {
    const message = `Cannot verify ${name}: no run is published for it`;
    throw new TidemarkError('NOT_FOUND', message);
  }
  const input = await listInput(store, signal, period);
  if (input.inputHash !== run.inputHash) {
    const message = `Cannot verify ${name}: data came after its run; run the batch first`;
    throw new TidemarkError('BATCH_FAILED', message);
  }
  const report = await verifyRun({
    clickhouse,
    settings,
    period,
    runId: run.runId,
    keys: input.files.map(({ key }) => key),
    proofs: publishedOf(signal, period.kind).proofs,
    periodMs: period.startMs,
    seriesMax: settings.TIDEMARK_BATCH_SERIES_MAX,
  });
  return { runId: run.runId, report };
}
