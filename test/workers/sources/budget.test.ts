/** The bound on memory that all Kafka partitions of an archiver share. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Budget } from '../../../workers/sources/budget.ts';
import type { Holder } from '../../../workers/sources/budget.ts';

class Bytes implements Holder {
  heldBytes: number;
  isFlushing = false;
  settled = 0;
  woken = 0;

  constructor(heldBytes: number) {
    this.heldBytes = heldBytes;
  }

  settle(): void {
    this.settled += 1;
  }

  wake(): void {
    this.woken += 1;
  }
}

let budget: Budget;

beforeEach(() => {
  budget = new Budget(100);
});

function holdersOf(...bytes: number[]): Bytes[] {
  const holders = bytes.map((each) => new Bytes(each));
  for (const holder of holders) budget.add(holder);
  budget.update();
  return holders;
}

describe('Budget', () => {
  it('stops all when its bound is reached, until an eighth of it is free again', () => {
    const [small, large] = holdersOf(30, 69) as [Bytes, Bytes];
    expect(budget).toMatchObject({ isShut: false, heldBytes: 99 });
    large.heldBytes = 70;
    budget.update();
    expect(budget).toMatchObject({ isShut: true, heldBytes: 100 });
    large.heldBytes = 58;
    budget.update();
    expect(budget.isShut).toBe(true);
    expect([small.settled, large.settled]).toEqual([1, 1]);
    large.heldBytes = 57;
    budget.update();
    expect(budget.isShut).toBe(false);
    expect([small.settled, large.settled]).toEqual([2, 2]);
  });

  it('lets nothing more be fetched from seven eighths on, and says when there is room', () => {
    const [holder] = holdersOf(87) as [Bytes];
    expect(budget.isTight).toBe(false);
    budget.shut();
    expect(budget.isShut).toBe(false);
    holder.heldBytes = 88;
    budget.update();
    const { room } = budget;
    expect(budget).toMatchObject({ isTight: true, isShut: false });
    budget.shut();
    expect([budget.isShut, holder.settled, room.aborted]).toEqual([true, 1, false]);
    holder.heldBytes = 0;
    budget.update();
    expect(budget).toMatchObject({ isTight: false, isShut: false });
    expect([room.aborted, budget.room.aborted]).toEqual([true, false]);
  });

  it('has the largest flush while there is still room for as much again', () => {
    const [small, large] = holdersOf(20, 39) as [Bytes, Bytes];
    expect([small, large].map((each) => budget.isPressed(each))).toEqual([false, false]);
    large.heldBytes = 40;
    budget.update();
    expect([small, large].map((each) => budget.isPressed(each))).toEqual([false, true]);
    expect([small.woken, large.woken]).toEqual([0, 1]);
  });

  it('has somebody flush before fetching stops, however many share it', () => {
    const holders = holdersOf(...Array.from({ length: 88 }, () => 1));
    expect(budget.isTight).toBe(true);
    expect(holders.filter((each) => budget.isPressed(each))).toHaveLength(1);
  });

  it('has the next one flush beside those under way, and asks for no small files', () => {
    const [first, second] = holdersOf(40, 49) as [Bytes, Bytes];
    expect(budget.isPressed(second)).toBe(true);
    second.isFlushing = true;
    expect(budget.isPressed(first)).toBe(false);
    first.heldBytes = 50;
    expect(budget.isPressed(first)).toBe(true);
  });

  it('forgets who is removed', () => {
    const [gone, left] = holdersOf(100, 0) as [Bytes, Bytes];
    budget.remove(gone);
    expect(budget).toMatchObject({ isShut: false, heldBytes: 0 });
    expect(left.settled).toBe(2);
  });
});
