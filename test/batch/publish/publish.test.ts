import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GroupStats } from '../../../batch/traces/merge.ts';
import { spanResults, spanTables } from '../../../batch/traces/tables.ts';
import { storedRuns } from '../../../batch/publish/partition.ts';
import { dropOldRuns, publishRun, type RunRecord } from '../../../batch/publish/publish.ts';
import { currentRun, publishedRunIds } from '../../../batch/publish/runs.ts';
import { ClickHouseError } from '../../../schemas/errors.ts';
import { debrisAgeMs, publishRowsPerInsert } from '../../../schemas/limits/batch.ts';
import { parsePeriod } from '../../../schemas/period.ts';
import type { ClickHouse } from '../../../workers/clients/clickhouse/clickhouse.ts';
import { startStack, type Stack } from '../../support/stack.ts';

const nowMs = Date.parse('2026-11-22T12:00:00.123Z');
let stack: Stack;
let runs = 0;

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.close());

describe('publishRun()', () => {
  it('makes the rows and the run visible, sums of services included', async () => {
    const groups = [
      group('a', 'cart', 'GET /', 10, 2),
      group('a', 'cart', '', 5, 0),
      group('a', 'pay', "o'd \\ \t", 1, 1),
      group('b', 'cart', 'GET /', 0, 3),
    ];
    const run = await publishRun(
      stack.clickhouse,
      record('2026-11-01', groups),
      spanResults(groups),
      options(),
    );
    expect(run.publishedAtMs).toBe(nowMs);
    const day = parsePeriod('2026-11-01');
    expect(await currentRun(stack.clickhouse, 'traces', day)).toEqual(run);
    const services = await stack.clickhouse.query(
      `SELECT tenant_id, service_name, raw_span_count, deduped_span_count, duplicate_span_count
       FROM service_dedup_batch WHERE run_id = {runId:String} ORDER BY ALL`,
      { runId: run.runId },
    );
    expect(services.map((row) => Object.values(row as object))).toEqual([
      ['a', 'cart', '17', '15', '2'],
      ['a', 'pay', '2', '1', '1'],
      ['b', 'cart', '3', '0', '3'],
    ]);
    const [empty] = await stack.clickhouse.query<{ none: number }>(
      `SELECT isNaN(p50_ms) AND isNaN(min_ms) AND isNaN(mean_ms) AS none
       FROM service_stats_batch WHERE run_id = {runId:String} AND tenant_id = 'b'`,
      { runId: run.runId },
    );
    expect(empty?.none).toBe(1);
  });

  it('publishes after the run that is current, whatever the clock says', async () => {
    const previousMs = nowMs + 60_000;
    const run = await publishRun(stack.clickhouse, record('2026-11-02', []), spanResults([]), {
      ...options(),
      previousMs,
    });
    expect(run.publishedAtMs).toBe(previousMs + 1);
  });

  it('sends many rows in several inserts', async () => {
    const groups = Array.from({ length: publishRowsPerInsert + 1 }, (_, index) =>
      group('a', 's', `op ${index}`, 1, 0),
    );
    let inserts = 0;
    const clickhouse: ClickHouse = {
      ...stack.clickhouse,
      insertRows: (...args) => {
        inserts += 1;
        return stack.clickhouse.insertRows(...args);
      },
    };
    await publishRun(clickhouse, record('2026-11-03', groups), spanResults(groups), options());
    expect(inserts).toBe(4);
  });

  it('begins anew under another id when the answer to an insert got lost', async () => {
    let lost = 0;
    const clickhouse: ClickHouse = {
      ...stack.clickhouse,
      insertRows: async (...args) => {
        await stack.clickhouse.insertRows(...args);
        if (lost++ > 0) return;
        throw new ClickHouseError(210, 'Cannot insert: the answer got lost', { retryable: true });
      },
    };
    const groups = [group('a', 's', 'o', 3, 1)];
    const run = await publishRun(
      clickhouse,
      record('2026-11-04', groups),
      spanResults(groups),
      options(),
    );
    const [seen] = await stack.clickhouse.query<{ spans: string }>(
      `SELECT sum(total_spans) AS spans FROM service_stats_merged WHERE date = '2026-11-04'`,
    );
    expect(Number(seen?.spans)).toBe(3);
    expect(await publishedRunIds(stack.clickhouse, 'traces', parsePeriod('2026-11-04'))).toEqual([
      run.runId,
    ]);
  });

  it('does not publish rows that arrived twice', async () => {
    const clickhouse: ClickHouse = {
      ...stack.clickhouse,
      insertRows: async (...args) => {
        await stack.clickhouse.insertRows(...args);
        if (args[0] === 'service_stats_batch') await stack.clickhouse.insertRows(...args);
      },
    };
    const groups = [group('a', 's', 'o', 3, 1)];
    const publishing = publishRun(
      clickhouse,
      record('2026-11-05', groups),
      spanResults(groups),
      options(),
    );
    await expect(publishing).rejects.toMatchObject({
      code: 'BATCH_FAILED',
      message: expect.stringContaining('2, 6, 1, 3 rows and items are in ClickHouse') as string,
    });
    expect(await publishedRunIds(stack.clickhouse, 'traces', parsePeriod('2026-11-05'))).toEqual(
      [],
    );
  });
});

describe('dropOldRuns()', () => {
  it('removes what a crash left only when it is old, and never a kept run', async () => {
    const date = '2026-11-06';
    const groups = [group('a', 's', 'o', 3, 1)];
    const kept = await publishRun(
      stack.clickhouse,
      record(date, groups),
      spanResults(groups),
      options(),
    );
    const row = { date, run_id: 'left-behind', tenant_id: 'a', service_name: 's' };
    await stack.clickhouse.insertRows('service_dedup_batch', [row]);
    const period = parsePeriod(date);
    const { store } = stack;
    const day = {
      store,
      random: Math.random,
      period,
      signal: 'traces',
      tables: spanTables,
    } as const;
    const young = { ...day, clock: () => Date.now(), runsKept: 1 };
    expect(await dropOldRuns(stack.clickhouse, young)).toEqual([]);
    const old = { ...day, clock: () => Date.now() + debrisAgeMs + 60_000, runsKept: 1 };
    expect(await dropOldRuns(stack.clickhouse, old)).toEqual(['left-behind']);
    const left = await storedRuns(stack.clickhouse, 'service_dedup_batch', date);
    expect(left).toMatchObject([{ period: date, runId: kept.runId }]);
    expect(await storedRuns(stack.clickhouse, 'service_dedup_batch')).toContainEqual(left[0]);
  });
});

function newRunId(): string {
  runs += 1;
  return `run-${runs}`;
}

function options() {
  return { clock: () => nowMs, newRunId, previousMs: 0 };
}

function group(
  tenantId: string,
  serviceName: string,
  operationName: string,
  totalSpans: number,
  duplicateSpans: number,
): GroupStats {
  const ms = totalSpans === 0 ? Number.NaN : 1.1;
  return {
    tenantId,
    serviceName,
    operationName,
    spanKind: 'Server',
    totalSpans,
    duplicateSpans,
    errorCount: 0,
    uniqueTraces: totalSpans,
    conflicts: 0,
    minMs: ms,
    maxMs: ms,
    meanMs: ms,
    quantilesMs: [ms, ms, ms],
    buckets: new Uint16Array(),
    bucketCounts: new Float64Array(),
  };
}

function record(date: string, groups: readonly GroupStats[]): RunRecord {
  return {
    signal: 'traces',
    period: parsePeriod(date),
    isFinal: true,
    watermarkMs: nowMs - 1000,
    inputHash: 'hash',
    codeVersion: 'test',
    commits: 1,
    files: 2,
    rowsRead: 7,
    totalSpans: groups.reduce((sum, { totalSpans }) => sum + totalSpans, 0),
    duplicateSpans: 0,
    conflictSpans: 0,
    lateSpans: -3,
    foldedOperations: 4,
    shards: 1,
    elapsedMs: 5,
    listMs: 1,
    computeMs: 3,
    mergeMs: 1,
  };
}
