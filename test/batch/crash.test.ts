import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { BatchProcess } from '../support/batch.ts';
import { archiveSpans } from '../support/day.ts';
import { memoryOf } from '../support/planned.ts';
import { expectProved } from '../support/proved.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans } from '../support/spans.ts';
import { startStack, type Stack } from '../support/stack.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261122);
/** KILLS=100 and more by itself. */
const kills = Number(process.env['KILLS'] ?? 20);
/** Where to kill: after which of the batch's own words, and how long after it at most. */
const places = [
  { phase: 'start', delayMs: 600 },
  { phase: 'list', delayMs: 60 },
  { phase: 'compute', delayMs: 1500 },
  { phase: 'merge', delayMs: 30 },
  { phase: 'publish', delayMs: 60 },
  { phase: 'publish', delayMs: 60 },
];
const date = '2026-10-21';
/** All spans are of this hour of the day, so its figures are the day's. */
const hour = `${date}T07`;
const entry = fileURLToPath(new URL('../support/batch.ts', import.meta.url));
let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.close());

it(
  `runBatch() may be killed at any moment: readers see a whole run or none (${kills} times)`,
  async () => {
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    const spans = randomSpans(random, 6000, { hourMs: Date.parse(`${date}T07:00:00Z`) });
    const files = await archiveSpans(stack.store, spans, { firstOffset: 0n, rowGroupRows: 500 });
    const settings = {
      ...stack.settings,
      TIDEMARK_BATCH_MEMORY_BYTES: memoryOf('traces', spans.length / 12),
    };
    const watch = watchReaders();
    const killed: Record<string, number> = {};
    let finished = 0;
    for (let kill = 0; kill < kills;) {
      const place = places[Math.floor(random() * places.length)] ?? places[0];
      const delayMs = random() * (place?.delayMs ?? 0);
      const batch = { settings, date: kill % 2 === 0 ? date : hour, force: true };
      const phase = await runAndKill(batch, place?.phase ?? '', delayMs);
      // What a killed run leaves behind stays there: it is read now, whatever the watch saw.
      await watch.read();
      if (phase === 'done') finished += 1;
      else {
        kill += 1;
        killed[phase] = (killed[phase] ?? 0) + 1;
      }
      if (finished > kills) break;
    }
    const phases = [
      await runAndKill({ settings, date, force: true }, 'never', 0),
      await runAndKill({ settings, date: hour, force: true }, 'never', 0),
    ];
    const seen = await watch.stop();
    console.log({ killed, finished, reads: seen.reads });

    expect(phases).toEqual(['done', 'done']);
    expect(Object.values(killed).reduce((sum, count) => sum + count, 0)).toBe(kills);
    // Nothing at all before the first run, then the same figures from each run that followed, of the
    // hour as of the day.
    expect(seen.reads).toBeGreaterThan(kills);
    expect([...seen.states].filter((state) => state !== 'nothing')).toHaveLength(1);
    const { clickhouse } = stack;
    const [run] = await clickhouse.query<{ run_id: string }>(
      `SELECT DISTINCT run_id FROM service_stats_merged WHERE date = '${date}'`,
    );
    const runId = run?.run_id ?? '';
    const keys = files.map((file) => file.key);
    await expectProved(stack, ['traces', date, runId], keys);
  },
  60_000 + 12_000 * kills,
);

/** Runs the batch, kills it so long after it names a phase, and returns the last phase it named. */
async function runAndKill(batch: BatchProcess, when: string, delayMs: number): Promise<string> {
  const child = spawn(process.execPath, [entry, JSON.stringify(batch)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let phase = 'start';
  let armed = false;
  const arm = () => {
    if (!armed && phase === when) {
      armed = true;
      setTimeout(() => child.kill('SIGKILL'), delayMs);
    }
  };
  arm();
  for await (const line of createInterface({ input: child.stdout })) {
    const step = JSON.parse(line) as { phase?: string; outcome?: string };
    phase = step.outcome === undefined ? (step.phase ?? phase) : 'done';
    arm();
  }
  await exited;
  return phase;
}

/** Reads the merged views, each time it is told to and ever so often, and keeps their different states. */
function watchReaders() {
  const states = new Set<string>();
  let reads = 0;
  const stopping = new AbortController();
  const views = [
    `service_stats_merged WHERE date = '${date}'`,
    `service_stats_hourly_merged WHERE hour = '${date} 07:00:00'`,
  ];
  const read = async () => {
    for (const view of views) {
      const [state] = await stack.clickhouse.query<Record<string, string | number>>(
        `SELECT count() AS groups, uniqExact(run_id) AS runs, sum(total_spans) AS spans,
           sum(error_count) AS errors, sum(unique_traces) AS traces, sum(p99_ms) AS p99
         FROM ${view}`,
      );
      reads += 1;
      states.add(Number(state?.['groups']) === 0 ? 'nothing' : JSON.stringify(state));
    }
  };
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      await read();
      await sleep(150);
    }
  })();
  const stop = async () => {
    stopping.abort();
    await watching;
    return { states, reads };
  };
  return { read, stop };
}
