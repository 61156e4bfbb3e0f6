/** Checks the isolate's encoder in workerd against the runtime's own. */
import { describe, expect, it } from 'vitest';
import { base64Length } from '../../aggregator-as/base64.ts';
import { writeBase64 } from '../../edge/base64.ts';

describe('writeBase64()', () => {
  it('writeBase64() writes what the runtime would, one call after the other', () => {
    for (const length of [0, 1, 2, 3, 11, 12, 13, 49_151, 49_152, 49_153, 200_000]) {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 7919 + length) & 255);
      const target = new Uint8Array(base64Length(length));
      expect(writeBase64(bytes, target, 0)).toBe(target.length);
      expect(new TextDecoder().decode(target) === bytes.toBase64(), `${length} bytes`).toBe(true);
    }
  });
});
