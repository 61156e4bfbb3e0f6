/** What partitions' watermarks say together: a table of clusters as operators have them. */
import { describe, expect, it } from 'vitest';
import {
  holdersBack,
  isSilent,
  leastWatermark,
} from '../../../../workers/clients/commits/watermark.ts';
import type { Watermark } from '../../../../workers/clients/commits/watermark.ts';

const minute = 60_000;
const day = 24 * 60 * minute;
const now = Date.UTC(2026, 10, 22, 13);

function partition(name: string, watermarkMs: number, seenMs = watermarkMs): Watermark {
  return { topic: 'otlp_spans', partition: name, watermarkMs, seenMs };
}

const spool = partition('spool', now - minute);

describe('leastWatermark()', () => {
  it.each<[string, Watermark[], number]>([
    ['no partition is known: nothing is vouched for', [], 0],
    ['only the spool is read', [spool], now - minute],
    ['the least of several', [spool, partition('0', now - 5 * minute)], now - 5 * minute],
    ['a partition that was just registered holds all back', [spool, partition('1', 0, now)], 0],
    [
      'a partition that is behind by weeks but commits now, as of a long backlog',
      [spool, partition('0', now - 30 * day, now)],
      now - 30 * day,
    ],
    [
      'a partition that stood still for six days may come back',
      [spool, partition('0', now - 6 * day)],
      now - 6 * day,
    ],
    [
      'a partition of a deleted topic: silent for a week while the spool went on',
      [spool, partition('0', now - 8 * day)],
      now - minute,
    ],
    [
      'all stand still, as when no archiver runs: none is silent',
      [partition('spool', now - 30 * day), partition('0', now - 31 * day)],
      now - 31 * day,
    ],
    [
      'one that was registered and never read is silent in the end, too',
      [spool, partition('1', 0, now - 8 * day)],
      now - minute,
    ],
  ])('%s', (_, all, expected) => {
    expect(leastWatermark(all)).toBe(expected);
  });
});

describe('isSilent()', () => {
  it('begins right behind the bound', () => {
    const at = (seenMs: number) => isSilent(partition('0', 0, seenMs), [spool], 1000);
    expect(at(spool.seenMs - 1000)).toBe(false);
    expect(at(spool.seenMs - 1001)).toBe(true);
  });
});

describe('holdersBack()', () => {
  it('names who vouches for less, the furthest behind first, without silent ones', () => {
    const all = [
      spool,
      partition('0', now - 9 * minute),
      partition('1', 0, now),
      partition('2', now - 8 * day),
    ];
    const names = (untilMs: number) => holdersBack(all, untilMs).map((one) => one.partition);
    expect(names(now - 5 * minute)).toEqual(['1', '0']);
    expect(names(now)).toEqual(['1', '0', 'spool']);
    expect(names(0)).toEqual([]);
  });
});
