import { describe, expect, it } from 'vitest';
import type { ServiceDrift } from '../../../batch/drift.ts';
import { driftAlerts, parseLimits, percentOf } from '../../../bin/drift/judge.ts';

const cart: ServiceDrift = {
  tenantId: 'acme',
  serviceName: 'cart',
  batchItems: 1000,
  speedItems: 990,
  rollupItems: 990,
  missing: 15,
  duplicated: 5,
  unarchived: 99,
  late: 250,
  afterRun: 30,
  batchErrors: 40,
  speedErrors: 38,
  p50Error: 0.001,
  p95Error: 0.02,
  p99Error: null,
  quantileErrorMax: 0.4,
};

describe('parseLimits()', () => {
  it('reads percents by kind, and nothing of an empty text', () => {
    expect(parseLimits('X', 'missing=0.1, duplicated=1,quantiles=5')).toEqual({
      missing: 0.1,
      duplicated: 1,
      quantiles: 5,
    });
    expect(parseLimits('X', '')).toEqual({});
  });

  it.each(['missing', 'missing=', 'missing=-1', 'lost=1', 'missing=1%', 'late=1=2'])(
    'refuses "%s" and names the setting',
    (text) => {
      expect(() => parseLimits('TIDEMARK_DRIFT_ALERT', text)).toThrow(
        'Cannot use TIDEMARK_DRIFT_ALERT',
      );
    },
  );
});

describe('percentOf()', () => {
  it('takes each kind of what it is a share of', () => {
    const percents = [
      'missing',
      'duplicated',
      'unarchived',
      'late',
      'errors',
      'quantiles',
    ] as const;
    expect(percents.map((kind) => percentOf(kind, cart))).toEqual([1.5, 0.5, 10, 25, 5, 2]);
  });

  it('is 0 of a service that neither layer has items of', () => {
    const none = {
      ...cart,
      batchItems: 0,
      speedItems: 0,
      missing: 0,
      batchErrors: 0,
      speedErrors: 0,
    };
    expect(percentOf('missing', none)).toBe(0);
    expect(percentOf('errors', none)).toBe(0);
  });
});

describe('driftAlerts()', () => {
  it('names services that are past a limit, not those at it, and knows no other limits', () => {
    expect(driftAlerts([cart], { missing: 1.5, duplicated: 0.4, errors: 5 })).toEqual([
      'acme cart has 0.50 % duplicated, limit 0.4 %',
    ]);
    expect(driftAlerts([cart], {})).toEqual([]);
  });
});
