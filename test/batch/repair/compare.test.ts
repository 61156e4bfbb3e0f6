import { query } from 'chdb';
import { describe, expect, it } from 'vitest';
import { fileNumber } from '../../../batch/repair/compare.ts';

describe('fileNumber()', () => {
  it('is the engine’s halfMD5 of the key', () => {
    for (const key of ['signal=traces/year=2026/a+0+1+x.parquet', '', 'ü']) {
      const found = query(`SELECT toString(halfMD5('${key}')) AS n`, 'JSONEachRow');
      expect(JSON.parse(found)).toEqual({ n: fileNumber(key) });
    }
  });
});
