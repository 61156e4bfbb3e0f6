/** Lengths of time on the command line. */
import { describe, expect, it } from 'vitest';
import { describeMs, durationMs, pauseMs } from '../../bin/duration.ts';

describe('durationMs()', () => {
  it.each([
    ['30s', 30_000],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
  ])('reads %s', (text, ms) => {
    expect(durationMs(text)).toBe(ms);
  });

  it.each(['', '0s', '10', 'm', '1.5h', '-1m', '10 m', '1w', '9999999s'])(
    'refuses "%s"',
    (text) => {
      expect(() => durationMs(text)).toThrow('It is not a time such as');
    },
  );
});

describe('pauseMs()', () => {
  it('reads what a timer can wait for, and refuses more', () => {
    expect(pauseMs('24d')).toBe(2_073_600_000);
    expect(() => pauseMs('25d')).toThrow('It is longer than 24d');
  });
});

describe('describeMs()', () => {
  it.each([
    [-5, '0 s'],
    [119_400, '119 s'],
    [120_000, '2 min'],
    [7_199_000, '120 min'],
    [7_200_000, '2 h'],
    [172_800_000, '2 d'],
  ])('%d ms is %s', (ms, text) => {
    expect(describeMs(ms)).toBe(text);
  });
});
