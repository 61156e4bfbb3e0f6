/**
 * Two schedulers as a user starts them, `tidemark batch schedule --ticks`, on a real bucket and a real
 * ClickHouse. A tick is stored as the Worker stores it; the leader is killed over it, and the other goes on.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { scheduleLease } from '../../batch/scheduler.ts';
import { readLease } from '../../batch/scheduler/lease.ts';
import { freePorts } from '../../dev/port.ts';
import { tickKey, tickOf } from '../../schemas/tick.ts';
import { archiveSpans, moveWatermark } from '../support/day.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans } from '../support/spans.ts';
import { startStack, type Stack } from '../support/stack.ts';

const entry = path.join(import.meta.dirname, '../../bin/tidemark.js');
const seed = Number(process.env['TEST_SEED'] ?? 20261123);
const dayMs = 86_400_000;
const leaseMs = 6000;
let stack: Stack;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  for (const child of running) {
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  await stack.close();
});

interface Scheduler {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly port: number;
}

async function schedule(): Promise<Scheduler> {
  const [port = 0] = await freePorts(1);
  const settings = Object.entries(stack.settings).map(([name, value]) => [name, String(value)]);
  const child = spawn(process.execPath, [entry, 'batch', 'schedule', '--ticks'], {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      ...Object.fromEntries(settings),
      TIDEMARK_BATCH_LEASE_MS: String(leaseMs),
      TIDEMARK_BATCH_POLL_MS: '100',
      TIDEMARK_METRICS_PORT: String(port),
    },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  running.add(child);
  child.once('close', () => running.delete(child));
  const lines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => lines.push(line));
  return { child, lines, port };
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await pause(50);
  }
}

const isComputing = ({ lines }: Scheduler) => lines.some((line) => line.includes('Computing'));

it('the other goes on when the leader is killed over a tick; each day is published once', async () => {
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  // Yesterday, so that the schedule looks at it, whenever this runs.
  const today = Math.floor(Date.now() / dayMs) * dayMs;
  const days = [today - 2 * dayMs, today - dayMs];
  for (const [index, dayStartMs] of days.entries()) {
    const offset = BigInt(index * 1000);
    const spans = randomSpans(random, 500, { hourMs: dayStartMs + 36_000_000, offset });
    await archiveSpans(stack.store, spans, { firstOffset: offset });
  }
  await moveWatermark(stack.store, today + dayMs);
  const both = [await schedule(), await schedule()];
  for (const { port } of both) {
    const text = await until(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
      return answer?.ok ? await answer.text() : undefined;
    });
    expect(text).toBe('ok\n');
  }

  // Two ticks, as if the Worker had found no scheduler for two days.
  const ticks = days.map((dayStartMs) => tickKey(tickOf('day', dayStartMs + dayMs)));
  for (const key of ticks) await stack.store.put(key, '{}', { ifNoneMatch: '*' });
  const leader = await until(async () => both.find(isComputing));
  leader.child.kill('SIGKILL');
  const killedMs = Date.now();
  const [other] = both.filter((each) => each !== leader);
  if (!other) throw new Error('Bug: there are two');
  const lease = await until(async () => {
    const newest = await readLease(stack.store, scheduleLease);
    return newest?.name.endsWith(`/${other.child.pid}`) ? newest : undefined;
  });
  const tookMs = Date.now() - killedMs;
  console.log({ tookMs, term: lease.term });
  // The lease's time, a look, and what a loaded machine takes.
  expect(tookMs).toBeLessThan(2 * leaseMs + 15_000);
  expect(lease.term).toBeGreaterThan(1);
  await until(async () => {
    const keys: string[] = [];
    for await (const page of stack.store.list('_ticks/')) keys.push(...page.map(({ key }) => key));
    return keys.length === 0 || undefined;
  });
  const current = await stack.clickhouse.query<Record<string, unknown>>(
    `SELECT toUnixTimestamp(period_start) AS start, is_final AS final FROM batch_current
     WHERE period_kind = 'day' AND signal = 'traces' ORDER BY period_start`,
  );
  expect(current).toEqual(days.map((ms) => ({ start: ms / 1000, final: true })));
  const noted = await stack.clickhouse.query<Record<string, unknown>>(
    `SELECT toUnixTimestamp(tick_at) AS at, state, toUInt32(failed) AS failed FROM batch_ticks
     ORDER BY tick_at`,
  );
  expect(noted).toEqual(days.map((ms) => ({ at: (ms + dayMs) / 1000, state: 'done', failed: 0 })));
  const metrics = await (await fetch(`http://127.0.0.1:${other.port}/metrics`)).text();
  expect(metrics).toMatch(/\ntidemark_batch_ticks_total\{kind="day",outcome="done"\} [12]\n/);

  // Told to stop, it gives the lease back, so that the next one leads at once.
  other.child.kill('SIGTERM');
  const [code] = (await once(other.child, 'close')) as [number | null];
  expect(code).toBe(0);
  expect((await readLease(stack.store, scheduleLease))?.released).toBe(true);
}, 400_000);
