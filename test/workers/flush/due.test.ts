/** When what waits of a partition is flushed, over the cases that operators meet. */
import { describe, expect, it } from 'vitest';
import { hourCloseMs } from '../../../schemas/limits/archive.ts';
import { readSettings } from '../../../schemas/settings.ts';
import { flushAgeMs, isDue, pauseMs } from '../../../workers/flush/due.ts';
import type { DueState } from '../../../workers/flush/due.ts';

const minute = 60_000;
const hour = 60 * minute;
/** The start of an hour. */
const one = Date.UTC(2026, 10, 22, 13);

function due(
  { atMs, sinceMs, receivedMs = sinceMs }: { atMs: number; sinceMs: number; receivedMs?: number },
  more: { bytes?: number; full?: boolean; complete?: boolean } & Partial<DueState> = {},
  environment: Record<string, string> = {},
): boolean {
  const { bytes = 1000, full = false, complete = true, ...state } = more;
  return isDue(
    { bytes, waitingSinceMs: sinceMs, full, complete },
    { partition: '0', oldestMs: receivedMs, rowsPerByte: 0, nowMs: atMs, once: false, ...state },
    readSettings(environment),
  );
}

describe('flushAgeMs()', () => {
  it('is an hour for Kafka, a minute for the spool, and never more than asked for', () => {
    expect(flushAgeMs('0', readSettings({}))).toBe(hour);
    expect(flushAgeMs('spool', readSettings({}))).toBe(minute);
    expect(flushAgeMs('spool', readSettings({ TIDEMARK_FLUSH_AGE_MS: '500' }))).toBe(500);
    expect(flushAgeMs('3', readSettings({ TIDEMARK_FLUSH_AGE_MS: '500' }))).toBe(500);
  });
});

describe('isDue()', () => {
  const waiting = { atMs: one + 10 * minute, sinceMs: one + 9 * minute };

  it('waits for company', () => {
    expect(due(waiting)).toBe(false);
    expect(due({ ...waiting, atMs: one + 59 * minute })).toBe(false);
  });

  it('goes by fullness, rows, and age', () => {
    expect(due(waiting, { full: true })).toBe(true);
    expect(due(waiting, { bytes: 1e6, rowsPerByte: 0.25 })).toBe(true);
    expect(due(waiting, { bytes: 1e6, rowsPerByte: 0.249 })).toBe(false);
    expect(due(waiting, { partition: 'spool' })).toBe(true);
    expect(due(waiting, {}, { TIDEMARK_FLUSH_AGE_MS: '60000' })).toBe(true);
    expect(due(waiting, {}, { TIDEMARK_FLUSH_AGE_MS: '60001' })).toBe(false);
  });

  it('takes what there is at once with `once`, when all of it has come', () => {
    expect(due(waiting, { once: true })).toBe(true);
    expect(due(waiting, { once: true, complete: false })).toBe(false);
  });

  it('closes the hour of receipt soon after its end, so that the hour is whole for the batch', () => {
    const closed = one + hour + hourCloseMs;
    expect(due({ atMs: closed - 1, sinceMs: one + 50 * minute })).toBe(false);
    expect(due({ atMs: closed, sinceMs: one + 50 * minute })).toBe(true);
    // Received just before the end, and on its way through Kafka at the end.
    expect(due({ atMs: closed, sinceMs: one + hour + 900, receivedMs: one + hour - 1 })).toBe(true);
    expect(due({ atMs: closed, sinceMs: one + hour })).toBe(false);
  });

  it('cuts a backlog no oftener than that: its records are of hours long past', () => {
    const receivedMs = one - 30 * hour;
    const closed = one + hour + hourCloseMs;
    expect(due({ atMs: one + 40 * minute, sinceMs: one + 39 * minute, receivedMs })).toBe(false);
    expect(due({ atMs: closed, sinceMs: closed - 1000, receivedMs })).toBe(true);
    expect(due({ atMs: closed + 1000, sinceMs: closed, receivedMs })).toBe(false);
  });

  it('does not close hours for who asked for more than an hour', () => {
    const late = { atMs: one + hour + 30 * minute, sinceMs: one + 50 * minute };
    expect(due(late)).toBe(true);
    expect(due(late, {}, { TIDEMARK_FLUSH_AGE_MS: String(2 * hour) })).toBe(false);
  });
});

function at(sinceMs: number | undefined, environment: Record<string, string> = {}): number {
  return pauseMs(sinceMs, { partition: 'spool', nowMs: one }, readSettings(environment));
}

describe('pauseMs()', () => {
  it('lists an empty spool four times in its age, and no oftener than asked', () => {
    expect(at(undefined)).toBe(15_000);
    expect(at(undefined, { TIDEMARK_FLUSH_AGE_MS: '8000' })).toBe(2000);
    expect(at(undefined, { TIDEMARK_FLUSH_AGE_MS: '2000' })).toBe(1000);
    expect(at(undefined, { TIDEMARK_SPOOL_FLUSH_AGE_MS: String(hour) })).toBe(15_000);
  });

  it('looks again when what waits is due, in between only for its size', () => {
    expect(at(one - 50_000)).toBe(10_000);
    expect(at(one - 59_999.5)).toBe(1);
    expect(at(one)).toBe(15_000);
  });

  it('looks at Kafka as often as asked: that costs nothing', () => {
    expect(pauseMs(one, { partition: '0', nowMs: one }, readSettings({}))).toBe(1000);
  });
});
