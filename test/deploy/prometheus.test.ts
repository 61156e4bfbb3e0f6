/**
 * The alerts against the programs that they watch: metrics and labels are those that programs expose,
 * Prometheus's own promtool reads the rules and runs their unit tests, and the runbook has a section for each.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { Registry } from 'prom-client';
import { afterAll, describe, expect, it } from 'vitest';
import { workerMetrics } from '../../batch/fleet/metrics.ts';
import { WorkerState } from '../../batch/fleet/state.ts';
import { scheduleCounters } from '../../batch/scheduler/counters.ts';
import { Meter } from '../../edge/meter.ts';
import { archiveCounters, archiveGauges } from '../../workers/watch/counters.ts';
import { gatewayCounters } from '../../workers/gateway/counters.ts';
import { Vitals } from '../../workers/watch/vitals.ts';
import { peerBuildMs, promtool } from '../support/peers.ts';

const root = path.join(import.meta.dirname, '../..');
const folder = path.join(root, 'deploy/prometheus');
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
const rules = files.map((name) => readFileSync(path.join(folder, name), 'utf8')).join('\n');
const runbook = readFileSync(path.join(root, 'docs/RUNBOOK.md'), 'utf8');
const cases = ['alerts.yaml', 'dayalerts.yaml'].map((name) => ({
  name,
  text: readFileSync(path.join(import.meta.dirname, name), 'utf8'),
}));
const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);

/** What Node's programs register, with their labels. */
function registered(): Map<string, readonly string[]> {
  const registry = new Registry();
  archiveCounters(registry);
  archiveGauges(registry, new Vitals(() => 0), () => 0);
  scheduleCounters(registry);
  workerMetrics(registry, new WorkerState(() => 0));
  gatewayCounters(registry, () => 0);
  const names = registry.getMetricsAsArray() as unknown as { name: string; labelNames: string[] }[];
  return new Map(names.map(({ name, labelNames }) => [name, labelNames]));
}

/** Selectors of the rules, as metric and label names: of matchers, and of what is summed up by. */
function used(): { metric: string; labels: string[] }[] {
  const own = rules
    .replaceAll(/^\s*#.*$/gm, '')
    .split(/- alert: /)
    .slice(1);
  return own.flatMap((rule) => {
    const by = [...rule.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) =>
      list.split(/, */),
    );
    return [...rule.matchAll(/\b(tidemark_\w+)(?:\{([^}]*)\})?/g)].map(
      ([, metric = '', inner = '']) => {
        const matched = [...inner.matchAll(/(\w+)[!=]=?~?"/g)].map(([, label = '']) => label);
        return { metric, labels: [...new Set([...by, ...matched])] };
      },
    );
  });
}

describe('the alerts', () => {
  it('use metrics and labels that the programs expose', () => {
    const known = registered();
    const edge = new Set(
      [...new Meter().text().matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name),
    );
    expect(known.size).toBeGreaterThan(30);
    expect(edge.size).toBeGreaterThan(15);
    const wrong = used().filter(({ metric, labels }) => {
      // The edge's labels are only in its lines: commands.test.ts of test/docs looks at those.
      if (edge.has(metric)) return false;
      const own = known.get(metric);
      return own === undefined || labels.some((label) => !own.includes(label));
    });
    expect(used().length).toBeGreaterThan(alerts.length);
    expect(wrong).toEqual([]);
  });

  it('have a section of the runbook each, which says how to look and when it is over', () => {
    expect(new Set(alerts).size).toBe(alerts.length);
    const sections = new Map(
      runbook
        .split(/^### /m)
        .slice(1)
        .map((section) => [section.split('\n')[0] ?? '', section]),
    );
    for (const alert of alerts) {
      const section = sections.get(alert) ?? '';
      for (const part of ['**It means**', '**Do**', '**It is over**']) {
        expect(section, `${alert} in docs/RUNBOOK.md`).toContain(part);
      }
    }
    const told = [...sections.keys()].filter((name) => name.startsWith('Tidemark'));
    expect(told.filter((name) => !alerts.includes(name))).toEqual([]);
  });

  it('link their sections, and say how urgent they are', () => {
    for (const rule of rules.split(/- alert: /).slice(1)) {
      const name = /^\w+/.exec(rule)?.[0] ?? '';
      expect(rule).toContain(`runbook: docs/RUNBOOK.md#${name.toLowerCase()}\n`);
      expect(rule).toMatch(/severity: (page|ticket) /);
      expect(rule).toMatch(/summary: \S/);
    }
  });
});

const tool = await promtool();
const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-alerts-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function run(args: readonly string[]): Promise<{ code: number | null; out: string }> {
  if ('missing' in tool) throw new Error(tool.missing);
  const child = spawn(tool.path, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  return { code: child.exitCode, out: `${out}\n${err}` };
}

describe.skipIf('missing' in tool)("Prometheus's promtool", () => {
  it('reads the rules', async () => {
    const names = files.map((name) => path.join(folder, name));
    const { code, out } = await run(['check', 'rules', '--lint=all', '--lint-fatal', ...names]);
    expect(code, out).toBe(0);
    const counts = [...out.matchAll(/(\d+) rules found/g)].map(([, count]) => Number(count));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(alerts.length);
  });

  it(
    'sees each alert fire when it should, and not before',
    async () => {
      // An alert that no case sees firing is untested.
      const firing = /alertname="(\w+)",alertstate="firing"/g;
      const seen = new Set(
        cases.flatMap((each) => [...each.text.matchAll(firing)].map((m) => m[1])),
      );
      expect(alerts.filter((name) => !seen.has(name))).toEqual([]);
      for (const { name, text: own } of cases) {
        writeFileSync(path.join(directory, name), own.replaceAll('RULES', folder));
      }
      const names = cases.map(({ name }) => path.join(directory, name));
      const { code, out } = await run(['test', 'rules', ...names]);
      expect(code, out).toBe(0);
    },
    peerBuildMs,
  );
});
