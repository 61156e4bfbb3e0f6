import { afterAll, beforeAll, expect, it } from 'vitest';
import { runBatch } from '../../batch/run.ts';
import { publishedOf } from '../../batch/signals.ts';
import { cutsSql, filesSource, inSlice } from '../../batch/verify/source.ts';
import { dedupProof, spanProof } from '../../batch/traces/proof.ts';
import { verifyRun, type VerifyProgress } from '../../batch/verify.ts';
import { parsePeriod } from '../../schemas/period.ts';
import { archiveSpans } from '../support/day.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans } from '../support/spans.ts';
import { startStack, type Stack } from '../support/stack.ts';

const date = '2026-11-01';
let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.close());

it('verifyRun() says equal for a good run, and names what is wrong with a bad one', async () => {
  const spans = randomSpans(seededRandom(9), 400, { hourMs: Date.parse(`${date}T10:00:00Z`) });
  const files = await archiveSpans(stack.store, spans, { firstOffset: 0n });
  const { run } = await runDay(date);
  const keys = files.map((file) => file.key);
  const options = {
    ...stack,
    period: parsePeriod(date),
    runId: run?.runId ?? '',
    keys,
    proofs: [spanProof],
    periodMs: Date.parse(date),
    seriesMax: 1,
    edgesMax: 1000,
    operationsMax: 1000,
  };
  const good = await verifyRun(options);
  expect(good).toMatchObject({ equal: true, differences: [] });
  expect(good.figures).toBe(good.rows * 12);

  const copy = (runId: string, columns: string, where: string) =>
    stack.clickhouse.command(
      `INSERT INTO service_stats_batch SELECT * REPLACE ('${runId}' AS run_id ${columns})
       FROM service_stats_batch AS s WHERE s.run_id = '${options.runId}' AND ${where}`,
    );
  await copy('off', ", if(tenant_id = 'acme', p99_ms * (1 + 3e-16), p99_ms) AS p99_ms", '1');
  const off = await verifyRun({ ...options, runId: 'off' });
  expect(off.equal).toBe(false);
  expect(new Set(off.differences.map((difference) => difference.figure))).toEqual(
    new Set(['p99_ms']),
  );

  await copy('short', '', "service_name != 'cart'");
  const short = await verifyRun({ ...options, runId: 'short' });
  expect(short.differences[0]).toMatchObject({ published: 'no row' });
  expect(short.differences[0]?.group).toContain(' cart ');

  await copy('twice', '', '1');
  await copy('twice', '', "service_name = 'cart'");
  const twice = await verifyRun({ ...options, runId: 'twice' });
  expect(twice.differences.map((difference) => difference.figure)).toContain(
    'a group is published twice',
  );

  expect((await verifyRun({ ...options, keys: [] })).equal).toBe(false);
});

it('verifyRun() proves slices of trace ids, and finds what is wrong through them', async () => {
  const day = '2026-11-02';
  const random = seededRandom(10);
  const hourMs = Date.parse(`${day}T10:00:00Z`);
  // Few groups, so that each is in all slices; some of them end beyond what doubles hold exactly.
  const spans = [
    ...randomSpans(random, 3000, { hourMs, services: 2 }),
    ...randomSpans(random, 500, { hourMs }).map((row) => ({
      ...row,
      service: 'huge',
      operation: row.kind,
      durationNs: 2n ** 64n - 1n - BigInt(Math.floor(random() * 4000)),
    })),
    ...randomSpans(random, 64, { hourMs }).map((row) => ({
      ...row,
      service: 'equal',
      durationNs: 123_456_789n,
    })),
  ];
  const files = await archiveSpans(stack.store, spans, { firstOffset: 10_000n });
  const { run, groups } = await runDay(day);
  const services = new Set(spans.map(({ tenant, service }) => `${tenant} ${service}`)).size;
  const progress: VerifyProgress[] = [];
  const options = {
    ...stack,
    settings: { ...stack.settings, TIDEMARK_VERIFY_ROWS: 1000 },
    period: parsePeriod(day),
    runId: run?.runId ?? '',
    keys: files.map((file) => file.key),
    rows: 3564,
    proofs: [spanProof, dedupProof],
    periodMs: Date.parse(day),
    seriesMax: 1,
    edgesMax: 1000,
    operationsMax: 1000,
    onProgress: (at: VerifyProgress) => progress.push(at),
  };
  const good = await verifyRun(options);
  expect(good).toMatchObject({ equal: true, differences: [], rows: groups + services });
  expect(progress.map(({ done }) => done)).toEqual([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);

  const wrong = {
    p50_ms: 'p50_ms * (1 + 3e-16)',
    p95_ms: 'p95_ms * 1.5',
    p99_ms: 'nan',
    min_ms: 'min_ms + 1',
    mean_ms: 'mean_ms * (1 + 3e-16)',
    unique_traces: 'unique_traces + 1',
    conflict_spans: 'conflict_spans + 1',
    quantile_state: '(quantile_state.1, arrayMap(x -> x + 1, quantile_state.2))',
  };
  const replaced = Object.entries(wrong).map(([figure, sql]) => `, ${sql} AS ${figure}`);
  await stack.clickhouse.command(
    `INSERT INTO service_stats_batch SELECT * REPLACE ('off' AS run_id${replaced.join('')})
     FROM service_stats_batch AS s WHERE s.run_id = '${options.runId}' ORDER BY s.total_spans DESC LIMIT 1`,
  );
  await stack.clickhouse.command(
    `INSERT INTO service_stats_batch SELECT * REPLACE ('off' AS run_id)
     FROM service_stats_batch AS s WHERE s.run_id = '${options.runId}'
     ORDER BY s.total_spans DESC LIMIT 1000 OFFSET 1`,
  );
  const off = await verifyRun({ ...options, runId: 'off', proofs: [spanProof] });
  const figures = off.differences.map(({ figure }) => figure);
  expect(figures.toSorted()).toEqual(Object.keys(wrong).toSorted());
});

it('verifyRun() proves slices of the service graph, folded edges included, and finds what is wrong', async () => {
  const day = '2026-11-05';
  const hourMs = Date.parse(`${day}T10:00:00Z`);
  const offset = BigInt(hourMs);
  const spans = randomSpans(seededRandom(12), 800, { hourMs, offset });
  const files = await archiveSpans(stack.store, spans, { firstOffset: offset });
  const { run } = await runDay(day, { TIDEMARK_BATCH_EDGES_MAX: 20 });
  const options = {
    ...stack,
    settings: { ...stack.settings, TIDEMARK_VERIFY_ROWS: 1000 },
    period: parsePeriod(day),
    runId: run?.runId ?? '',
    keys: files.map((file) => file.key),
    rows: 1500,
    proofs: publishedOf('traces', 'day').proofs.slice(2),
    periodMs: Date.parse(day),
    seriesMax: 1,
    edgesMax: 20,
    operationsMax: 1000,
  };
  const good = await verifyRun(options);
  expect(good.differences).toEqual([]);
  expect(good.rows).toBeGreaterThan(20);
  await stack.clickhouse.command(
    `INSERT INTO service_graph_batch SELECT * REPLACE ('off' AS run_id, s.errors + 1 AS errors)
     FROM service_graph_batch AS s WHERE s.run_id = '${options.runId}'`,
  );
  const off = await verifyRun({ ...options, runId: 'off' });
  expect(new Set(off.differences.map(({ figure }) => figure))).toEqual(new Set(['errors']));
});

it('verifyRun() folds operations as the batch does, in one query and in slices, and sees another choice', async () => {
  const day = '2026-11-03';
  const random = seededRandom(11);
  const hourMs = Date.parse(`${day}T10:00:00Z`);
  const spans = [
    ...randomSpans(random, 1500, { hourMs, services: 2, offset: 20_000n }).map((row, i) => ({
      ...row,
      operation: i % 3 === 0 ? `GET /user/${i}` : `${row.operation} ${i % 7}`,
    })),
    ...randomSpans(random, 20, { hourMs, offset: 22_000n }).map((row) => ({
      ...row,
      service: 'few',
    })),
  ];
  const files = await archiveSpans(stack.store, spans, { firstOffset: 20_000n });
  const { run, message } = await runDay(day, { TIDEMARK_BATCH_OPERATIONS_MAX: 9 });
  expect(run?.foldedOperations).toBeGreaterThan(100);
  expect(message).toContain(`; ${run?.foldedOperations} operations are one in each service`);
  const options = {
    ...stack,
    period: parsePeriod(day),
    runId: run?.runId ?? '',
    keys: files.map((file) => file.key),
    rows: spans.length,
    proofs: [spanProof, dedupProof],
    periodMs: Date.parse(day),
    seriesMax: 1,
    edgesMax: 1000,
  };
  for (const TIDEMARK_VERIFY_ROWS of [1_000_000, 600]) {
    const settings = { ...stack.settings, TIDEMARK_VERIFY_ROWS };
    const good = await verifyRun({ ...options, settings, operationsMax: 9 });
    expect(good.differences).toEqual([]);
    // Whoever should have kept one less, or one more, or all, has not published what the files say.
    for (const operationsMax of [8, 10, 100_000]) {
      const { equal } = await verifyRun({ ...options, settings, operationsMax });
      expect(equal, `${operationsMax} operations`).toBe(false);
    }
  }
});

it('filesSource() refuses what could be a pattern or end the literal', () => {
  for (const key of ["a'b.parquet", 'a{b,c}.parquet', 'a*.parquet', 'a b', '']) {
    expect(() => filesSource(stack.settings, [key], spanProof.structure)).toThrow(
      'it is no archive file',
    );
  }
});

/** Runs the batch of a day's spans. */
function runDay(day: string, settings: Partial<Stack['settings']> = {}) {
  return runBatch({
    ...stack,
    settings: { ...stack.settings, ...settings },
    clock: () => Date.parse('2026-11-22T00:00:00Z'),
    random: seededRandom(1),
    log: { info: () => undefined, warn: () => undefined },
    period: parsePeriod(day),
    of: 'traces',
  });
}

it('cutsSql() cuts ids into slices that have each one once, about as many rows and their neighbours', async () => {
  const [ids, count] = ['(SELECT MD5(toString(number)) AS id FROM numbers(70000))', 7];
  const [found] = await stack.clickhouse.query<{ cuts: string[] }>(cutsSql(ids, 'id', count, 10));
  const conditions = Array.from({ length: count }, (_, index) =>
    inSlice({ by: ['id'], index, count, cuts: found?.cuts }),
  );
  const sums = conditions.map((condition) => `countIf(${condition})`).join(', ');
  const [row] = await stack.clickhouse.query<{ rows: string[]; once: string }>(
    `SELECT [${sums}] AS rows, countIf(${conditions.join(' + ')} = 1) AS once FROM ${ids}`,
  );
  expect(Number(row?.once)).toBe(70_000);
  for (const rows of row?.rows.map(Number) ?? [])
    expect(Math.abs(rows - 10_000)).toBeLessThan(1500);
});
