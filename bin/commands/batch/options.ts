/** What the commands under `batch` have in common: options that name periods, and clients. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Signal } from '../../../schemas/archive.ts';
import { SettingError } from '../../../schemas/errors.ts';
import { parsePeriod, type Period } from '../../../schemas/period.ts';
import type { Settings } from '../../../schemas/settings.ts';
import type { ClickHouse } from '../../../workers/clients/clickhouse/clickhouse.ts';
import type { ObjectStore } from '../../../workers/clients/store/objects.ts';
import { settingsOf, type Context } from '../../context.ts';

export interface Clients {
  readonly settings: Settings;
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
}

/** Adds `--date`, mandatory or not, and `--hour` to a command. */
export function withPeriod(command: Command, isMandatory: boolean): Command {
  const day = new Option('--date <YYYY-MM-DD>', 'the day, UTC, such as 2026-11-21');
  const ofDay = new Option('--hour <HH>', 'an hour of that day, from 0 to 23; only of traces');
  return command
    .addOption(day.argParser(date).makeOptionMandatory(isMandatory))
    .addOption(ofDay.argParser(hour).conflicts('due'));
}

/** The day, or the hour of it. Throws `SettingError` for an hour of an hour. */
export function periodOf(period: Period, ofDay: string | undefined): Period {
  if (ofDay === undefined) return period;
  if (period.kind === 'day') return parsePeriod(`${period.name}T${ofDay}`);
  throw new SettingError('hour', `Cannot use --hour: ${period.name} is an hour already`);
}

/** `--signal`, which leaves the choice open when it is not given. */
export function signalOption(): Option {
  const signals: readonly Signal[] = ['traces', 'logs', 'metrics'];
  return new Option('--signal <signal>', 'only this signal; without it, all there are').choices(
    signals,
  );
}

/** JSON of what reports say, with the names of periods in their place. */
export function lineOf(report: object): string {
  return JSON.stringify(report, named);
}

function named(key: string, value: unknown): unknown {
  return key === 'period' && typeof value === 'object' ? (value as Period).name : value;
}

/** Gives the task clients of the object store and of ClickHouse, and closes them after it. */
export async function withClients<T>(
  context: Context,
  task: (clients: Clients) => Promise<T>,
): Promise<T> {
  const { openStore } = await import('../../../workers/clients/store/objects.ts');
  const { openClickHouse } = await import('../../../workers/clients/clickhouse/clickhouse.ts');
  const settings = settingsOf(context);
  const [store, clickhouse] = [openStore(settings), openClickHouse(settings)];
  try {
    return await task({ settings, store, clickhouse });
  } finally {
    store.close();
    await clickhouse.close();
  }
}

/** Throws `TidemarkError` BAD_SETTING for a text that is no day and no hour. */
function date(text: string): Period {
  return parsePeriod(text);
}

/** The hour in two digits. */
function hour(text: string): string {
  if (/^\d\d?$/.test(text) && Number(text) < 24) return text.padStart(2, '0');
  throw new InvalidArgumentError('It is no hour from 0 to 23');
}
