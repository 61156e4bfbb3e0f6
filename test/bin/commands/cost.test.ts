/** `tidemark cost` as users call it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assumptions } from '../../../bin/cost/assume.ts';
import type { CostReport } from '../../../bin/cost/price.ts';
import { main } from '../../../bin/main.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-cost-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function cost(...args: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await main(['cost', ...args], {
    environment: {},
    stdout: { write: (line: string) => out.push(line) },
    stderr: { write: (line: string) => err.push(line) },
    now: () => 0,
    signal: new AbortController().signal,
  });
  return { code, stdout: out.join(''), stderr: err.join('') };
}

function reportOf({ stdout }: { stdout: string }): CostReport {
  return JSON.parse(stdout) as CostReport;
}

async function linesOf(...args: string[]): Promise<CostReport['lines']> {
  return reportOf(await cost('--spans-per-day', '1e6', '--no-kafka', '--json', ...args)).lines;
}

describe('tidemark cost', () => {
  it('prints resources, money, what dominates and the limits', async () => {
    const { code, stdout } = await cost('--spans-per-day', '1e11');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^100 G spans, 0 log records, 0 data points a day\n/);
    expect(stdout).toMatch(/\n {2}edge +Workers: plan +1 +account +5\n/);
    expect(stdout).toMatch(/\n {2}all +[\d,]+\n/);
    expect(stdout).toMatch(/Most of it: .+ \d+ %, .+ \d+ %, .+ \d+ %\.\n/);
    expect(stdout).toMatch(/\n\d+ deployments, each with a bucket, share it/);
    expect(stdout).toMatch(/\n {2}compacting an hour of one signal +[\d.]+ k +3.6 k +s\n/);
  });

  it('prints the same as JSON', async () => {
    const report = reportOf(await cost('--logs-per-day', '250000', '--no-kafka', '--json'));
    expect(report.load).toEqual({
      items: { traces: 0, logs: 250_000, metrics: 0 },
      archiveDays: 30,
      speedDays: 7,
      kafkaDays: 7,
      kafka: false,
      group: false,
    });
    expect(report.cells).toBe(1);
    expect(report.usdMonth).toBeGreaterThan(0);
  });

  it('takes numbers of a file, and of flags before those', async () => {
    const file = path.join(directory, 'mine.json');
    writeFileSync(file, '{"vcpuUsdPerHour": 0, "workerPlanUsd": 7}');
    const lines = await linesOf('--assume', file);
    expect(lines.find(({ what }) => what === 'archivers')?.usdMonth).toBe(0);
    expect(lines.find(({ what }) => what === 'Workers: plan')?.usdMonth).toBe(7);
    const set = await linesOf(
      '--assume',
      file,
      '--set',
      'workerPlanUsd=9',
      '--set',
      'peakFactor=3',
    );
    expect(set.find(({ what }) => what === 'Workers: plan')?.usdMonth).toBe(9);
  });

  it('prints every assumption with its unit and source', async () => {
    const { stdout } = await cost('--assumptions', '--set', 'peakFactor=3');
    for (const [name, { unit }] of Object.entries(assumptions)) {
      const line = stdout.split('\n').find((each) => each.startsWith(`${name} `));
      expect(line, name).toContain(` ${unit} `);
    }
    expect(stdout).toMatch(/\npeakFactor +3 +x +given +in place of 2\n/);
    expect(JSON.parse((await cost('--assumptions', '--json')).stdout)).toMatchObject({
      peakFactor: 2,
    });
  });

  it.each([
    [[], 'Cannot estimate nothing'],
    [['--spans-per-day', 'many'], 'It is not a number'],
    [['--spans-per-day', '1e16'], 'It is not a number'],
    [['--spans-per-day', '1', '--set', 'peakFactor'], 'It is not a name and a value'],
    [['--spans-per-day', '1', '--set', 'peak=1'], 'Cannot assume peak'],
    [['--spans-per-day', '1', '--assume', '/nowhere.json'], 'Cannot read assumptions of'],
  ])('refuses %j', async (args, message) => {
    const { code, stdout, stderr } = await cost(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });
});
