/** Checks that pieces are joined in order, and a single one is not copied. */
import { describe, expect, it } from 'vitest';
import { concatenate } from '../../edge/concatenate.ts';

describe('concatenate()', () => {
  it('concatenate() joins in order and returns a single part as it is', () => {
    const [one, two] = [Uint8Array.of(1), Uint8Array.of(2, 3)];
    expect([...concatenate([one, two])]).toEqual([1, 2, 3]);
    expect(concatenate([two])).toBe(two);
    expect(concatenate([]).length).toBe(0);
  });
});
