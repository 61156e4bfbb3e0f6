/** What people type for a time: what is taken, and what the calendar does not have. */
import { describe, expect, it } from 'vitest';
import { moment } from '../../bin/moment.ts';
import { SettingError } from '../../schemas/errors.ts';

const nowMs = Date.UTC(2026, 10, 23, 12);

describe('moment()', () => {
  it.each([
    ['2026-11-21', '2026-11-21T00:00:00.000Z'],
    ['2026-11-21T13', '2026-11-21T13:00:00.000Z'],
    ['2026-11-21T13:30', '2026-11-21T13:30:00.000Z'],
    ['2026-11-21T13:30:05.5Z', '2026-11-21T13:30:05.500Z'],
    ['2026-11-21T00:30+02:00', '2026-11-20T22:30:00.000Z'],
    ['2028-02-29', '2028-02-29T00:00:00.000Z'],
    ['3h', '2026-11-23T09:00:00.000Z'],
    ['7d', '2026-11-16T12:00:00.000Z'],
  ])('takes "%s"', (text, iso) => {
    expect(new Date(moment('--from', text, nowMs)).toISOString()).toBe(iso);
  });

  it.each([
    '2026-02-29',
    '2026-11-31',
    '2026-04-31T10:00Z',
    '2026-13-45',
    '2026-11-21T25',
    '2026-11-21T10:61',
    'yesterday',
    '3w',
    '',
  ])('refuses "%s" and names the option', (text) => {
    expect(() => moment('--from', text, nowMs)).toThrow(SettingError);
    expect(() => moment('--from', text, nowMs)).toThrow(/^Cannot use --from /);
  });
});
