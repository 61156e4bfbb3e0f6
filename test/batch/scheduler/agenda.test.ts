import { describe, expect, it } from 'vitest';
import { Agenda } from '../../../batch/scheduler/agenda.ts';
import type { DuePeriod } from '../../../batch/scheduler/schedule.ts';
import { parsePeriod } from '../../../schemas/period.ts';
import { readSettings } from '../../../schemas/settings.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const settings = readSettings({});
const at = (text: string) => Date.parse(`2026-11-${text}:00Z`);
const due = (name: string, signal: DuePeriod['signal'] = 'traces'): DuePeriod => {
  return { period: parsePeriod(name), signal, reason: 'missing' };
};
const dayTick = { kind: 'day', atMs: at('22T04:00') } as const;
const hourTick = { kind: 'hour', atMs: at('22T04:10') } as const;

describe('Agenda', () => {
  it('waits for the archive until the day is final, but not beyond the deadline', () => {
    const agenda = new Agenda(settings);
    agenda.add(dayTick, [due('2026-11-21')], dayTick.atMs);
    const final = at('22T03:00');
    expect(agenda.next(dayTick.atMs, {})).toBeUndefined();
    expect(agenda.next(dayTick.atMs, { traces: final - 1, logs: final })).toBeUndefined();
    expect(agenda.waiting(dayTick.atMs, { traces: final - 1 })).toHaveLength(1);
    expect(agenda.next(dayTick.atMs, { traces: final })).toMatchObject({ signal: 'traces' });
    expect(agenda.wakeMs({})).toBe(dayTick.atMs + 2 * hourMs);
    expect(agenda.next(dayTick.atMs + 2 * hourMs - 1, {})).toBeUndefined();
    expect(agenda.next(dayTick.atMs + 2 * hourMs, {})).toBeDefined();
  });

  it('asks for an hour no more than what was received before its end', () => {
    const agenda = new Agenda(settings);
    agenda.add(hourTick, [due('2026-11-22T03'), due('2026-11-21T23')], hourTick.atMs);
    // The hour from 23 was final at three; the one from three cannot be so before seven.
    expect(agenda.next(hourTick.atMs, { traces: at('22T02:59') })).toBeUndefined();
    const first = agenda.next(hourTick.atMs, { traces: at('22T03:00') });
    expect(first?.period.name).toBe('2026-11-21T23');
    if (first) agenda.done(first);
    expect(agenda.next(hourTick.atMs, { traces: at('22T03:59') })).toBeUndefined();
    expect(agenda.next(hourTick.atMs, { traces: at('22T04:00') })?.period.name).toBe(
      '2026-11-22T03',
    );
    expect(agenda.wakeMs({})).toBe(hourTick.atMs + 20 * minuteMs);
  });

  it('has hours before days, and of them the oldest first', () => {
    const agenda = new Agenda({ ...settings, TIDEMARK_BATCH_DEADLINE_MS: 0 });
    agenda.add(dayTick, [due('2026-11-21'), due('2026-11-20', 'logs')], dayTick.atMs);
    agenda.add(hourTick, [due('2026-11-22T03'), due('2026-11-22T02')], hourTick.atMs);
    const names: string[] = [];
    for (;;) {
      const item = agenda.next(at('22T05:00'), {});
      if (!item) break;
      names.push(item.period.name);
      agenda.done(item);
    }
    expect(names).toEqual(['2026-11-22T02', '2026-11-22T03', '2026-11-20', '2026-11-21']);
    expect(agenda.isEmpty('day') && agenda.isEmpty('hour')).toBe(true);
    expect(agenda.wakeMs({})).toBeUndefined();
  });

  it('tries a failed period again twice, ten minutes apart, and lets others go first', () => {
    const agenda = new Agenda({ ...settings, TIDEMARK_BATCH_DEADLINE_MS: 0 });
    agenda.add(dayTick, [due('2026-11-20'), due('2026-11-21')], dayTick.atMs);
    let nowMs = dayTick.atMs;
    const outcomes: string[] = [];
    for (const _ of [1, 2, 3]) {
      const item = agenda.next(nowMs, {});
      expect(item?.period.name).toBe('2026-11-20');
      if (item) outcomes.push(agenda.failed(item, nowMs));
      const other = agenda.next(nowMs, {});
      expect(other?.period.name).toBe('2026-11-21');
      nowMs += 10 * minuteMs;
    }
    expect(outcomes).toEqual(['retried', 'retried', 'failed']);
    expect(agenda.items.map(({ period }) => period.name)).toEqual(['2026-11-21']);
  });

  it('keeps what it has when a later tick finds the same', () => {
    const agenda = new Agenda(settings);
    agenda.add(dayTick, [due('2026-11-21')], dayTick.atMs);
    agenda.add({ kind: 'day', atMs: at('22T05:00') }, [due('2026-11-21')], at('22T05:00'));
    expect(agenda.items).toMatchObject([{ tick: dayTick, deadlineMs: dayTick.atMs + 2 * hourMs }]);
  });
});
