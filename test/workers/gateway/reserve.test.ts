import { describe, expect, it } from 'vitest';
import { InFlight } from '../../../workers/gateway/reserve.ts';

describe('InFlight', () => {
  it('bounds what all hold together, and gets everything back once', () => {
    const inFlight = new InFlight(100);
    const [one, two] = [inFlight.open(), inFlight.open()];
    expect([one.grow(60), two.grow(41), two.grow(40), one.grow(1)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    one.shrink(10);
    expect(inFlight.bytes).toBe(90);
    one.shrink(1000);
    one.release();
    one.release();
    expect(inFlight.bytes).toBe(40);
    two.release();
    expect(inFlight.bytes).toBe(0);
  });
});
