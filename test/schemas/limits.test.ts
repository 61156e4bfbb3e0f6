import { describe, expect, it } from 'vitest';
import * as limits from '../../schemas/limits.ts';
import { readSettings } from '../../schemas/settings.ts';

const wasmPageBytes = 65_536;

describe('limits', () => {
  it('are positive whole numbers', () => {
    for (const [name, value] of Object.entries(limits)) {
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
    const bytes = limits.columnWriterPagesMax * wasmPageBytes;
    expect(bytes).toBeGreaterThan(4 * TIDEMARK_FLUSH_BYTES);
    expect(bytes).toBeLessThanOrEqual(2 ** 32);
  });
});
