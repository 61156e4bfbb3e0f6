import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import * as limits from '../../schemas/limits.ts';
import * as batchLimits from '../../schemas/limits/batch.ts';
import * as archiveLimits from '../../schemas/limits/archive.ts';
import * as kafkaLimits from '../../schemas/limits/kafka.ts';
import * as devLimits from '../../schemas/limits/dev.ts';
import { readSettings } from '../../schemas/settings.ts';

const wasmPageBytes = 65_536;

describe('limits', () => {
  it('are positive whole numbers', () => {
    for (const [name, value] of Object.entries({
      ...limits,
      ...archiveLimits,
      ...kafkaLimits,
      ...batchLimits,
      ...devLimits,
    })) {
      expect(Number.isSafeInteger(value) && value > 0, name).toBe(true);
    }
  });

  it('let a transcoder hold the largest request and its rows', () => {
    const { TIDEMARK_INFLATED_BYTES_MAX } = readSettings({});
    expect(limits.transcoderPagesMax * wasmPageBytes).toBeGreaterThan(
      2 * TIDEMARK_INFLATED_BYTES_MAX,
    );
  });

  it('let a column writer hold one flush and its columns, within what WebAssembly addresses', () => {
    const { TIDEMARK_FLUSH_BYTES } = readSettings({});
    const bytes = archiveLimits.columnWriterPagesMax * wasmPageBytes;
    expect(bytes).toBeGreaterThan(4 * TIDEMARK_FLUSH_BYTES);
    expect(bytes).toBeLessThanOrEqual(2 ** 32);
  });

  it.each([
    ['otlp/wire.ts', 'depthMax: i32', limits.anyValueDepthMax],
    ['columns/hour.ts', 'openHoursMax: u32', archiveLimits.openHoursMax],
  ])(
    'are those that AssemblyScript, which cannot import them, repeats in %s',
    (file, name, value) => {
      const source = path.join(import.meta.dirname, '../../aggregator-as/assembly', file);
      expect(readFileSync(source, 'utf8')).toContain(`const ${name} = ${value};`);
    },
  );
});
