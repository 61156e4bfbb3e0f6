import { describe, expect, it } from 'vitest';
import {
  decideRun,
  duePeriods,
  isComplete,
  periodsToLookAt,
  type PeriodState,
} from '../../../batch/scheduler/schedule.ts';
import { parsePeriod } from '../../../schemas/period.ts';

const hourMs = 3_600_000;
const period = parsePeriod('2026-11-21');
const day: PeriodState = {
  period,
  signal: 'traces',
  files: 3,
  inputHash: 'a',
  rowsRemoved: 0,
  watermarkMs: Date.parse('2026-11-22T04:00:00Z'),
  current: undefined,
};

describe('decideRun()', () => {
  it('says that retention took a period, not that it is up to date, forced or not', () => {
    const current = { inputHash: 'a', seenHash: 'a', isFinal: true, files: 3 };
    const state = { ...day, isFinal: true, hasEnded: true, current };
    const same = decideRun(state, false);
    expect(same).toMatchObject({
      action: 'nothing',
      message: expect.stringContaining('up to date'),
    });
    for (const force of [false, true]) {
      const gone = decideRun({ ...state, files: 0, rowsRemoved: 5 }, force);
      const message = expect.stringContaining('by retention: what is published stays') as string;
      expect(gone).toMatchObject({ action: 'nothing', message });
    }
  });
});

describe('duePeriods()', () => {
  it('takes a day that was never computed', () => {
    expect(duePeriods([day], 3 * hourMs)).toEqual([
      { period, signal: 'traces', reason: 'missing' },
    ]);
  });

  it('takes a day whose input changed since its run, even a final one', () => {
    const current = { inputHash: 'before', seenHash: 'before', isFinal: true };
    expect(duePeriods([{ ...day, current }], 3 * hourMs)).toEqual([
      { period, signal: 'traces', reason: 'changed' },
    ]);
  });

  it('takes a provisional day once it is complete', () => {
    const current = { inputHash: 'a', seenHash: 'a', isFinal: false };
    expect(duePeriods([{ ...day, current }], 4 * hourMs)).toEqual([
      { period, signal: 'traces', reason: 'complete' },
    ]);
    expect(duePeriods([{ ...day, current }], 4 * hourMs + 1)).toEqual([]);
  });

  it('leaves a day alone that retention took rows from, but for saying that it is complete', () => {
    const cut = { ...day, rowsRemoved: 5 };
    expect(duePeriods([cut], 0)).toEqual([]);
    expect(
      duePeriods(
        [{ ...cut, current: { inputHash: 'before', seenHash: 'before', isFinal: true } }],
        0,
      ),
    ).toEqual([]);
    const current = { inputHash: 'a', seenHash: 'a', isFinal: false };
    expect(duePeriods([{ ...cut, current }], 0)).toMatchObject([{ reason: 'complete' }]);
  });

  it('leaves a final day with the same input alone, and a day without files', () => {
    const current = { inputHash: 'a', seenHash: 'a', isFinal: true };
    expect(duePeriods([{ ...day, current }], 0)).toEqual([]);
    expect(duePeriods([{ ...day, files: 0 }], 0)).toEqual([]);
    expect(duePeriods([{ ...day, files: 0, inputHash: 'none', current }], 0)).toEqual([]);
  });

  it('orders the days, oldest first', () => {
    const days = ['2026-11-20', '2026-10-31', '2026-11-21'].map((name) => ({
      ...day,
      period: parsePeriod(name),
    }));
    expect(duePeriods(days, 0).map((due) => due.period.name)).toEqual([
      '2026-10-31',
      '2026-11-20',
      '2026-11-21',
    ]);
  });
});

function namesAt(time: string): string[] {
  return periodsToLookAt('day', Date.parse(time)).map(({ name }) => name);
}

describe('periodsToLookAt()', () => {
  it('are the 32 days before today in UTC, over months and leap days', () => {
    const days = namesAt('2028-03-02T00:00:00Z');
    expect(days).toHaveLength(32);
    expect(days[0]).toBe('2028-01-30');
    expect(days.slice(-3)).toEqual(['2028-02-28', '2028-02-29', '2028-03-01']);
    expect(namesAt('2028-03-02T23:59:59.999Z')).toEqual(days);
  });
});

describe('isComplete()', () => {
  it('is true from the end of the day plus the lateness on', () => {
    const end = Date.parse('2026-11-22T00:00:00Z');
    expect(isComplete(period, end + 10, 10)).toBe(true);
    expect(isComplete(period, end + 9, 10)).toBe(false);
  });
});
