/** Checks the count of bytes in flight. */
import { describe, expect, it } from 'vitest';
import { Ledger } from '../../edge/lease.ts';

const overloaded = expect.objectContaining({ code: 'OVERLOADED', retryable: true });

describe('Ledger', () => {
  it('lease() refuses what passes the bound while others hold bytes', () => {
    const ledger = new Ledger(100);
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
    const ledger = new Ledger(100);
    const alone = ledger.lease();
    alone.take(1000);
    expect(() => ledger.lease().take(1)).toThrow(overloaded);
    alone.release();
    expect(ledger.bytes).toBe(0);
  });
});
