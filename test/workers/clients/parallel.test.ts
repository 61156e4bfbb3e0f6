/** The bounded runner: order, bound and failure. */
import { describe, expect, it } from 'vitest';
import { mapParallel } from '../../../workers/clients/parallel.ts';

describe('mapParallel()', () => {
  it('keeps the order of items and runs at most parallelMax tasks at once', async () => {
    let [running, most] = [0, 0];
    const items = Array.from({ length: 50 }, (_, index) => index);
    const results = await mapParallel(items, 4, async (item) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => {
        setTimeout(resolve, (item * 7) % 5);
      });
      running -= 1;
      return item * 2;
    });
    expect(results).toEqual(items.map((item) => item * 2));
    expect(most).toBe(4);
  });

  it('starts nothing after a failure and waits for what is under way', async () => {
    const ended: number[] = [];
    const started: number[] = [];
    const failure = mapParallel([0, 1, 2, 3], 2, async (item) => {
      started.push(item);
      if (item === 0) throw new Error('item 0');
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
      ended.push(item);
    });
    await expect(failure).rejects.toThrow('item 0');
    expect({ started, ended }).toEqual({ started: [0, 1], ended: [1] });
  });

  it('gives an empty list for no items', async () => {
    expect(await mapParallel([], 4, async () => 1)).toEqual([]);
  });
});
