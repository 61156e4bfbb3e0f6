/** Reads a length of time from a command's option. Only parses. */
import { InvalidArgumentError } from 'commander';

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a text such as 30s, 10m, 2h or 7d. Throws commander's `InvalidArgumentError`. */
export function durationMs(text: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (units[unit] ?? Number.NaN);
  if (ms > 0) return ms;
  throw new InvalidArgumentError('It is not a time such as 30s, 10m, 2h or 7d');
}

/** The same for a pause, which timers bound: past 24 days they would go off at once. */
export function pauseMs(text: string): number {
  const ms = durationMs(text);
  if (ms <= 24 * (units['d'] ?? 0)) return ms;
  throw new InvalidArgumentError('It is longer than 24d');
}

/** The length of a time for people, rounded: `90 s`, `12 min`, `5 h`, `9 d`. */
export function describeMs(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
