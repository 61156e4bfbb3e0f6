/** Days whose files were merged or taken away: figures stay, and what is published is not overwritten. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { lookForDue } from '../../batch/due.ts';
import { runBatch } from '../../batch/run.ts';
import { provePeriod } from '../../bin/prove.ts';
import { parsePeriod } from '../../schemas/period.ts';
import { parseRetention } from '../../schemas/retention.ts';
import { listLiveFiles } from '../../workers/clients/commits/archive.ts';
import { runCompaction } from '../../workers/compact.ts';
import { rewriteFiles, tenantsOf } from '../../workers/compact/rewrite.ts';
import { runRetention } from '../../workers/retain.ts';
import { archiveSpans, hourMs } from '../support/day.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans, type SpanRow } from '../support/spans.ts';
import { startStack, type Stack } from '../support/stack.ts';

const date = '2026-11-21';
const startMs = Date.parse(`${date}T00:00:00Z`);
const dayMs = 24 * hourMs;
const quiet = { info: () => undefined, warn: () => undefined, debug: () => undefined };
let nowMs = startMs + dayMs + 4 * hourMs;
let stack: Stack;
let offset = 0n;

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.close());

async function archive(rows: readonly SpanRow[], rowGroupRows?: number) {
  await archiveSpans(stack.store, rows, {
    firstOffset: offset,
    ...(rowGroupRows !== undefined && { rowGroupRows }),
  });
  offset += BigInt(rows.length);
}

/** What does the work here is the thread's own code. */
function tools() {
  const { store, settings } = stack;
  return {
    store,
    settings: { ...settings, TIDEMARK_COMPACT_FILES_MIN: 2 },
    rewriter: {
      rewrite: (task: Parameters<typeof rewriteFiles>[0]) =>
        rewriteFiles(task, { store, onStoring: () => undefined }),
      tenants: (file: Parameters<typeof tenantsOf>[1]) => tenantsOf(store, file),
    },
    now: () => nowMs,
    randomName: () => randomBytes(8).toString('hex'),
    log: quiet,
    codeVersion: 'test',
  };
}

function live() {
  return listLiveFiles(stack.store, 'traces', startMs, startMs + dayMs);
}

/** The published figures of the day but for the run's own name and time. */
async function figures(): Promise<unknown[]> {
  return stack.clickhouse.query(
    `SELECT * EXCEPT (run_id) FROM service_stats_batch
     WHERE run_id = (SELECT run_id FROM batch_runs ORDER BY published_at DESC LIMIT 1)
     ORDER BY ALL`,
    {},
  );
}

const clock = () => (nowMs += 1);

function run(force = false) {
  const period = parsePeriod(date);
  return runBatch({
    ...stack,
    clock,
    random: Math.random,
    log: quiet,
    period,
    of: 'traces',
    force,
  });
}

it('runBatch() gives equal figures before and after compaction, and keeps them after retention', async () => {
  const random = seededRandom(20_261_122);
  const late: SpanRow[] = [];
  for (const rows of [70_000, 900, 800, 700, 60_000, 10, 1]) {
    const spans = randomSpans(random, rows, { hourMs: startMs + 13 * hourMs, offset });
    await archive(spans, 9000);
    // The same spans delivered once more, in another file.
    late.push(...spans.slice(0, 5).map((row) => ({ ...row, ingestedMs: row.ingestedMs + 1 })));
  }
  await archive(late);
  expect((await run()).outcome).toBe('published');
  const before = await figures();
  const split = await live();
  expect(before.length).toBeGreaterThan(10);

  const range = { signals: ['traces'] as const, fromMs: startMs, toMs: startMs + dayMs };
  const compacted = await runCompaction({ ...tools(), ...range });
  expect(compacted.failures).toEqual([]);
  const merged = await live();
  const total = split.files.reduce((sum, { rows }) => sum + rows, 0);
  expect(merged.files).toHaveLength(1);
  expect(merged.files[0]).toMatchObject({ rows: total });
  expect(merged.files[0]?.rowGroups.map(({ rows }) => rows)).toEqual([50_000, 50_000, total - 1e5]);
  // Nothing is due, and whoever computes all the same gets the same figures.
  expect(await lookForDue({ ...stack, clock: () => nowMs, signals: ['traces'] })).toEqual([]);
  expect((await run()).outcome).toBe('unchanged');
  expect((await run(true)).outcome).toBe('published');
  expect(await figures()).toEqual(before);

  // One tenant goes, then all do: what is published stays, whatever comes late.
  nowMs += 30 * dayMs;
  const retain = (rules: string) => runRetention({ ...tools(), retention: parseRetention(rules) });
  expect((await retain('all=90d,tenant:acme/all=5d')).failures).toEqual([]);
  const { rowsRemoved } = await live();
  expect(rowsRemoved).toBeGreaterThan(0);
  expect((await run()).outcome).toBe('unchanged');
  const proving = provePeriod(stack, parsePeriod(date), 'traces');
  await expect(proving).rejects.toThrow(
    `Cannot verify ${date} (traces): retention has taken ${rowsRemoved} of the rows that its run had`,
  );
  await archive(randomSpans(random, 10, { hourMs: startMs + 13 * hourMs, offset }));
  const report = await run();
  expect(report).toMatchObject({ outcome: 'unchanged' });
  expect(report.message).toContain('by retention');
  expect((await retain('all=5d')).failures).toEqual([]);
  expect((await live()).files).toEqual([]);
  for (const force of [false, true]) expect((await run(force)).outcome).toBe('unchanged');
  expect(await figures()).toEqual(before);
});
