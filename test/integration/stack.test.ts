/** Tests of the embedded stack as a user runs it: start, send, look, archive, restart, kill. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts } from '../../dev/port.ts';
import { Traffic } from '../../dev/traffic.ts';
import { readSettings } from '../../schemas/settings.ts';
import type { Settings } from '../../schemas/settings.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { openStore } from '../../workers/clients/store/objects.ts';
import { archiveStatus } from '../../workers/clients/commits/status.ts';

const entry = path.join(import.meta.dirname, '../../bin/tidemark.js');

interface Addresses {
  readonly otlp: string;
  readonly clickhouse: string;
  readonly s3: string;
  readonly readyMs: number;
}

let directory: string;
let environment: Record<string, string>;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-stack-'));
  const [port, clickhousePort] = await freePorts(2);
  environment = {
    PATH: process.env['PATH'] ?? '',
    HOME: process.env['HOME'] ?? '',
    TIDEMARK_DATA: directory,
    TIDEMARK_PORT: String(port),
    TIDEMARK_CLICKHOUSE_PORT: String(clickhousePort),
    TIDEMARK_FLUSH_AGE_MS: '500',
  };
});

afterAll(async () => {
  for (const child of running) {
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});

/** `tidemark start --json` until it has printed its addresses. */
async function start(): Promise<{ child: ChildProcess; addresses: Addresses }> {
  const child = spawn(process.execPath, [entry, 'start', '--json'], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.add(child);
  child.once('close', () => running.delete(child));
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, addresses: JSON.parse(line) as Addresses };
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  child.kill(signal);
  await once(child, 'close');
  return child.exitCode;
}

function settingsOf({ clickhouse, s3 }: Addresses): Settings {
  return readSettings({ CLICKHOUSE_URL: clickhouse, S3_ENDPOINT: s3 });
}

async function countSpans(addresses: Addresses): Promise<number> {
  const client = openClickHouse(settingsOf(addresses));
  const [row] = await client.query<{ spans: string }>('SELECT count() AS spans FROM otel_traces');
  await client.close();
  return Number(row?.spans);
}

/** Next offset of the archive once nothing waits in the spool any more. */
async function archivedOffset(addresses: Addresses): Promise<string> {
  const store = openStore(settingsOf(addresses));
  try {
    for (;;) {
      const { spools, partitions } = await archiveStatus(store);
      const waiting = spools.reduce((sum, spool) => sum + spool.objects, 0);
      if (waiting === 0) return partitions[0]?.nextOffset ?? '0';
      await pause(100);
    }
  } finally {
    store.close();
  }
}

async function send(addresses: Addresses, seed: number): Promise<{ spans: number; all: number }> {
  const traffic = new Traffic({ endpoint: addresses.otlp, seed, nowMs: Date.now(), spans: 1500 });
  const { spans, repeatedSpans } = await traffic.sendPrompt();
  await traffic.close();
  return { spans, all: spans + repeatedSpans };
}

/** Runs a command beside the stack and returns what it printed. */
async function tidemark(args: readonly string[], addresses: Addresses) {
  const child = spawn(process.execPath, [entry, ...args], {
    env: { ...environment, CLICKHOUSE_URL: addresses.clickhouse, S3_ENDPOINT: addresses.s3 },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  await once(child, 'close');
  return { code: child.exitCode, stdout };
}

/** Who keeps the schedule, once somebody does. */
async function leader(addresses: Addresses): Promise<unknown> {
  for (;;) {
    const { stdout } = await tidemark(['status', '--json'], addresses);
    const { schedule } = JSON.parse(stdout) as { schedule?: { leader?: unknown } };
    if (schedule?.leader !== undefined) return schedule.leader;
    await pause(200);
  }
}

/** What a command printed with `--json`, one document a line. */
function linesOf(stdout: string): unknown[] {
  return stdout
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
}

describe('tidemark start', () => {
  it('takes spans, shows and archives them, and keeps all over a restart', async () => {
    const first = await start();
    const sent = await send(first.addresses, 1);
    expect(await countSpans(first.addresses)).toBe(sent.all);
    const offset = await archivedOffset(first.addresses);
    expect(Number(offset)).toBeGreaterThan(0);

    expect(await leader(first.addresses)).toMatchObject({ released: false });
    const migrated = await tidemark(['migrate', '--json'], first.addresses);
    expect(migrated.code).toBe(0);
    expect(JSON.parse(migrated.stdout)).toMatchObject({ pending: [] });

    const run = await tidemark(['batch', 'run', '--due', '--json'], first.addresses);
    expect(run.code).toBe(0);
    // Metrics are of today, which has not ended.
    const reports = linesOf(run.stdout) as { period: string; of: string; outcome: string }[];
    expect(reports.map(({ of, outcome }) => [of, outcome])).toEqual([
      ['traces', 'published'],
      ['logs', 'published'],
    ]);
    const date = reports[0]?.period ?? '';
    const verified = await tidemark(['verify', '--date', date, '--json'], first.addresses);
    expect(verified.code).toBe(0);
    expect(linesOf(verified.stdout)).toMatchObject([
      { signal: 'traces', equal: true },
      { signal: 'logs', equal: true },
    ]);

    const status = await tidemark(['status', '--json'], first.addresses);
    expect(status.code).toBe(0);
    expect(JSON.parse(status.stdout)).toMatchObject({
      services: [{ name: 'edge' }, { name: 'ClickHouse' }, { name: 'object store' }],
      partitions: expect.arrayContaining([
        expect.objectContaining({ topic: 'otlp_spans', partition: 'spool', nextOffset: offset }),
      ]) as unknown,
      runs: [{ date }, { date }],
      due: [],
    });
    expect(await stop(first.child, 'SIGTERM')).toBe(0);

    const second = await start();
    expect(await countSpans(second.addresses)).toBe(sent.all);
    expect(await archivedOffset(second.addresses)).toBe(offset);
    const again = await send(second.addresses, 2);
    expect(await countSpans(second.addresses)).toBe(sent.all + again.all);
    expect(Number(await archivedOffset(second.addresses))).toBeGreaterThan(Number(offset));
    expect(await stop(second.child, 'SIGINT')).toBe(0);
  }, 180_000);

  it('leaves no part behind when it is killed, and starts again on the same data', async () => {
    const first = await start();
    const spans = await countSpans(first.addresses);
    await stop(first.child, 'SIGKILL');
    const deadlineMs = Date.now() + 20_000;
    const isUp = () =>
      fetch(first.addresses.clickhouse).then(
        () => true,
        () => false,
      );
    while ((await isUp()) && Date.now() < deadlineMs) await pause(100);
    const second = await start();
    expect(await countSpans(second.addresses)).toBe(spans);
    expect(await stop(second.child, 'SIGTERM')).toBe(0);
  }, 120_000);
});
