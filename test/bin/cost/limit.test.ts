/** Where the design ends, and over how many deployments a load is spread. */
import { describe, expect, it } from 'vitest';
import { assume } from '../../../bin/cost/assume.ts';
import { cellOf } from '../../../bin/cost/cell.ts';
import { cellsOf, limitsOf } from '../../../bin/cost/limit.ts';
import type { Load } from '../../../bin/cost/size.ts';

function loadOf(traces: number, more: Partial<Load> = {}): Load {
  const items = { traces, logs: 0, metrics: 0 };
  const kept = { archiveDays: 30, speedDays: 7, kafkaDays: 7 };
  return { items, ...kept, kafka: true, group: false, ...more };
}

function limitOf(load: Load, name: string, given: Record<string, number> = {}) {
  const a = assume(given);
  return limitsOf(cellOf(load, a, 1), a).find((limit) => limit.name === name);
}

describe('limitsOf()', () => {
  it('compares with what there is', () => {
    // 86.4 M spans in requests of 512 are 117.1875 a minute, twice that at the peak.
    expect(limitOf(loadOf(86.4e6), 'rows spooled a minute while ClickHouse is down')).toMatchObject(
      {
        need: 234.375,
        bound: 400,
      },
    );
    const spool = limitOf(loadOf(8.64e9, { kafka: false }), 'traces through the R2 spool');
    expect(spool).toMatchObject({ need: 200_000, bound: 163_000, spreads: true });
    // 195.3 requests a second, at the peak 390.6, over 50 places.
    const object = limitOf(
      loadOf(8.64e9, { group: true }),
      'requests a second of one Durable Object',
    );
    expect(object?.need).toBeCloseTo(7.8125, 9);
    expect(limitOf(loadOf(8.64e9), 'requests a second of one Durable Object')).toBeUndefined();
  });

  it('takes the worst of the signals', () => {
    const load = { ...loadOf(1e6), items: { traces: 1e6, logs: 0, metrics: 8.64e9 }, kafka: false };
    expect(limitOf(load, 'metrics through the R2 spool')?.bound).toBe(172_000);
  });
});

describe('cellsOf()', () => {
  it('is one where one holds it', () => {
    expect(cellsOf(loadOf(1e6), assume())).toBe(1);
    expect(cellsOf(loadOf(0), assume())).toBe(1);
  });

  it('leaves every deployment within its limits', () => {
    const a = assume();
    for (const load of [loadOf(1e10), loadOf(1e11), loadOf(1e12), loadOf(1e10, { kafka: false })]) {
      const cells = cellsOf(load, a);
      expect(cells).toBeGreaterThan(1);
      const limits = limitsOf(cellOf(load, a, cells), a).filter(({ spreads }) => spreads);
      expect(limits.filter(({ need, bound }) => need > bound)).toEqual([]);
    }
  });

  it('ends where no number of them would do', () => {
    expect(cellsOf(loadOf(1e15), assume({ compactUsPerRow: 1e9 }))).toBe(1_000_000);
  });
});
