/** Checks the count of bytes in flight. */
import { describe, expect, it } from 'vitest';
import { Ledger } from '../../edge/lease.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { leaseMsMax } from '../../schemas/limits.ts';

const overloaded = expect.objectContaining({ code: 'OVERLOADED', retryable: true });

describe('Ledger', () => {
  it('lease() refuses what passes the bound while others hold bytes', () => {
    const ledger = new Ledger(100, () => 0);
    const first = ledger.lease();
    const second = ledger.lease();
    first.take(60);
    second.take(40);
    expect(() => second.take(1)).toThrow(overloaded);
    expect(() => first.take(1)).toThrow(overloaded);
    expect(ledger.bytes).toBe(100);
    first.release();
    first.release();
    expect(ledger.bytes).toBe(40);
    second.take(60);
    second.give(90);
    expect(ledger.bytes).toBe(10);
  });

  it('lease() admits a request that is alone, whatever it takes', () => {
    const ledger = new Ledger(100, () => 0);
    const alone = ledger.lease();
    alone.take(1000);
    expect(() => ledger.lease().take(1)).toThrow(overloaded);
    alone.release();
    expect(ledger.bytes).toBe(0);
  });

  it('lease() forgets requests that were never released, once they are old', () => {
    let nowMs = 0;
    const ledger = new Ledger(100, () => nowMs);
    const lost = ledger.lease();
    lost.take(100);
    nowMs = leaseMsMax;
    const next = ledger.lease();
    expect(() => next.take(50)).toThrow(overloaded);
    nowMs = leaseMsMax + 1;
    next.take(50);
    lost.take(10);
    lost.release();
    expect(ledger.bytes).toBe(50);
  });

  it('check() takes nothing, and refuses what could not be taken', () => {
    const ledger = new Ledger(100, () => 0);
    const lease = ledger.lease();
    lease.check(1000);
    ledger.lease().take(60);
    lease.check(40);
    lease.check(40);
    expect(() => lease.check(41)).toThrow(overloaded);
    expect(ledger.bytes).toBe(60);
  });

  it('within() bounds work by what may be taken, and says when that was the reason', () => {
    const ledger = new Ledger(100, () => 0);
    const lease = ledger.lease();
    const tooLarge = new TidemarkError('BODY_TOO_LARGE', 'too large');
    const work = (bytesMax: number) => {
      if (bytesMax < 70) throw tooLarge;
      return bytesMax;
    };
    lease.take(30);
    expect(lease.within(500, work), 'alone').toBe(500);
    expect(() => lease.within(60, work)).toThrow(tooLarge);
    const other = ledger.lease();
    other.take(1);
    expect(() => lease.within(500, work)).toThrow(overloaded);
    expect(() => lease.within(69, work)).toThrow(tooLarge);
    expect(() =>
      lease.within(500, () => {
        throw new RangeError('a bug');
      }),
    ).toThrow(RangeError);
  });
});
