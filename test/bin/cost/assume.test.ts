/** The assumptions: each has a unit and a source, follows the code where it is the code's, and can be replaced. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { assume, assumptions } from '../../../bin/cost/assume.ts';
import { settings } from '../../../schemas/settings.ts';

const root = path.join(import.meta.dirname, '../../..');

describe('the assumptions', () => {
  it('have a value, a unit and a source each', () => {
    for (const [name, { value, unit, source }] of Object.entries(assumptions)) {
      expect(value, name).toBeGreaterThan(0);
      expect(unit, name).not.toBe('');
      expect(source, name).not.toBe('');
    }
  });

  it('date their prices', () => {
    const prices = Object.values(assumptions).filter(({ kind }) => kind === 'price');
    expect(prices.length).toBeGreaterThan(10);
    const undated = prices.filter(({ source }) => !/\b2026(-\d\d)?\b/.test(source));
    expect(undated).toEqual([]);
  });

  it('name settings and documents that there are', () => {
    const sources = Object.values(assumptions).map(({ source }) => source);
    const named = sources.flatMap((source) => source.match(/TIDEMARK_\w+/g) ?? []);
    expect(named.filter((name) => !(name in settings))).toEqual([]);
    for (const source of sources) {
      for (const name of source.match(/(docs|schemas|bench)\/[\w/]+\.(md|ts)/g) ?? []) {
        expect(readFileSync(path.join(root, name), 'utf8'), name).not.toBe('');
      }
    }
    expect(assumptions.flushRows.value).toBe(Number(settings.TIDEMARK_FLUSH_ROWS.default));
    const memory = Number(settings.TIDEMARK_BATCH_MEMORY_BYTES.default);
    expect(assumptions.batchThreadBytes.value).toBe(memory);
  });
});

describe('assume()', () => {
  it('puts given numbers in the place of others', () => {
    expect(assume({ spanParquetBytes: 80, zoneUsdPerGb: 0 })).toMatchObject({
      spanParquetBytes: 80,
      zoneUsdPerGb: 0,
      logParquetBytes: 72,
    });
  });

  it.each([
    ['no such name', { spanBytes: 80 }, 'Cannot assume spanBytes: there is no such assumption'],
    ['a text', { flushRows: '9' }, 'Cannot assume flushRows: "9" is no number above 0'],
    ['nothing', { flushRows: 0 }, 'Cannot assume flushRows: 0 is no number above 0'],
    ['less', { zoneUsdPerGb: -1 }, 'Cannot assume zoneUsdPerGb: -1 is no number above 0'],
    ['no number', { flushRows: Number.NaN }, 'Cannot assume flushRows: null is no number above 0'],
    ['a name of objects', { toString: 1 }, 'Cannot assume toString: there is no such assumption'],
  ])('refuses %s', (_, given, message) => {
    expect(() => assume(given)).toThrow(message);
  });
});
