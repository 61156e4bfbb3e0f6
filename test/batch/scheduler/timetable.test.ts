import { describe, expect, it } from 'vitest';
import { Timetable } from '../../../batch/scheduler/timetable.ts';
import { SettingError } from '../../../schemas/errors.ts';
import { readSettings } from '../../../schemas/settings.ts';

const at = (text: string) => Date.parse(`2026-${text}Z`);
const iso = (ms: number | undefined) => ms && new Date(ms).toISOString().slice(5, 16);

describe('Timetable', () => {
  const table = new Timetable(readSettings({}));

  it('has days at 04:00 and hours at ten past, UTC', () => {
    expect(iso(table.next('day', at('11-22T03:59:59')))).toBe('11-22T04:00');
    expect(iso(table.next('day', at('11-22T04:00:00')))).toBe('11-23T04:00');
    expect(iso(table.next('hour', at('11-22T04:09:59.999')))).toBe('11-22T04:10');
    expect(iso(table.next('hour', at('11-22T04:10:00')))).toBe('11-22T05:10');
    expect(iso(table.previous('day', at('11-22T04:00:00')))).toBe('11-21T04:00');
    expect(iso(table.previous('hour', at('11-22T04:10:00.001')))).toBe('11-22T04:10');
  });

  it('does not move with the clocks of summer time', () => {
    expect(iso(table.next('day', at('03-29T03:00:00')))).toBe('03-29T04:00');
    expect(iso(table.next('day', at('10-25T03:00:00')))).toBe('10-25T04:00');
    const hours = table.between('hour', at('03-28T23:30:00'), at('03-29T05:30:00'));
    expect(hours.map(iso)).toEqual(
      ['00', '01', '02', '03', '04', '05'].map((hour) => `03-29T${hour}:10`),
    );
  });

  it('between() has every tick once, its end included and its beginning not', () => {
    const [four, five] = [at('11-22T04:00:00'), at('11-23T04:00:00')];
    expect(table.between('day', four - 1, five - 1)).toEqual([four]);
    expect(table.between('day', four, five)).toEqual([five]);
    expect(table.between('day', four, five - 1)).toEqual([]);
    const week = table.between('hour', at('11-22T00:00:00'), at('11-29T00:00:00'));
    expect(week).toHaveLength(7 * 24);
    expect(week).toEqual(week.toSorted((a, b) => a - b));
  });

  it('between() has the last thousand of very many', () => {
    const hours = table.between('hour', at('01-01T00:00:00'), at('11-22T00:00:00'));
    expect(hours).toHaveLength(1000);
    expect(iso(hours.at(-1))).toBe('11-21T23:10');
  });

  it('has no ticks for an empty line, and refuses what is no cron line', () => {
    const none = new Timetable({ TIDEMARK_BATCH_CRON: '0 4 * * *', TIDEMARK_BATCH_HOUR_CRON: ' ' });
    expect(none.next('hour', 0)).toBeUndefined();
    expect(none.between('hour', 0, at('11-22T00:00:00'))).toEqual([]);
    for (const line of ['never', '61 * * * *', '* * * *', '0 0 4 * * *']) {
      const settings = { TIDEMARK_BATCH_CRON: line, TIDEMARK_BATCH_HOUR_CRON: '' };
      expect(() => new Timetable(settings), line).toThrow(SettingError);
    }
  });
});
