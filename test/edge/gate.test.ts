import { describe, expect, it } from 'vitest';
import { gateOf, settle } from '../../edge/gate.ts';

describe('gateOf()', () => {
  it('gateOf() runs so many tasks at once, in order, and lets failures through', async () => {
    const gate = gateOf(3);
    const begun: number[] = [];
    let running = 0;
    let most = 0;
    const task = (index: number) =>
      gate(async () => {
        begun.push(index);
        running += 1;
        most = Math.max(most, running);
        for (let turn = 0; turn <= index % 4; turn += 1) await Promise.resolve();
        running -= 1;
        if (index % 5 === 0) throw new Error(`task ${index}`);
        return index;
      });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => task(index)),
    );
    expect(most).toBe(3);
    expect(begun).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(
      outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : -1)),
    ).toEqual(Array.from({ length: 20 }, (_, index) => (index % 5 === 0 ? -1 : index)));
    expect(await gate(() => Promise.resolve('free again'))).toBe('free again');
  });
});

describe('settle()', () => {
  it('settle() waits for all, then throws the first failure', async () => {
    let isLastDone = false;
    const slow = async () => {
      await Promise.resolve();
      isLastDone = true;
    };
    const failures = [
      Promise.reject(new Error('first')),
      slow(),
      Promise.reject(new Error('second')),
    ];
    await expect(settle(failures)).rejects.toThrow('first');
    expect(isLastDone).toBe(true);
  });
});
