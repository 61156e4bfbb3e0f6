/**
 * Proves the current runs of a period against the Parquet files that they were computed from, and compares
 * them with the speed layer. The work is in `batch/verify.ts` and `batch/drift.ts`.
 */
import { compareLayers, storeDrift } from '../batch/drift.ts';
import type { DriftProgress, ServiceDrift } from '../batch/drift.ts';
import { listInput, type BatchInput } from '../batch/plan/input.ts';
import { currentRun, type PublishedRun } from '../batch/publish/runs.ts';
import { publishedOf, signalBatches, signalsOf } from '../batch/signals.ts';
import { verifyRun } from '../batch/verify.ts';
import type { VerifyProgress, VerifyReport } from '../batch/verify.ts';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import type { Period } from '../schemas/period.ts';
import type { Settings } from '../schemas/settings.ts';
import type { ClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectStore } from '../workers/clients/store/objects.ts';

export interface VerifyClients {
  readonly settings: Settings;
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
}

export interface ProveOptions<Progress> {
  readonly onProgress?: (progress: Progress) => void;
  /** Stops between two queries. */
  readonly signal?: AbortSignal;
}

/** The signals that have a current run for the period. Throws NOT_FOUND when none has: nothing to `verb`. */
export async function publishedSignals(
  clickhouse: ClickHouse,
  period: Period,
  verb: string,
): Promise<Signal[]> {
  const found: Signal[] = [];
  for (const signal of signalsOf(period.kind)) {
    if ((await currentRun(clickhouse, signal, period)) !== undefined) found.push(signal);
  }
  if (found.length > 0) return found;
  throw new TidemarkError('NOT_FOUND', `Cannot ${verb} ${period.name}: no run is published for it`);
}

/**
 * Recomputes a signal of the period with ClickHouse's engine and compares every figure. Throws NOT_FOUND
 * when no run is current for it, BATCH_FAILED when files came after that run, or retention took rows of it:
 * then figures must differ.
 */
export async function provePeriod(
  clients: VerifyClients,
  period: Period,
  signal: Signal,
  options: ProveOptions<VerifyProgress> = {},
): Promise<{ runId: string; report: VerifyReport }> {
  const { settings, clickhouse } = clients;
  const { run, input } = await runAndInput(clients, period, signal, 'verify');
  const report = await verifyRun({
    ...options,
    clickhouse,
    settings,
    period,
    runId: run.runId,
    keys: input.files.map(({ key }) => key),
    rows: input.files.reduce((sum, file) => sum + file.rows, 0),
    proofs: publishedOf(signal, period.kind).proofs,
    periodMs: period.startMs,
    seriesMax: settings.TIDEMARK_BATCH_SERIES_MAX,
    edgesMax: settings.TIDEMARK_BATCH_EDGES_MAX,
    operationsMax: settings.TIDEMARK_BATCH_OPERATIONS_MAX,
  });
  return { runId: run.runId, report };
}

/**
 * Compares the current run of a signal with the speed tables, and stores the result in `layer_drift`. Throws
 * as `provePeriod` does.
 */
export async function driftOfPeriod(
  clients: VerifyClients,
  period: Period,
  signal: Signal,
  { nowMs, ...options }: ProveOptions<DriftProgress> & { readonly nowMs: () => number },
): Promise<{ runId: string; services: ServiceDrift[] }> {
  const { settings, clickhouse } = clients;
  const { run, input } = await runAndInput(clients, period, signal, 'compare');
  const { runId } = run;
  const services = await compareLayers({
    ...options,
    clickhouse,
    settings,
    of: signal,
    drift: signalBatches[signal].drift,
    table: publishedOf(signal, period.kind).tables[0] ?? '',
    period,
    runId,
    files: input.files.filter((file) => file.hourMs >= period.startMs),
  });
  await storeDrift(clickhouse, services, { signal, period, runId, nowMs: nowMs() });
  return { runId, services };
}

/** The current run and the files that it read. `action` begins what errors say. */
async function runAndInput(
  { store, clickhouse }: VerifyClients,
  period: Period,
  signal: Signal,
  action: string,
): Promise<{ run: PublishedRun; input: BatchInput }> {
  const run = await currentRun(clickhouse, signal, period);
  const name = `${period.name} (${signal})`;
  if (!run) {
    const message = `Cannot ${action} ${name}: no run is published for it`;
    throw new TidemarkError('NOT_FOUND', message);
  }
  const input = await listInput(store, signal, period);
  if (input.inputHash !== run.inputHash) {
    const message = `Cannot ${action} ${name}: data came after its run; run the batch first`;
    throw new TidemarkError('BATCH_FAILED', message);
  }
  const own = input.files.filter(({ hourMs }) => hourMs >= period.startMs);
  const gone = run.rowsRead - own.reduce((sum, { rows }) => sum + rows, 0);
  // A run that was forced after retention has read what was left.
  if (input.rowsRemoved === 0 || gone === 0) return { run, input };
  const message = `Cannot ${action} ${name}: retention has taken ${gone} of the rows that its run had`;
  throw new TidemarkError('BATCH_FAILED', message);
}
