import { describe, expect, it } from 'vitest';
import { dateTime, parsePeriod, periodAt, periodKey, periodsBefore } from '../../schemas/period.ts';

describe('parsePeriod()', () => {
  it('takes days and hours, UTC', () => {
    expect(parsePeriod('2026-11-21')).toEqual({
      kind: 'day',
      name: '2026-11-21',
      startMs: Date.UTC(2026, 10, 21),
      endMs: Date.UTC(2026, 10, 22),
    });
    expect(parsePeriod('2028-02-29T23')).toEqual({
      kind: 'hour',
      name: '2028-02-29T23',
      startMs: Date.UTC(2028, 1, 29, 23),
      endMs: Date.UTC(2028, 2, 1),
    });
  });

  it.each(['1969-12-31', '0001-01-01', '2106-01-01', '9999-12-31T23'])(
    'refuses "%s", which ClickHouse would take for another day',
    (text) => {
      expect(() => parsePeriod(text)).toThrow(/days are from 1970-01-01 to 2105-12-31$/);
      expect(() => parsePeriod('1970-01-01')).not.toThrow();
      expect(() => parsePeriod('2105-12-31T23')).not.toThrow();
    },
  );

  it.each([
    'yesterday',
    '2026-02-30',
    '2026-1-1',
    '2026-11-21T24',
    '2026-11-21T1',
    '2026-11-21 13',
  ])('refuses "%s" and says what it wants', (text) => {
    expect(() => parsePeriod(text, 'from')).toThrow(
      expect.objectContaining({ code: 'BAD_SETTING', setting: 'from' }),
    );
    expect(() => parsePeriod(text)).toThrow(`Cannot use the date "${text}": wanted one such as`);
  });
});

function at(kind: 'day' | 'hour', time: string): string {
  return periodAt(kind, Date.parse(time)).name;
}

describe('periodAt()', () => {
  it('is the period that a time falls into, its first millisecond included, its end not', () => {
    expect(at('day', '2026-11-21T00:00:00.000Z')).toBe('2026-11-21');
    expect(at('day', '2026-11-21T23:59:59.999Z')).toBe('2026-11-21');
    expect(at('hour', '2026-11-21T13:00:00.000Z')).toBe('2026-11-21T13');
    expect(at('hour', '2026-11-21T13:59:59.999Z')).toBe('2026-11-21T13');
    expect(at('hour', '2026-11-21T14:00:00.000Z')).toBe('2026-11-21T14');
  });

  it('gives back what parsePeriod() gives, by its start', () => {
    for (const name of ['1970-01-01', '2026-12-31', '2026-12-31T23']) {
      const period = parsePeriod(name);
      expect(periodAt(period.kind, period.startMs)).toEqual(period);
    }
  });
});

function names(kind: 'day' | 'hour', time: string): string[] {
  return periodsBefore(kind, Date.parse(time), 3).map(({ name }) => name);
}

describe('periodsBefore()', () => {
  it('are the last that have ended, oldest first, over a leap day and midnight', () => {
    const days = ['2028-02-28', '2028-02-29', '2028-03-01'];
    expect(names('day', '2028-03-02T00:00:00.000Z')).toEqual(days);
    expect(names('day', '2028-03-02T23:59:59.999Z')).toEqual(days);
    expect(names('hour', '2028-03-01T01:00:00.000Z')).toEqual([
      '2028-02-29T22',
      '2028-02-29T23',
      '2028-03-01T00',
    ]);
  });
});

describe('periodKey()', () => {
  it('is how ClickHouse writes a Date and a DateTime', () => {
    expect(periodKey(parsePeriod('2026-11-21'))).toEqual({
      column: 'date',
      type: 'Date',
      value: '2026-11-21',
    });
    expect(periodKey(parsePeriod('2026-11-21T03'))).toEqual({
      column: 'hour',
      type: "DateTime('UTC')",
      value: '2026-11-21 03:00:00',
    });
    expect(dateTime(Date.UTC(2026, 0, 2, 3, 4, 5))).toBe('2026-01-02 03:04:05');
  });
});
