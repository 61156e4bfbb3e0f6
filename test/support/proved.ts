/** Asks ClickHouse whether a published run is what the archive's files say. */
import { expect } from 'vitest';
import { publishedOf } from '../../batch/signals.ts';
import { verifyRun } from '../../batch/verify.ts';
import type { Signal } from '../../schemas/archive.ts';
import { parsePeriod } from '../../schemas/period.ts';
import type { Stack } from './stack.ts';

/** All published figures of the run of a day or hour are those of the files, by each of the signal's proofs. */
export async function expectProved(
  { clickhouse, settings }: Pick<Stack, 'clickhouse' | 'settings'>,
  [of, name, runId]: readonly [of: Signal, name: string, runId: string],
  keys: readonly string[],
): Promise<void> {
  const period = parsePeriod(name);
  const verified = await verifyRun({
    clickhouse,
    settings,
    period,
    runId,
    keys,
    proofs: publishedOf(of, period.kind).proofs,
    periodMs: period.startMs,
    seriesMax: settings.TIDEMARK_BATCH_SERIES_MAX,
    edgesMax: settings.TIDEMARK_BATCH_EDGES_MAX,
    operationsMax: settings.TIDEMARK_BATCH_OPERATIONS_MAX,
  });
  expect(verified).toMatchObject({ equal: true, differences: [] });
  expect(verified.rows).toBeGreaterThan(0);
}
