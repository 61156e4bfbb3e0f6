import { describe, expect, it } from 'vitest';
import { Breaker } from '../../edge/breaker.ts';
import { breakerFailuresMax, breakerOpenMs, breakerOpenMsMax } from '../../schemas/limits.ts';

/** A breaker on a clock of the test, opened by failures. */
function opened() {
  const clock = { nowMs: 1000 };
  const breaker = new Breaker(() => clock.nowMs, 10_000);
  for (let failure = 1; failure <= breakerFailuresMax; failure += 1) {
    expect(breaker.admit()).toBe(true);
    expect(breaker.failed()).toBe(failure === breakerFailuresMax);
  }
  return { clock, breaker };
}

describe('Breaker', () => {
  it('Breaker opens after failures in a row, and only then', () => {
    const breaker = new Breaker(() => 0, 10_000);
    for (let call = 0; call < 10 * breakerFailuresMax; call += 1) {
      expect(breaker.admit()).toBe(true);
      if (call % breakerFailuresMax === 0) breaker.succeeded();
      else breaker.failed();
    }
    expect(breaker.isOpen).toBe(false);
    expect(opened().breaker.isOpen).toBe(true);
  });

  it('Breaker admits one probe after its pause; its success closes it', () => {
    const { clock, breaker } = opened();
    clock.nowMs += breakerOpenMs - 1;
    expect(breaker.admit()).toBe(false);
    clock.nowMs += 1;
    expect([breaker.admit(), breaker.admit(), breaker.admit()]).toEqual([true, false, false]);
    breaker.succeeded();
    expect([breaker.admit(), breaker.admit()]).toEqual([true, true]);
    // It takes as many failures again.
    expect(breaker.failed()).toBe(false);
  });

  it('Breaker doubles its pause with every probe that fails, up to a bound', () => {
    const { clock, breaker } = opened();
    let pauseMs = breakerOpenMs;
    for (let probe = 0; probe < 12; probe += 1) {
      clock.nowMs += pauseMs - 1;
      expect(breaker.admit()).toBe(false);
      clock.nowMs += 1;
      expect(breaker.admit()).toBe(true);
      expect(breaker.failed()).toBe(true);
      pauseMs = Math.min(breakerOpenMsMax, pauseMs * 2);
    }
    expect(pauseMs).toBe(breakerOpenMsMax);
  });

  it('Breaker takes no notice of failures of calls that began before it opened', () => {
    const { clock, breaker } = opened();
    expect(breaker.failed()).toBe(false);
    clock.nowMs += breakerOpenMs;
    expect(breaker.isOpen).toBe(false);
    expect(breaker.admit()).toBe(true);
  });

  it('Breaker does not wait for ever for a probe whose request was ended', () => {
    const { clock, breaker } = opened();
    clock.nowMs += breakerOpenMs;
    expect(breaker.admit()).toBe(true);
    clock.nowMs += 9999;
    expect(breaker.admit()).toBe(false);
    clock.nowMs += 1;
    expect(breaker.admit()).toBe(true);
  });
});
