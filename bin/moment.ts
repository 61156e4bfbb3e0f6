/** Reads moments that people type: days, times, and ages such as `3h`. Knows no command. */
import { SettingError } from '../schemas/errors.ts';
import { isDay } from '../schemas/period.ts';

const units: Readonly<Record<string, number>> = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** What `moment` takes, for the help of options. */
export const momentHelp =
  'a day or time (UTC), such as 2026-11-21 or 2026-11-21T13:00, or an age: 3h, 7d';

const pattern =
  /^\d{4}-\d{2}-\d{2}(?:T\d{2}(?::\d{2}(?::\d{2}(?:\.\d{1,3})?)?)?)?(?:Z|[+-]\d{2}:\d{2})?$/;

/**
 * Milliseconds since 1970 of a day's start or a time, UTC where it does not say, or of an age before
 * `nowMs`. Throws `SettingError` naming `option`.
 */
export function moment(option: string, text: string, nowMs: number): number {
  const [, number, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  if (number !== undefined) return nowMs - Number(number) * (units[unit ?? ''] ?? 0);
  const ms = pattern.test(text) && isDay(text) ? Date.parse(withZone(text)) : Number.NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new SettingError(option, `Cannot use ${option} "${text}": wanted ${momentHelp}`);
}

/** A time without a zone would be taken for a local one; hours alone need their minutes. */
function withZone(text: string): string {
  if (!text.includes('T')) return text;
  const [time = '', zone = 'Z'] = text.split(/(?=Z|[+-]\d{2}:\d{2}$)/);
  return `${/T\d{2}$/.test(time) ? `${time}:00` : time}${zone}`;
}
