/**
 * The commands of docs/BATCHFLEET.md, as they stand there, on a real Kafka, a real bucket and the real engine of
 * ClickHouse: only the addresses and keys of its examples are replaced. What they publish is compared with
 * what the local pool publishes.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { workerMetrics } from '../../batch/fleet/metrics.ts';
import { WorkerState } from '../../batch/fleet/state.ts';
import { runBatch } from '../../batch/run.ts';
import { freePorts } from '../../dev/port.ts';
import { parsePeriod } from '../../schemas/period.ts';
import { settings as allSettings } from '../../schemas/settings.ts';
import { archiveSpans } from '../support/day.ts';
import { noKafka, startTestKafka } from '../support/kafka.ts';
import type { TestKafka } from '../support/kafka.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans } from '../support/spans.ts';
import { startStack } from '../support/stack.ts';
import type { Stack } from '../support/stack.ts';
import { keysBelow } from '../support/tasks.ts';

const root = path.join(import.meta.dirname, '../..');
const guide = readFileSync(path.join(root, 'docs/BATCHFLEET.md'), 'utf8');
const manifest = readFileSync(path.join(root, 'deploy/kubernetes/batchworker.yaml'), 'utf8');

/** The shell commands that follow `<!-- run: name -->` in the guide. */
function commandsOf(name: string): string {
  const found = new RegExp(`<!-- run: ${name} -->\n+\`\`\`sh\n([^\`]*)\`\`\``).exec(guide)?.[1];
  if (found === undefined) throw new Error(`Bug: the guide has no commands "${name}"`);
  return found;
}

async function done(child: ChildProcess): Promise<{ code: number | null; out: string }> {
  const closed = once(child, 'close');
  const out = child.stdout ? await text(child.stdout) : '';
  await closed;
  return { code: child.exitCode, out };
}

describe('the guide of the batch fleet', () => {
  it('names all metrics and settings that there are', async () => {
    const registry = new Registry();
    workerMetrics(registry, new WorkerState(() => 0));
    const names = (await registry.getMetricsAsJSON()).map(({ name }) => name);
    const inGuide = guide.match(/`tidemark_batch_(?!tasks_dead|tasks`)\w+/g) ?? [];
    expect([...new Set(inGuide.map((name) => name.slice(1)))].toSorted()).toEqual(names.toSorted());
    const known = new Set<string>(Object.keys(allSettings));
    const texts = [guide, manifest].join('\n');
    const settings = texts.match(/\b(?:TIDEMARK|KAFKA|S3|CLICKHOUSE)_[A-Z0-9_]+\b/g) ?? [];
    expect([...new Set(settings)].filter((name) => !known.has(name))).toEqual([]);
  });
});

describe.skipIf(noKafka)('the commands of the guide', () => {
  let kafka: TestKafka;
  let stack: Stack;
  let worker: ChildProcess;
  let workerLog = '';
  let port = 0;

  beforeAll(async () => {
    [kafka, stack] = await Promise.all([startTestKafka(), startStack()]);
    [port = 0] = await freePorts(1);
  }, 360_000);

  afterAll(async () => {
    const isRunning = worker?.exitCode === null && worker.signalCode === null;
    if (isRunning && worker.pid !== undefined) process.kill(-worker.pid, 'SIGKILL');
    await Promise.all([kafka?.close(), stack?.close()]);
  }, 120_000);

  /** The guide's settings with this test's addresses, then its commands. */
  function script(commands: string): string {
    const { settings } = stack;
    const given: Record<string, string> = {
      'kafka-1.example.com:9092,kafka-2.example.com:9092': kafka.brokers,
      'https://s3.example.com': settings.S3_ENDPOINT,
      'S3_REGION=us-east-1': `S3_REGION=${settings.S3_REGION}`,
      'S3_BUCKET=telemetry': `S3_BUCKET=${settings.S3_BUCKET}`,
      'S3_ACCESS_KEY_ID=batch': `S3_ACCESS_KEY_ID=${settings.S3_ACCESS_KEY_ID}`,
      'a-long-secret': settings.S3_SECRET_ACCESS_KEY,
    };
    let exports = commandsOf('settings');
    for (const [example, own] of Object.entries(given)) {
      if (!exports.includes(example)) throw new Error(`Bug: the guide has no "${example}"`);
      exports = exports.replace(example, own);
    }
    const own = commands
      .replaceAll('127.0.0.1:9464', `127.0.0.1:${port}`)
      .replaceAll('http://clickhouse.example.com:8123', settings.CLICKHOUSE_URL)
      .replaceAll(/(batch (?:run|shard|merge)) /g, '$1 --signal traces ');
    return `set -e\n${exports}\n${own}`;
  }

  function shell(commands: string, stderr: 'inherit' | 'pipe' = 'inherit'): ChildProcess {
    return spawn('bash', ['-c', script(commands)], {
      cwd: root,
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        npm_config_offline: 'true',
        npm_config_update_notifier: 'false',
        TIDEMARK_METRICS_PORT: String(port),
        TIDEMARK_BATCH_THREADS: '1',
        KAFKA_SESSION_MS: '3000',
      },
      stdio: ['ignore', 'pipe', stderr],
      // A process group of its own: npx starts the program as a child.
      detached: true,
    });
  }

  /** Archives a day, publishes it by the local pool, and returns what was published. */
  async function localDay(date: string, offset: bigint): Promise<unknown> {
    const hourMs = Date.parse(`${date}T07:00:00Z`);
    const spans = randomSpans(seededRandom(Number(offset) + 7), 3000, { hourMs });
    await archiveSpans(stack.store, spans, { firstOffset: offset, rowGroupRows: 500 });
    const { store, clickhouse, settings } = stack;
    const log = { info: () => undefined, warn: () => undefined };
    const given = { clock: Date.now, random: Math.random, log };
    const period = parsePeriod(date);
    await runBatch({ store, clickhouse, settings, ...given, period, of: 'traces', force: true });
    return published(date);
  }

  async function published(date: string): Promise<{ run: string; rows: unknown[] }> {
    const rows = await stack.clickhouse.query<Record<string, unknown>>(
      `SELECT * FROM service_stats_batch WHERE date = '${date}' AND run_id =
         (SELECT run_id FROM batch_runs WHERE signal = 'traces'
          AND toDate(period_start, 'UTC') = '${date}' ORDER BY published_at DESC LIMIT 1)
       ORDER BY ALL`,
    );
    const run = String(rows[0]?.['run_id']);
    const own = rows.map((row) => ({ ...row, run_id: '' }));
    return { run, rows: own.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) };
  }

  it('publish on a fleet what the local pool publishes', { timeout: 240_000 }, async () => {
    const local = (await localDay('2026-11-21', 0n)) as Awaited<ReturnType<typeof published>>;
    worker = shell(commandsOf('worker'), 'pipe');
    worker.stderr?.on('data', (chunk: Buffer) => (workerLog += chunk.toString()));
    const forced = commandsOf('coordinator').replace('batch run', 'batch run --force');
    const { code, out } = await done(shell(forced));
    expect(code, workerLog).toBe(0);
    expect(out).toContain('2026-11-21 (traces) is published');
    const fleet = await published('2026-11-21');
    expect(fleet.run).not.toBe(local.run);
    expect(local.rows.length).toBeGreaterThan(10);
    expect(fleet.rows).toEqual(local.rows);
    const looked = await done(shell(commandsOf('look')));
    expect(looked.out).toMatch(/^ok\n/);
    expect(looked.out).toContain('tidemark_batch_tasks_total{end="done"} 1');
    expect(await keysBelow(stack.store, '_tasks/')).toEqual([]);
    expect(await keysBelow(stack.store, '_partials/')).toEqual([]);
    process.kill(Number(/"pid":(\d+)/.exec(workerLog)?.[1]), 'SIGTERM');
    const ended = await done(worker);
    expect(ended.code, workerLog).toBe(0);
    expect(ended.out).toBe('Computed 1 shards; 0 split, 0 failed, 0 handed back\n');
  });

  it('go on after the coordinator was killed', { timeout: 240_000 }, async () => {
    const forced = commandsOf('coordinator').replace('batch run', 'batch run --force --json');
    const killed = shell(forced);
    const gone = done(killed);
    let tasks: string[] = [];
    while (tasks.length < 2) {
      tasks = await keysBelow(stack.store, '_tasks/');
      await pause(20);
    }
    // A moment for the task to be sent: whether it was makes no difference to what comes out.
    await pause(500);
    if (killed.pid !== undefined) process.kill(-killed.pid, 'SIGKILL');
    await gone;
    const before = await published('2026-11-21');
    worker = shell(commandsOf('worker'), 'pipe');
    worker.stderr?.resume();
    const { code, out } = await done(shell(forced));
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ outcome: 'published', period: '2026-11-21' });
    const after = await published('2026-11-21');
    expect(after.run).not.toBe(before.run);
    expect(after.rows).toEqual(before.rows);
    if (worker.pid !== undefined) process.kill(-worker.pid, 'SIGKILL');
    await done(worker);
  });

  it('publish as a job what the local pool publishes', { timeout: 240_000 }, async () => {
    const local = (await localDay('2026-11-22', 10_000n)) as Awaited<ReturnType<typeof published>>;
    const forced = commandsOf('job').replaceAll('batch shard', 'batch shard --force');
    const { code, out } = await done(shell(forced));
    expect(code).toBe(0);
    expect(out).toContain('process 1 of 2 of job nightly-17: 0 of 1 shards are computed');
    expect(out).toContain('process 0 of 2 of job nightly-17: 1 of 1 shards are computed');
    const job = await published('2026-11-22');
    expect(job.run).not.toBe(local.run);
    expect(job.rows).toEqual(local.rows);
    expect(await keysBelow(stack.store, '_jobs/')).toEqual([]);
  });
});
