/** Tests of the curve by which requests spread over the day. */
import { describe, expect, it } from 'vitest';
import { drawStart } from '../../../dev/traffic/clock.ts';
import { Random } from '../../../dev/traffic/random.ts';

describe('drawStart()', () => {
  it('stays in its range, even of one second', () => {
    const random = new Random(1);
    const fromMs = Date.UTC(2026, 10, 22, 3);
    for (let turn = 0; turn < 200; turn += 1) {
      const timeMs = drawStart(fromMs, fromMs + 1000, random);
      expect(timeMs).toBeGreaterThanOrEqual(fromMs);
      expect(timeMs).toBeLessThan(fromMs + 1000);
    }
  });

  it('gives the evening several times the requests of the night', () => {
    const random = new Random(2);
    const fromMs = Date.UTC(2026, 10, 22);
    const hours = Array.from({ length: 20_000 }, () =>
      new Date(drawStart(fromMs, fromMs + 86_400_000, random)).getUTCHours(),
    );
    const count = (hour: number) => hours.filter((other) => other === hour).length;
    expect(count(19)).toBeGreaterThan(4 * count(3));
    expect(new Set(hours).size).toBe(24);
  });
});
