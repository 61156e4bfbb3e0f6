/**
 * Makes runs current: one row of `batch_runs`, which every view goes by. Who does so while another does the same
 * looks afterwards, and puts on top what is there when one comes after the other: a rollback that did not know
 * of a new run goes before it, a confirmation before the rollback. Removes nothing.
 */
import { dateTime } from '../../schemas/period.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { currentRun, publishedSince, type PublishedRun } from './runs.ts';
import type { TableRow } from '../work.ts';

type UnpublishedRun = Omit<PublishedRun, 'publishedAtMs'>;

export interface CurrentOptions {
  /** Current time, ms since 1970. */
  readonly clock: () => number;
  /** When the run that is current by now was published; the row is later than that. */
  readonly previousMs: number;
}

/**
 * Makes a run that is in the tables current: one row. Looks at nobody else. Throws `ClickHouseError`.
 */
export async function makeCurrent(
  clickhouse: ClickHouse,
  run: UnpublishedRun,
  { clock, previousMs }: CurrentOptions,
): Promise<PublishedRun> {
  // The views take the run that was published last: clocks of two machines must not decide it.
  const publishedAtMs = Math.max(clock(), previousMs + 1);
  const published = { ...run, publishedAtMs };
  await clickhouse.insertRows('batch_runs', [runRow(published)], { idempotent: true });
  return published;
}

/**
 * Makes a computed run current, over rollbacks that do not know its input. Throws `ClickHouseError`; the run may
 * be current then.
 */
export async function makeComputedCurrent(
  clickhouse: ClickHouse,
  run: UnpublishedRun,
  { clock, previousMs }: CurrentOptions,
): Promise<PublishedRun> {
  const before = await currentRun(clickhouse, run.signal, run.period);
  const sinceMs = Math.max(previousMs, before?.publishedAtMs ?? 0);
  const published = await makeCurrent(clickhouse, run, { clock, previousMs: sinceMs });
  const last = (await publishedSince(clickhouse, run.signal, run.period, sinceMs)).at(-1);
  const isOurs = last === undefined || last.runId === run.runId;
  if (isOurs || last.cause !== 'restored' || last.seenHash === run.seenHash) return published;
  return makeCurrent(clickhouse, run, { clock, previousMs: last.publishedAtMs });
}

/**
 * Makes the current run current again, as final; `undefined` when it is not current any more, or another
 * was restored at the same time, which is current then. Throws `ClickHouseError`.
 */
export async function confirmCurrent(
  clickhouse: ClickHouse,
  current: PublishedRun,
  confirmed: UnpublishedRun,
  clock: () => number,
): Promise<PublishedRun | undefined> {
  const { signal, period, publishedAtMs: sinceMs } = current;
  const before = await currentRun(clickhouse, signal, period);
  if (before?.publishedAtMs !== sinceMs || before.runId !== current.runId) return undefined;
  const published = await makeCurrent(clickhouse, confirmed, { clock, previousMs: sinceMs });
  const rows = await publishedSince(clickhouse, signal, period, sinceMs);
  const restored = rows.findLast(({ cause }) => cause === 'restored');
  if (restored === undefined) return published;
  await keepOnTop(clickhouse, restored, rows, clock);
  return undefined;
}

/**
 * Makes an earlier run current instead of `current`. Returns it, or the run that was computed at the same time,
 * which is current then. Throws `ClickHouseError`.
 */
export async function restoreCurrent(
  clickhouse: ClickHouse,
  current: PublishedRun,
  restored: UnpublishedRun,
  clock: () => number,
): Promise<PublishedRun> {
  const { signal, period, publishedAtMs: sinceMs } = current;
  const published = await makeCurrent(clickhouse, restored, { clock, previousMs: sinceMs });
  const rows = await publishedSince(clickhouse, signal, period, sinceMs);
  const computed = rows.findLast(({ cause }) => cause === 'computed');
  const rollbacks = rows.filter(({ cause }) => cause === 'restored');
  return keepOnTop(clickhouse, computed ?? rollbacks.at(-1) ?? published, rows, clock);
}

/** The run, current. */
async function keepOnTop(
  clickhouse: ClickHouse,
  run: PublishedRun,
  rows: readonly PublishedRun[],
  clock: () => number,
): Promise<PublishedRun> {
  const last = rows.at(-1);
  if (last === undefined || last.runId === run.runId) return last ?? run;
  return makeCurrent(clickhouse, run, { clock, previousMs: last.publishedAtMs });
}

function runRow(run: PublishedRun): TableRow {
  return {
    signal: run.signal,
    period_kind: run.period.kind,
    period_start: dateTime(run.period.startMs),
    run_id: run.runId,
    published_at: new Date(run.publishedAtMs).toISOString(),
    is_final: run.isFinal,
    watermark: new Date(run.watermarkMs).toISOString(),
    input_hash: run.inputHash,
    seen_hash: run.seenHash,
    cause: run.cause,
    commits: run.commits,
    files: run.files,
    rows_read: run.rowsRead,
    total_spans: run.totalSpans,
    duplicate_spans: run.duplicateSpans,
    conflict_spans: run.conflictSpans,
    late_spans: run.lateSpans,
    folded_operations: run.foldedOperations,
    shards: run.shards,
    elapsed_ms: run.elapsedMs,
    list_ms: run.listMs,
    compute_ms: run.computeMs,
    merge_ms: run.mergeMs,
    publish_ms: run.publishMs,
    code_version: run.codeVersion,
  };
}
