/** The spool alone: seeded schedules of the real archivers under faults. See schedule.ts. */
import { describe, expect, it } from 'vitest';
import { isReplay, simulateAll } from './seeds.ts';

const count = 2500;

describe('the commit protocol, of the spool', () => {
  it(`keeps its promises in ${count} schedules`, { timeout: 1_800_000 }, async () => {
    const sums = await simulateAll(1, count, 0);
    if (isReplay) return;
    // A schedule without faults and losers proves little.
    expect(sums.crashes).toBeGreaterThan(sums.schedules / 2);
    expect(sums.conflicts).toBeGreaterThan(sums.schedules / 2);
    expect(sums.compactions).toBeGreaterThan(sums.schedules / 10);
    expect(sums.swept).toBeGreaterThan(sums.schedules / 2);
  });
});
