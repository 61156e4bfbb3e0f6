/** Tests of the curve by which requests spread over the day. */
import { describe, expect, it } from 'vitest';
import { slotsOf } from '../../../dev/traffic/clock.ts';

const midnightMs = Date.UTC(2026, 10, 22);
const hourMs = 3_600_000;

describe('slotsOf()', () => {
  it('covers the range without gap or overlap, and its shares grow to 1', () => {
    const [fromMs, untilMs] = [midnightMs + 1234, midnightMs + 9 * hourMs + 77];
    const slots = slotsOf(fromMs, untilMs);
    expect(slots[0]?.fromMs).toBe(fromMs);
    expect(slots.at(-1)?.untilMs).toBe(untilMs);
    for (const [index, slot] of slots.entries()) {
      expect(slot.untilMs).toBeGreaterThan(slot.fromMs);
      const next = slots[index + 1];
      if (next) expect(next.fromMs).toBe(slot.untilMs);
      if (next) expect(next.cumulativeShare).toBeGreaterThan(slot.cumulativeShare);
    }
    expect(slots.at(-1)?.cumulativeShare).toBe(1);
  });

  it('is one slot for a range of one second', () => {
    expect(slotsOf(midnightMs, midnightMs + 1000)).toEqual([
      { fromMs: midnightMs, untilMs: midnightMs + 1000, cumulativeShare: 1 },
    ]);
  });

  it('gives the evening ten times the requests of the night', () => {
    const slots = slotsOf(midnightMs, midnightMs + 24 * hourMs);
    const until = (hour: number): number =>
      slots.findLast(({ untilMs }) => untilMs <= midnightMs + hour * hourMs)?.cumulativeShare ?? 0;
    const share = (hour: number): number => until(hour + 1) - until(hour);
    expect(share(19) / share(3)).toBeCloseTo(10, 6);
  });
});
