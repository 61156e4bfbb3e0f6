import { describe, expect, it } from 'vitest';
import {
  planComputation,
  threadsOf,
  type ComputationOptions,
} from '../../../batch/plan/computation.ts';
import { loadKernel } from '../../../batch/shard/kernel.ts';
import { parsePeriod } from '../../../schemas/period.ts';
import { readSettings } from '../../../schemas/settings.ts';
import manifest from '../../../package.json' with { type: 'json' };

const settings = { ...readSettings({}), TIDEMARK_BATCH_THREADS: 2 };
const options: ComputationOptions = {
  period: parsePeriod('2026-11-21'),
  of: 'traces',
  settings,
  codeVersion: '1',
};
const file = (key: string, rows: number) => ({
  key,
  bytes: 1000,
  rows,
  hourMs: Date.UTC(2026, 10, 21, 13),
  timeMinNs: '0',
  timeMaxNs: '0',
  quarantined: false,
  rowGroups: [{ rows, idMin: '0'.repeat(32), idMax: 'f'.repeat(32) }],
  topic: 'otlp_spans',
  partitions: ['spool'],
});
const input = { files: [file('a', 300_000), file('b', 100_000)], inputHash: 'input' };

function nameOf(more: Partial<ComputationOptions>, inputHash = 'input'): string {
  return planComputation({ ...input, inputHash }, { ...options, ...more }).name;
}

describe('planComputation()', () => {
  it('cuts the period into shards of all its files, for all threads', () => {
    const { shards, rows } = planComputation(input, options);
    expect(rows).toBe(400_000);
    expect(shards.map(({ files }) => files.map(({ key }) => key))).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
    const backwards = { ...input, files: input.files.toReversed() };
    expect(planComputation(backwards, options)).toEqual(planComputation(input, options));
    expect(planComputation({ files: [], inputHash: 'none' }, options)).toMatchObject({
      shards: [],
      rows: 0,
    });
  });

  it('is named by period, signal, input, code and settings that figures depend on, no others', () => {
    const changed = [
      nameOf({}),
      nameOf({}, 'other'),
      nameOf({ period: parsePeriod('2026-11-22') }),
      nameOf({ period: parsePeriod('2026-11-21T00') }),
      nameOf({ of: 'logs' }),
      nameOf({ codeVersion: '2' }),
      nameOf({ settings: { ...settings, TIDEMARK_BATCH_SERIES_MAX: 7 } }),
    ];
    expect(new Set(changed).size).toBe(changed.length);
    expect(changed[0]).toMatch(/^2026-11-21-[0-9a-f]{12}$/);
    expect(changed[3]).toMatch(/^2026-11-21T00-[0-9a-f]{12}$/);
    const same = { ...settings, TIDEMARK_BATCH_THREADS: 9, TIDEMARK_LOG_LEVEL: 'debug' as const };
    expect(nameOf({ settings: same })).toBe(changed[0]);
  });
});

describe('threadsOf()', () => {
  it('is the setting, and a thread for each core without it', () => {
    expect(threadsOf(settings)).toBe(2);
    expect(threadsOf({ ...settings, TIDEMARK_BATCH_THREADS: 0 })).toBeGreaterThan(0);
  });
});

describe('loadKernel()', () => {
  it('compiles what was built and names it', async () => {
    const { module, codeVersion } = await loadKernel('aggregate');
    expect(module).toBeInstanceOf(WebAssembly.Module);
    expect(codeVersion).toMatch(new RegExp(`^${manifest.version}\\+[0-9a-f]{8}$`));
    expect((await loadKernel('aggregatelogs')).codeVersion).not.toBe(codeVersion);
  });
});
