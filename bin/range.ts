/** Reads a range of event hours from a command's options. Only parses. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { SettingError } from '../schemas/errors.ts';

export interface RangeFlags {
  readonly date?: string;
  readonly from?: string;
  readonly to?: string;
}

export interface HourRange {
  /** Event hours in [fromMs, toMs), both starts of UTC hours. */
  readonly fromMs: number;
  readonly toMs: number;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Adds `--date`, `--from` and `--to` to a command. */
export function withRange(command: Command): Command {
  const form = 'UTC, such as 2026-11-22 or 2026-11-22T13';
  return command
    .addOption(new Option('--date <day>', `the day or hour, ${form}`).conflicts(['from', 'to']))
    .option('--from <hour>', `first day or hour, ${form}`)
    .option('--to <hour>', `day or hour behind the last one, ${form}`);
}

/**
 * The range that the options name; where they leave it open, from `otherwise`. Throws `SettingError`
 * for a text that is no day and no hour, and for a range without an hour.
 */
export function rangeOf(flags: RangeFlags, otherwise: HourRange): HourRange {
  if (flags.date !== undefined) {
    const fromMs = parseHour('date', flags.date);
    return { fromMs, toMs: fromMs + (flags.date.includes('T') ? hourMs : dayMs) };
  }
  const fromMs = flags.from === undefined ? otherwise.fromMs : parseHour('from', flags.from);
  const toMs = flags.to === undefined ? otherwise.toMs : parseHour('to', flags.to);
  if (fromMs < toMs) return { fromMs, toMs };
  throw new SettingError('to', `Cannot use this range: it ends where it begins or before`);
}

function parseHour(name: string, text: string): number {
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d))?$/.exec(text);
  const ms = match ? Date.parse(`${match[1]}T${match[2] ?? '00'}:00:00Z`) : Number.NaN;
  // Date.parse takes the 31st of November for the 1st of December.
  if (Number.isFinite(ms) && new Date(ms).toISOString().startsWith(text)) return ms;
  throw new SettingError(
    name,
    `Cannot use --${name} "${text}": wanted a day or an hour, such as 2026-11-22T13`,
  );
}
