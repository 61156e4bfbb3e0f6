import { afterAll, beforeAll, expect, it } from 'vitest';
import { runBatch } from '../../batch/run.ts';
import { spanProof } from '../../batch/traces/proof.ts';
import { filesSource, verifyRun } from '../../batch/verify.ts';
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
  const { run } = await runBatch({
    ...stack,
    clock: () => Date.parse('2026-11-22T00:00:00Z'),
    random: seededRandom(1),
    log: { info: () => undefined, warn: () => undefined },
    period: parsePeriod(date),
    of: 'traces',
  });
  const keys = files.map((file) => file.key);
  const options = {
    ...stack,
    period: parsePeriod(date),
    runId: run?.runId ?? '',
    keys,
    proofs: [spanProof],
    periodMs: Date.parse(date),
    seriesMax: 1,
  };
  const good = await verifyRun(options);
  expect(good).toMatchObject({ equal: true, differences: [] });
  expect(good.figures).toBe(good.rows * 11);

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

it('filesSource() refuses what could be a pattern or end the literal', () => {
  for (const key of ["a'b.parquet", 'a{b,c}.parquet', 'a*.parquet', 'a b', '']) {
    expect(() => filesSource(stack.settings, [key], spanProof.structure)).toThrow(
      'it is no archive file',
    );
  }
});
