/**
 * A period: the hour or day, UTC, that the batch computes at a time. Parses and names periods, and says
 * what they are called in tables. It knows no clock.
 */
import { SettingError } from './errors.ts';

export type PeriodKind = 'day' | 'hour';

export interface Period {
  readonly kind: PeriodKind;
  /** `2026-11-21`, or `2026-11-21T13` for an hour, UTC. */
  readonly name: string;
  /** Its first millisecond since 1970, and the first one behind it. */
  readonly startMs: number;
  readonly endMs: number;
}

export const periodLengthMs: Readonly<Record<PeriodKind, number>> = {
  hour: 3_600_000,
  day: 86_400_000,
};

/** How much of an ISO 8601 text names the period. */
const nameLength: Readonly<Record<PeriodKind, number>> = { hour: 13, day: 10 };

/** The period of that kind that a time falls into, ms since 1970. */
export function periodAt(kind: PeriodKind, timeMs: number): Period {
  const startMs = Math.floor(timeMs / periodLengthMs[kind]) * periodLengthMs[kind];
  const name = new Date(startMs).toISOString().slice(0, nameLength[kind]);
  return { kind, name, startMs, endMs: startMs + periodLengthMs[kind] };
}

/**
 * The day `2026-11-21` or the hour `2026-11-21T13`. Throws `SettingError`, of the setting `name`, for
 * any other text and for a date that the calendar does not have.
 */
export function parsePeriod(text: string, name = 'date'): Period {
  const [, day = '', hour] = /^(\d{4}-\d\d-\d\d)(?:T([01]\d|2[0-3]))?$/.exec(text) ?? [];
  if (isDay(day)) {
    const startMs = Date.parse(`${day}T${hour ?? '00'}:00:00Z`);
    assertStorable(text, startMs, name);
    return periodAt(hour === undefined ? 'day' : 'hour', startMs);
  }
  throw new SettingError(
    name,
    `Cannot use the ${name} "${text}": wanted one such as 2026-11-21, or 2026-11-21T13 for an hour`,
  );
}

/** Whether the calendar has the day that a text begins with: Date.parse takes February 31 for March 3. */
export function isDay(text: string): boolean {
  const day = text.slice(0, nameLength.day);
  const ms = Date.parse(`${day}T00:00:00Z`);
  return Number.isFinite(ms) && new Date(ms).toISOString().startsWith(day);
}

/** ClickHouse takes a day before its first one for that one, and would publish it as such. */
const firstDay = '1970-01-01';
const lastDay = '2105-12-31';

function assertStorable(text: string, startMs: number, name: string): void {
  const day = text.slice(0, nameLength.day);
  if (startMs >= 0 && day <= lastDay) return;
  const message = `Cannot use the ${name} "${text}": days are from ${firstDay} to ${lastDay}`;
  throw new SettingError(name, message);
}

/** The last `count` periods that had ended at a time, ms since 1970; oldest first. */
export function periodsBefore(kind: PeriodKind, timeMs: number, count: number): Period[] {
  const { startMs } = periodAt(kind, timeMs);
  return Array.from({ length: count }, (_, index) =>
    periodAt(kind, startMs - (count - index) * periodLengthMs[kind]),
  );
}

/** The column of a published table that says of which period a row is. */
export interface PeriodKey {
  readonly column: 'date' | 'hour';
  /** ClickHouse's type of the column, for parameters of queries. */
  readonly type: 'Date' | "DateTime('UTC')";
  /** As ClickHouse writes it, and as it stands in names of partitions: `2026-11-21 13:00:00`. */
  readonly value: string;
}

/** Of day runs and hour runs each table has only one. */
export function periodKey({ kind, startMs }: Period): PeriodKey {
  if (kind === 'hour') {
    return { column: 'hour', type: "DateTime('UTC')", value: dateTime(startMs) };
  }
  return { column: 'date', type: 'Date', value: dateTime(startMs).slice(0, nameLength.day) };
}

/** A time, ms since 1970, as ClickHouse writes a `DateTime('UTC')`. */
export function dateTime(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ');
}
