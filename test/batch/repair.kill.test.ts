/** The command itself, killed in the middle: what it did stays, and running it again ends it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runBatch } from '../../batch/run.ts';
import { driftOfPeriod } from '../../bin/prove.ts';
import { parsePeriod } from '../../schemas/period.ts';
import { speedTables } from '../../schemas/tables.ts';
import { archiveDeliveries, type Delivery } from '../support/delivered.ts';
import { encodeTraces } from '../support/otlp.ts';
import { seededRandom } from '../support/random.ts';
import { insertSent } from '../support/sent.ts';
import { startStack, type Stack } from '../support/stack.ts';

const entry = fileURLToPath(new URL('../../bin/tidemark.js', import.meta.url));
const period = parsePeriod('2026-11-03');
const spansEach = 30;
let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.close());

/** A request of spans, each in a trace of its own. */
function requestOf(index: number): Uint8Array {
  const spans = Array.from({ length: spansEach }, (_, i) => {
    const number = (index * spansEach + i + 1).toString(16);
    const start = BigInt(period.startMs + index * 60_000 + i) * 1_000_000n;
    return {
      // Spread, so that slices and row groups have some each.
      traceId: Buffer.from(number.padStart(32, '0').split('').toReversed().join(''), 'hex'),
      spanId: Buffer.from(number.padStart(16, '0'), 'hex'),
      name: `operation ${i % 3}`,
      startTimeUnixNano: String(start),
      endTimeUnixNano: String(start + 5_000_000n),
    };
  });
  return encodeTraces({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
}

/** The command; `killAt` ends it at once when it says that it is there. */
async function repair(args: readonly string[], killAt?: RegExp) {
  const texts = Object.entries(stack.settings).map(([name, value]) => [name, String(value)]);
  const child = spawn(process.execPath, [entry, 'repair', '--date', period.name, ...args], {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      ...Object.fromEntries(texts),
      TIDEMARK_VERIFY_ROWS: '1000',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  const lines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    if (killAt?.test(line)) child.kill('SIGKILL');
  });
  const stdout = await text(child.stdout);
  const [code, signal] = (await exited) as [number | null, string | null];
  return { code, signal, stdout, lines };
}

async function countsOf(): Promise<unknown> {
  const [found] = await stack.clickhouse.query(
    `SELECT toString(count()) AS rows, toString(uniqExact(TraceId)) AS spans,
       toString((SELECT sum(total_spans) FROM service_stats_realtime)) AS rolled FROM otel_traces`,
  );
  return found;
}

describe('tidemark repair', () => {
  it('is finished by the next one when it is killed', { timeout: 180_000 }, async () => {
    const sent = Array.from({ length: 40 }, (_, i): Delivery => ({
      request: requestOf(i),
      tenantId: 'acme',
      receivedMs: period.startMs + i * 60_000,
      partition: 0,
      offset: BigInt(i),
    }));
    for (let from = 0; from < 40; from += 10) {
      await archiveDeliveries(stack.store, 'traces', sent.slice(from, from + 10));
    }
    await insertSent(stack.settings.CLICKHOUSE_URL, 'traces', sent);
    const log = { info: () => undefined, warn: () => undefined };
    const clock = () => period.endMs + 3_600_000;
    await runBatch({ ...stack, of: 'traces', period, clock, random: seededRandom(1), log });
    const columns = speedTables.otel_traces.map((name) => `\`${name}\``).join(', ');
    await stack.clickhouse.command(`DELETE FROM otel_traces WHERE cityHash64(TraceId) % 3 = 0`);
    await stack.clickhouse.command(
      `INSERT INTO otel_traces (${columns}) SELECT ${columns} FROM otel_traces
       WHERE cityHash64(TraceId) % 4 = 0 SETTINGS insert_deduplicate = 0`,
    );
    const harmed = await countsOf();
    const drift = () => driftOfPeriod(stack, period, 'traces', { nowMs: clock });
    const [before] = (await drift()).services;
    expect(before?.missing).toBeGreaterThan(100);

    const dry = await repair(['--dry-run', '--json', '--signal', 'traces']);
    expect(dry.code).toBe(0);
    expect(JSON.parse(dry.stdout)).toMatchObject({
      missing: before?.missing,
      surplus: before?.duplicated,
    });
    expect(await countsOf()).toEqual(harmed);

    // Killed while it inserts, and while a rollup is made.
    for (const killAt of [/items inserted from 1 of/, /service_stats_realtime/]) {
      const killed = await repair(['--signal', 'traces'], killAt);
      expect(killed.signal).toBe('SIGKILL');
    }
    const last = await repair(['--signal', 'traces']);
    expect(last.code).toBe(0);
    expect(await countsOf()).toEqual({ rows: '1200', spans: '1200', rolled: '1200' });
    const [after] = (await drift()).services;
    expect(after).toMatchObject({ missing: 0, duplicated: 0, rollupItems: 1200, batchItems: 1200 });
  });
});
