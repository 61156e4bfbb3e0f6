import { describe, expect, it } from 'vitest';
import { rangeOf } from '../../bin/range.ts';

const otherwise = {
  fromMs: Date.parse('2026-11-15T14:00Z'),
  toMs: Date.parse('2026-11-22T14:00Z'),
};

function shown(flags: Parameters<typeof rangeOf>[0]): string[] {
  const { fromMs, toMs } = rangeOf(flags, otherwise);
  return [fromMs, toMs].map((ms) => new Date(ms).toISOString().slice(0, 16));
}

describe('rangeOf()', () => {
  it.each([
    [{}, '2026-11-15T14:00', '2026-11-22T14:00'],
    [{ date: '2026-11-21' }, '2026-11-21T00:00', '2026-11-22T00:00'],
    [{ date: '2026-11-21T23' }, '2026-11-21T23:00', '2026-11-22T00:00'],
    [{ from: '2026-11-20' }, '2026-11-20T00:00', '2026-11-22T14:00'],
    [{ from: '2026-11-01', to: '2026-11-03T05' }, '2026-11-01T00:00', '2026-11-03T05:00'],
  ])('of %o are whole hours', (flags, from, to) => {
    expect(shown(flags)).toEqual([from, to]);
  });

  it.each([
    { date: '2026-11-31' },
    { date: 'yesterday' },
    { date: '2026-11-21T24' },
    { from: '2026-11-21T10:30' },
    { from: '2026-11-03', to: '2026-11-03' },
    { from: '2026-11-30' },
  ])('throws BAD_SETTING for %o', (flags) => {
    expect(() => shown(flags)).toThrow(expect.objectContaining({ code: 'BAD_SETTING' }));
  });
});
