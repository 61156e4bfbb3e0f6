/** The bound on memory that all Kafka partitions of an archiver share. */
import { expect, it } from 'vitest';
import { Budget } from '../../workers/budget.ts';
import type { Holder } from '../../workers/budget.ts';

class Bytes implements Holder {
  heldBytes = 0;
  settled = 0;
  woken = 0;

  settle(): void {
    this.settled += 1;
  }

  wake(): void {
    this.woken += 1;
  }
}

it('Budget stops all when its bound is reached, and asks the largest for room', () => {
  const budget = new Budget(100);
  const [small, large] = [new Bytes(), new Bytes()];
  budget.add(small);
  budget.add(large);
  [small.heldBytes, large.heldBytes] = [30, 69];
  budget.update();
  expect(budget.isReached).toBe(false);
  large.heldBytes = 70;
  budget.update();
  expect(budget).toMatchObject({ isReached: true, heldBytes: 100 });
  expect([small.settled, large.settled]).toEqual([1, 1]);
  expect([small.woken, large.woken]).toEqual([0, 1]);
  expect([budget.isPressed(small), budget.isPressed(large)]).toEqual([false, true]);
  large.heldBytes = 0;
  budget.update();
  expect([small.settled, large.settled]).toEqual([2, 2]);
  expect(budget.isPressed(small)).toBe(false);
});

it('Budget forgets who is removed', () => {
  const budget = new Budget(10);
  const [gone, left] = [new Bytes(), new Bytes()];
  budget.add(gone);
  budget.add(left);
  gone.heldBytes = 10;
  budget.update();
  budget.remove(gone);
  expect(budget).toMatchObject({ isReached: false, heldBytes: 0 });
  expect(left.settled).toBe(2);
});
