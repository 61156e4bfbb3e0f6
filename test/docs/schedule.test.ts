/**
 * The guide of the schedule and the manifests beside it: the guide's commands as they stand there, on a real
 * bucket and a real ClickHouse; Kubernetes's own client reads its manifests, and Python the DAG.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { scheduleCounters } from '../../batch/scheduler/counters.ts';
import { freePorts } from '../../dev/port.ts';
import { settings as allSettings } from '../../schemas/settings.ts';
import { archiveSpans, moveWatermark } from '../support/day.ts';
import { kubernetes } from '../support/peers.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans } from '../support/spans.ts';
import { startStack } from '../support/stack.ts';

const root = path.join(import.meta.dirname, '../..');
const read = (name: string) => readFileSync(path.join(root, name), 'utf8');
const guide = read('docs/SCHEDULE.md');
const manifests = [
  'scheduler',
  'batchcron',
  'batchshards',
  'batchworker',
  'archiver',
  'checks',
].map((name) => `deploy/kubernetes/${name}.yaml`);

/** The shell commands that follow `<!-- run: name -->` in the guide. */
function commandsOf(name: string): string {
  const found = new RegExp(`<!-- run: ${name} -->\n+\`\`\`sh\n([^\`]*)\`\`\``).exec(guide)?.[1];
  if (found === undefined) throw new Error(`Bug: the guide has no commands "${name}"`);
  return found;
}

describe('the guide of the schedule', () => {
  it('names all metrics and settings that there are', async () => {
    const registry = new Registry();
    scheduleCounters(registry);
    const names = (await registry.getMetricsAsJSON()).map(({ name }) => name);
    const inGuide = guide.match(/`tidemark_batch_\w+/g)?.map((name) => name.slice(1)) ?? [];
    expect(inGuide.toSorted()).toEqual(names.toSorted());
    const known = new Set<string>(Object.keys(allSettings));
    const texts = [guide, ...manifests.map(read)].join('\n');
    const settings = texts.match(/\b(?:TIDEMARK|KAFKA|S3|CLICKHOUSE)_[A-Z0-9_]+\b/g) ?? [];
    expect([...new Set(settings)].filter((name) => !known.has(name))).toEqual([]);
  });

  it('has the cron lines of the settings in the Worker and in the CronJobs', () => {
    const lines = [allSettings.TIDEMARK_BATCH_CRON, allSettings.TIDEMARK_BATCH_HOUR_CRON];
    for (const { default: line } of lines) {
      expect(read('wrangler.toml')).toContain(`"${line}"`);
      expect(read('deploy/kubernetes/batchcron.yaml')).toContain(`schedule: '${line}'`);
      expect(read('deploy/airflow/tidemark.py')).toContain(`"${line}"`);
    }
  });

  it('its commands compute what was missed, and show how the schedule is', async () => {
    const stack = await startStack();
    try {
      const random = seededRandom(20261123);
      for (const [index, day] of ['20', '21'].entries()) {
        const offset = BigInt(index * 100);
        const hourMs = Date.parse(`2026-11-${day}T10:00:00Z`);
        const spans = randomSpans(random, 30, { hourMs, offset });
        await archiveSpans(stack.store, spans, { firstOffset: offset });
      }
      await moveWatermark(stack.store, Date.parse('2026-11-22T04:00:00Z'));
      const [port = 0] = await freePorts(1);
      const { settings } = stack;
      const given: Record<string, string> = {
        'https://s3.example.com': settings.S3_ENDPOINT,
        'S3_BUCKET=telemetry': `S3_BUCKET=${settings.S3_BUCKET}`,
        'S3_ACCESS_KEY_ID=batch': `S3_ACCESS_KEY_ID=${settings.S3_ACCESS_KEY_ID}`,
        'a-long-secret': settings.S3_SECRET_ACCESS_KEY,
        'https://clickhouse.example.com:8443': settings.CLICKHOUSE_URL,
        'CLICKHOUSE_USER=tidemark': `CLICKHOUSE_USER=${settings.CLICKHOUSE_USER}`,
      };
      let exports = commandsOf('settings');
      for (const [example, own] of Object.entries(given)) {
        if (!exports.includes(example)) throw new Error(`Bug: the guide has no "${example}"`);
        exports = exports.replace(example, own);
      }
      const shell = (commands: string) =>
        spawn('bash', ['-c', `set -e\n${exports}\n${commands.replaceAll(':9464', `:${port}`)}`], {
          cwd: root,
          env: {
            PATH: process.env['PATH'],
            HOME: process.env['HOME'],
            npm_config_offline: 'true',
            npm_config_update_notifier: 'false',
            TIDEMARK_METRICS_PORT: String(port),
            TIDEMARK_BATCH_THREADS: '1',
          },
          stdio: ['ignore', 'pipe', 'pipe'],
          // npx starts the command as a child.
          detached: true,
        });
      const filled = shell(commandsOf('backfill'));
      const filling = [text(filled.stdout), text(filled.stderr)];
      await once(filled, 'close');
      const [out = '', progress = ''] = await Promise.all(filling);
      expect(filled.exitCode, progress).toBe(0);
      // Days without logs and metrics are nothing yet, and so up to date.
      expect(out).toContain('2 published, 4 up to date, 0 failed\n');
      expect(progress).toMatch(/^6\/6: /m);
      const scheduler = shell(commandsOf('schedule'));
      const logged = text(scheduler.stderr);
      try {
        const ready = () => fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
        while ((await ready())?.ok !== true && scheduler.exitCode === null) await pause(200);
        const leads = async () =>
          (await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).includes(
            'tidemark_batch_leader 1',
          );
        while (!(await leads()) && scheduler.exitCode === null) await pause(200);
        const look = shell(commandsOf('look'));
        const shown = text(look.stdout);
        await once(look, 'close');
        expect(look.exitCode).toBe(0);
        expect(await shown).toMatch(/^ok\n/);
        expect(await shown).toContain('\ntidemark_batch_leader 1\n');
        expect(await shown).toMatch(/\ntidemark_batch_next_tick_seconds\{kind="day"\} \d+\n/);
      } finally {
        if (scheduler.pid !== undefined) process.kill(-scheduler.pid, 'SIGTERM');
        await once(scheduler, 'close');
      }
      expect(await logged).toContain('This scheduler leads');
    } finally {
      await stack.close();
    }
  }, 400_000);
});

const client = await kubernetes();

/** Reads manifests into the client's models and back: what the schema does not know is lost on the way. */
const check = `
import json, sys, yaml
from kubernetes import client
api = client.ApiClient()
kinds = []
for name in sys.argv[1:]:
    for document in yaml.safe_load_all(open(name)):
        group, _, version = document['apiVersion'].rpartition('/')
        model = (version[0].upper() + version[1:]) + document['kind']
        read = api.deserialize(json.dumps(document), model, 'application/json')
        back = api.sanitize_for_serialization(read)
        if back != document:
            def lost(a, b, at):
                if isinstance(a, dict) and isinstance(b, dict):
                    for key in a: lost(a[key], b.get(key), at + '.' + str(key))
                elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
                    for i, (x, y) in enumerate(zip(a, b)): lost(x, y, at + '[%d]' % i)
                elif a != b: print('%s %s: %r, read as %r' % (name, at, a, b))
            lost(document, back, '')
        kinds.append(document['kind'])
print(' '.join(kinds))
`;

describe.skipIf('missing' in client)('the manifests for Kubernetes', () => {
  it('are what the API of Kubernetes knows, field by field', async () => {
    if ('missing' in client) return;
    const child = spawn(client.path, ['-c', check, ...manifests], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const printed = await text(child.stdout);
    expect(printed.trim().split('\n')).toEqual([expect.stringMatching(/^ConfigMap Deployment /)]);
    for (const kind of ['CronJob CronJob', 'Job Job']) expect(printed).toContain(kind);
    // The number of pods is that of the shards.
    const shards = read('deploy/kubernetes/batchshards.yaml');
    expect(/completions: (\d+)/.exec(shards)?.[1]).toBe(/--of, '(\d+)'/.exec(shards)?.[1]);
  });
});

describe('the DAG for Airflow', () => {
  it('is Python, computes the period of its interval, and tries twice again ten minutes apart', async () => {
    const program = `
import ast, json, sys
tree = ast.parse(open(sys.argv[1]).read())
names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
calls = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}
print(json.dumps({'names': sorted(names), 'texts': texts, 'calls': sorted(calls)}))
`;
    const child = spawn('python3', ['-c', program, 'deploy/airflow/tidemark.py'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const dag = JSON.parse(await text(child.stdout)) as Record<
      'names' | 'texts' | 'calls',
      string[]
    >;
    expect(dag.names.filter((name) => /today|now/.test(name))).toEqual([]);
    const days = dag.texts.filter((each) => each.includes('{{'));
    expect(days).toHaveLength(2);
    for (const each of days) expect(each).toContain("data_interval_start.in_timezone('UTC')");
    expect(dag.calls).toContain('timedelta(minutes=10)');
    expect(read('deploy/airflow/tidemark.py')).toMatch(/"retries": 2,\n/);
  });
});
