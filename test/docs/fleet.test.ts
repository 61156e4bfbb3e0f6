/**
 * The commands of docs/FLEET.md, as they stand there, on a real Kafka and a real S3 server: only the
 * addresses and keys of its examples are replaced. What they write is counted by DuckDB, and what they
 * measure is read by Prometheus's own parser.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import pRetry from 'p-retry';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts } from '../../dev/port.ts';
import { topics } from '../../schemas/archive.ts';
import { KafkaError } from '../../schemas/errors.ts';
import { settings as allSettings } from '../../schemas/settings.ts';
import type { StatusReport } from '../../bin/status/read.ts';
import { archiveCounters, archiveGauges } from '../../workers/watch/counters.ts';
import { Vitals } from '../../workers/watch/vitals.ts';
import { readCommitted, spoolObject } from '../support/committed.ts';
import { startVersity } from '../support/gateway.ts';
import { noKafka, startTestKafka } from '../support/kafka.ts';
import type { TestKafka } from '../support/kafka.ts';
import type { Bucket } from '../support/objects.ts';
import { peerBuildMs, prometheus, versitygw } from '../support/peers.ts';

const root = path.join(import.meta.dirname, '../..');
const guide = readFileSync(path.join(root, 'docs/FLEET.md'), 'utf8');
const manifest = readFileSync(path.join(root, 'deploy/kubernetes/archiver.yaml'), 'utf8');

/** The shell commands that follow `<!-- run: name -->` in the guide. */
function commandsOf(name: string): string {
  const found = new RegExp(`<!-- run: ${name} -->\n+\`\`\`sh\n([^\`]*)\`\`\``).exec(guide)?.[1];
  if (found === undefined) throw new Error(`Bug: the guide has no commands "${name}"`);
  return found;
}

describe('the guide of the fleet', () => {
  it('names all metrics that there are, and no other', async () => {
    const registry = new Registry();
    archiveCounters(registry);
    archiveGauges(registry, new Vitals(() => 0), () => 0);
    const names = (await registry.getMetricsAsJSON()).map(({ name }) => name);
    const inGuide = guide.match(/`(tidemark_archiver_\w+)/g)?.map((name) => name.slice(1)) ?? [];
    expect(inGuide.filter((name) => !names.includes(name))).toEqual([]);
    const short = guide.match(/`…(_\w+)/g)?.map((name) => `tidemark_archiver${name.slice(2)}`);
    const told = new Set([...inGuide, ...(short ?? [])]);
    expect(names.filter((name) => !told.has(name))).toEqual([]);
  });

  it('and the manifests name settings that there are', () => {
    const texts = [guide, manifest].join('\n');
    const names = texts.match(/\b(?:TIDEMARK|KAFKA|S3)_[A-Z0-9_]+\b/g) ?? [];
    const known = new Set<string>(Object.keys(allSettings));
    expect([...new Set(names)].filter((name) => !known.has(name))).toEqual([]);
  });
});

const [gateway, parser] = await Promise.all([versitygw(), prometheus()]);
const isMissing = noKafka || 'missing' in gateway || 'missing' in parser;

describe.skipIf(isMissing)('the commands of the guide', () => {
  let kafka: TestKafka;
  let bucket: Bucket;
  let archiver: ChildProcess;
  let log = '';
  let port = 0;
  const partitions = 3;
  const spans: string[] = [];

  beforeAll(async () => {
    if ('missing' in gateway) return;
    [kafka, bucket] = await Promise.all([startTestKafka(), startVersity(gateway.path)]);
    [port = 0] = await freePorts(1);
    const admin = await kafka.client.openAdmin();
    await admin.createTopics(Object.values(topics).map((topic) => ({ topic, partitions })));
    await admin.close();
    await produce(40);
    // A process group of its own: npx starts the archiver as a child.
    archiver = spawn('bash', ['-c', script(commandsOf('archive'))], {
      cwd: root,
      env: environment(),
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    archiver.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
  }, peerBuildMs);

  afterAll(async () => {
    if (archiver?.pid !== undefined && archiver.exitCode === null) process.kill(-archiver.pid, 9);
    await Promise.all([kafka?.close(), bucket?.close()]);
  });

  /** The guide's settings with this test's addresses, then its commands. */
  function script(commands: string): string {
    const { settings } = bucket;
    const given: Record<string, string> = {
      'kafka-1.example.com:9092,kafka-2.example.com:9092': kafka.brokers,
      'https://s3.example.com': bucket.endpoint,
      'S3_BUCKET=telemetry': `S3_BUCKET=${settings.S3_BUCKET}`,
      'S3_ACCESS_KEY_ID=archiver': `S3_ACCESS_KEY_ID=${settings.S3_ACCESS_KEY_ID}`,
      'a-long-secret': settings.S3_SECRET_ACCESS_KEY,
    };
    let exports = commandsOf('settings');
    for (const [example, own] of Object.entries(given)) {
      if (!exports.includes(example)) throw new Error(`Bug: the guide has no "${example}"`);
      exports = exports.replace(example, own);
    }
    return `set -e\n${exports}\n${commands.replaceAll('127.0.0.1:9464', `127.0.0.1:${port}`)}`;
  }

  function environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      npm_config_offline: 'true',
      npm_config_update_notifier: 'false',
      TIDEMARK_METRICS_PORT: String(port),
      // Nobody waits for a minute here.
      TIDEMARK_FLUSH_AGE_MS: '500',
      TIDEMARK_ARCHIVE_POLL_MS: '50',
    };
  }

  async function produce(requests: number): Promise<void> {
    const producer = await kafka.client.openProducer();
    for (let index = 0; index < requests; index += 1) {
      const own = [`span-${spans.length}`, `span-${spans.length + 1}`];
      const value = Buffer.from(spoolObject(topics.traces, Date.now(), 'r', own).body);
      const records = [{ key: null, value, timestampMs: Date.now() }];
      const request = { topic: topics.traces, partition: index % partitions, records };
      // A new topic's leader may take a moment longer; then nothing was stored.
      await pRetry(() => producer.produce(request), {
        retries: 20,
        maxTimeout: 500,
        shouldRetry: ({ error }) =>
          error instanceof KafkaError && error.kafkaType.startsWith('NOT_LEADER'),
      });
      spans.push(...own);
    }
    await producer.close();
  }

  async function shell(commands: string): Promise<{ code: number | null; out: string }> {
    const child = spawn('bash', ['-c', script(commands)], {
      cwd: root,
      env: environment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closed = once(child, 'close');
    const out = await text(child.stdout);
    await closed;
    return { code: child.exitCode, out };
  }

  async function until(isDone: () => Promise<boolean>): Promise<void> {
    while (!(await isDone())) {
      if (archiver.exitCode !== null) throw new Error(`The archiver has ended:\n${log}`);
      await pause(200);
    }
  }

  const get = (name: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${name}`);

  async function archivedSpans(): Promise<string[]> {
    const all = Array.from({ length: partitions }, (_, partition) =>
      readCommitted(bucket.store, topics.traces, String(partition)),
    );
    return (await Promise.all(all)).flatMap(({ names }) => names);
  }

  it('archive what is in Kafka, and show it', { timeout: 240_000 }, async () => {
    await until(async () => (await get('/readyz').catch(() => undefined))?.ok === true);
    await until(async () => (await archivedSpans()).length === spans.length);
    expect((await archivedSpans()).toSorted()).toEqual(spans.toSorted());
    const looked = await shell(commandsOf('look'));
    expect(looked.code).toBe(0);
    expect(looked.out).toMatch(/^ok\n/);
    for (const partition of [0, 1, 2, 'spool']) {
      expect(looked.out).toContain(
        `tidemark_archiver_lag_records{topic="otlp_spans",partition="${partition}"} 0`,
      );
    }
    expect(looked.out).toMatch(/otlp_spans +0 +current/);
  });

  it('serve metrics that Prometheus reads, named by its conventions', async () => {
    if ('missing' in parser) return;
    const child = spawn(parser.path, [path.join(root, 'test/support/metrics.py')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end(await (await get('/metrics')).text());
    const families = JSON.parse(await text(child.stdout)) as {
      name: string;
      type: string;
      help: string;
      samples: { name: string; labels: Record<string, string>; value: string }[];
    }[];
    const byName = new Map(families.map((family) => [family.name, family]));
    // The parser takes the suffix of counters off.
    const rows = byName.get('tidemark_archiver_rows');
    expect(rows?.type).toBe('counter');
    expect(rows?.samples).toEqual([
      {
        name: 'tidemark_archiver_rows_total',
        labels: { signal: 'traces' },
        value: String(spans.length),
      },
    ]);
    expect(byName.get('tidemark_archiver_flush_seconds')?.type).toBe('histogram');
    expect(byName.get('process_resident_memory_bytes')?.type).toBe('gauge');
    expect(byName.get('tidemark_build_info')?.samples).toHaveLength(1);
    const own = families.filter(({ name }) => name.startsWith('tidemark_'));
    const unnamed = own.filter(({ name }) => !/_(seconds|bytes|records|offset|info)$/.test(name));
    expect(unnamed.filter(({ type }) => type !== 'counter')).toEqual([]);
    expect(own.filter(({ help }) => help === '' || help.endsWith('.'))).toEqual([]);
    const labels = new Set(
      own.flatMap(({ samples }) => samples.flatMap((one) => Object.keys(one.labels))),
    );
    expect([...labels].filter((label) => /tenant|key|id$/.test(label))).toEqual([]);
  });

  it('fail where a partition is behind that nobody reads', { timeout: 120_000 }, async () => {
    // The archiver itself: npx, between, would end by the signal and not tell how it ended.
    process.kill(Number(/"pid":(\d+)/.exec(log)?.[1]), 'SIGTERM');
    const [code] = (await once(archiver, 'close')) as [number | null];
    expect(code, log).toBe(0);
    await expect(get('/healthz')).rejects.toThrow('fetch failed');
    await produce(30);
    const flags = '--archive --json --max-lag';
    const behind = await shell(`npx tidemark status ${flags} 9`);
    expect(behind.code).toBe(1);
    const report = JSON.parse(behind.out) as StatusReport & { alerts: string[] };
    expect(report.alerts).toEqual(
      [0, 1, 2].map(
        (partition) =>
          `otlp_spans/${partition} has 10 records that are not archived, allowed are 9`,
      ),
    );
    const own = report.partitions.filter((one) => one.topic === topics.traces);
    expect(own.map((one) => [one.partition, one.lagRecords])).toEqual([
      ['0', 10],
      ['1', 10],
      ['2', 10],
      ['spool', 0],
    ]);
    expect((await shell(`npx tidemark status ${flags} 10`)).code).toBe(0);
  });
});
