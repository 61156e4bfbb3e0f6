import { describe, expect, it } from 'vitest';
import {
  daysKept,
  isKept,
  keptFromMs,
  parseRetention,
  tenantsKept,
} from '../../schemas/retention.ts';

const day = 86_400_000;
const at = (text: string) => Date.parse(`${text}Z`);

describe('parseRetention()', () => {
  it('keeps everything when nothing is configured', () => {
    const none = parseRetention('');
    expect(none).toEqual([]);
    expect(daysKept(none, 'traces', 'acme')).toBe(Number.POSITIVE_INFINITY);
    expect(keptFromMs(none, 'traces', at('2026-11-22T12:00'))).toBe(0);
    expect(tenantsKept(none, 'traces', 0, at('2026-11-22T12:00')).others).toBe(true);
  });

  it.each([
    'traces',
    'traces=30',
    'traces=30h',
    'traces=0d',
    'traces=-1d',
    'spans=30d',
    'tenant:/traces=3d',
    'tenant:Acme!/traces=3d',
    'acme/traces=3d',
    'tenant:acme=3d',
    'traces=1d,traces=2d',
    'tenant:acme/all=1d,tenant:acme/all=forever',
  ])('throws BAD_SETTING for "%s"', (text) => {
    const expected = { code: 'BAD_SETTING', setting: 'TIDEMARK_RETENTION' };
    expect(() => parseRetention(text)).toThrow(expect.objectContaining({ code: expected.code }));
  });
});

describe('daysKept()', () => {
  const rules = parseRetention(
    'all=90d, logs=14d, tenant:acme/all=30d,tenant:acme/traces=365d, tenant:beta/logs=forever',
  );

  it.each([
    ['traces', 'other', 90],
    ['logs', 'other', 14],
    ['logs', 'acme', 30],
    ['traces', 'acme', 365],
    ['traces', 'beta', 90],
    ['logs', 'beta', Number.POSITIVE_INFINITY],
    ['metrics', 'constructor', 90],
  ] as const)('of %s of %s is %d', (signal, tenant, days) => {
    expect(daysKept(rules, signal, tenant)).toBe(days);
  });
});

describe('tenantsKept()', () => {
  it('keeps a day until its end lies so many days back', () => {
    const rules = parseRetention('traces=2d');
    const kept = (now: string) => tenantsKept(rules, 'traces', at('2026-11-20T13:00'), at(now));
    expect(kept('2026-11-22T23:59:59.999').others).toBe(true);
    expect(kept('2026-11-23T00:00').others).toBe(false);
  });

  it('tells tenants apart, and knows no name that nobody configured', () => {
    const rules = parseRetention('traces=2d,tenant:acme/traces=9d,tenant:beta/logs=1d');
    const filter = tenantsKept(rules, 'traces', at('2026-11-20T13:00'), at('2026-11-25T00:00'));
    const kept = ['acme', 'beta', 'other', 'constructor'].map((tenant) => isKept(filter, tenant));
    expect(kept).toEqual([true, false, false, false]);
  });
});

describe('keptFromMs()', () => {
  it.each(['traces=2d', 'all=2d,tenant:acme/all=9d', 'all=9d,tenant:acme/traces=2d'])(
    'of "%s" is the first day of which all stays',
    (text) => {
      const rules = parseRetention(text);
      const now = at('2026-11-23T05:00');
      const from = keptFromMs(rules, 'traces', now);
      expect(new Date(from).toISOString()).toBe('2026-11-21T00:00:00.000Z');
      const stays = (ms: number) => {
        const { others, named } = tenantsKept(rules, 'traces', ms, now);
        return others && Object.values(named).every((kept) => kept);
      };
      expect([stays(from - day), stays(from - 1), stays(from)]).toEqual([false, false, true]);
    },
  );
});
