/** Test of the whole demo at a small size: every part real, every equality held. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import type { DemoResult } from '../../dev/demo/result.ts';

const entry = path.join(import.meta.dirname, '../../bin/tidemark.js');

describe('tidemark demo', () => {
  it('proves its figures and says so as one JSON document', async () => {
    const args = [entry, 'demo', '--spans', '5000', '--seed', '7', '--json'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const [stdout, stderr] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    expect(stderr).not.toContain('✗');
    expect(child.exitCode).toBe(0);
    const result = JSON.parse(stdout) as DemoResult;
    expect(result.ok).toBe(true);
    expect(result.proof.archive.differences).toEqual([]);
    expect(result.proof.logs).toMatchObject({ differences: [] });
    expect(result.proof.logs.rows).toBeGreaterThan(0);
    expect(result.proof.metrics).toMatchObject({ differences: [] });
    expect(result.proof.metrics.rows).toBeGreaterThan(0);
    expect(result.proof.generator.differences).toEqual([]);
    // Beside the operations: the services, and the calls of the service graph.
    expect(result.proof.archive.rows).toBeGreaterThan(result.proof.generator.rows);

    expect(result.signals.comparison.differences).toEqual([]);
    expect(result.signals.logs.length).toBeGreaterThan(5);
    expect(result.signals.metrics.map(({ table }) => table)).toEqual([
      'otel_metrics_gauge',
      'otel_metrics_sum',
      'otel_metrics_histogram',
      'otel_metrics_exp_histogram',
    ]);

    const edge = result.graph.find(({ caller }) => caller !== 'user');
    expect(edge?.calls).toBeGreaterThan(0);
    expect(result.graph.map(({ calls }) => calls)).toEqual(
      result.graph.map(({ calls }) => calls).toSorted((a, b) => b - a),
    );

    const [yesterday, today] = result.days;
    const layers = (day: string) =>
      new Set(result.merged.filter(({ date }) => date === day).map(({ layer }) => layer));
    expect(layers(yesterday)).toEqual(new Set(['batch']));
    expect(layers(today)).toEqual(new Set(['realtime']));
    expect(result.runs).toHaveLength(2);
    expect(result.corrected.lateSpans).toBeGreaterThan(0);
    expect(result.corrected.lateRows).toBeGreaterThanOrEqual(result.corrected.lateSpans);
    const total = result.merged.reduce((sum, row) => sum + row.total_spans, 0);
    // Today is counted by the speed layer, which may keep duplicates.
    expect(total).toBeGreaterThanOrEqual(result.traffic.spans);
    expect(total).toBeLessThanOrEqual(result.traffic.spans + result.traffic.repeatedSpans);
  }, 180_000);
});
