/** Checks the ids of requests against RFC 9562. */
import { describe, expect, it } from 'vitest';
import { receivedMsOf, requestIdOf } from '../../schemas/requestid.ts';

describe('requestIdOf()', () => {
  it('requestIdOf() gives the example of RFC 9562, appendix A.6', () => {
    // Its time is 2022-02-22 14:22:22.00 -05:00; the random part is the example's.
    const uuid = '12345678-1234-4cc3-98c4-dc0c0c07398f';
    expect(requestIdOf(0x017f22e279b0, uuid)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f');
    expect(new Date(0x017f22e279b0).toISOString()).toBe('2022-02-22T19:22:22.000Z');
  });

  it('receivedMsOf() reads the time back, of pieces too, and knows ids that are not of the edge', () => {
    const id = '017f22e2-79b0-7cc3-98c4-dc0c0c07398f';
    expect(receivedMsOf(id)).toBe(0x017f22e279b0);
    expect(receivedMsOf(`${id}-p12`)).toBe(0x017f22e279b0);
    for (const other of [
      '',
      'request-1',
      'import-17f22e279b07cc398c4dc0c0c07398f',
      '017f22e2-79b0-4cc3-98c4-dc0c0c07398f',
      '017f22e2-79b0-7cc3-18c4-dc0c0c07398f',
      `${id}-x`,
    ]) {
      expect(receivedMsOf(other)).toBeUndefined();
    }
  });
});
