/**
 * The settings of every program, one row each; `docs/CONFIGURATION.md` is made from this table.
 * Reading is pure: the environment comes in as an argument.
 */
import { SettingError } from './errors.ts';
import { edgeSettings } from './settings/edge.ts';
import { fleetSettings } from './settings/fleet.ts';
import { lookupSettings } from './settings/lookup.ts';
import type { SettingRow } from './settings/row.ts';
import { servicesSettings } from './settings/services.ts';
import { taskSettings } from './settings/tasks.ts';

/** All settings, by environment variable. Values are the defaults of the embedded stack. */
export const settings = {
  ...servicesSettings,
  ...edgeSettings,
  ...fleetSettings,
  ...taskSettings,
  ...lookupSettings,
} as const satisfies Record<string, SettingRow>;

export type SettingName = keyof typeof settings;

type IntegerName = {
  [N in SettingName]: (typeof settings)[N]['kind'] extends 'integer' ? N : never;
}[SettingName];

/** Complete settings: every row has a value, integers are numbers. */
export type Settings = {
  readonly [N in SettingName]: N extends IntegerName ? number : string;
};

/**
 * Reads all settings from an environment. Throws `SettingError` for a value that its row does
 * not allow and for a `TIDEMARK_…` variable that no row names.
 */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  for (const name of Object.keys(environment)) {
    if (name.startsWith('TIDEMARK_') && !(name in settings)) {
      throw new SettingError(name, `Cannot use setting ${name}: no setting has this name`);
    }
  }
  const values: Record<string, string | number> = {};
  for (const [name, rowOfName] of Object.entries<SettingRow>(settings)) {
    const text = environment[name] ?? rowOfName.default;
    values[name] = parseSetting(name, rowOfName, text);
  }
  return values as unknown as Settings;
}

/** The values of a Worker's `env` that can be settings: bindings are objects. */
export function settingTexts(env: object): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (typeof value !== 'object' && typeof value !== 'function') texts[name] = String(value);
  }
  return texts;
}

function parseSetting(name: string, rowOfName: SettingRow, text: string): string | number {
  if (rowOfName.kind === 'integer') return parseInteger(name, rowOfName, text);
  if (rowOfName.kind === 'secret') refuseControls(name, text);
  // `localhost:8123` is a URL too, with a scheme of that name.
  if (rowOfName.kind === 'url' && !(/^https?:/i.test(text) && URL.canParse(text))) {
    const shown = text.replace(/^(\w+:\/\/)?.*@/, '$1…@');
    const message = `Cannot use setting ${name}: "${shown}" is not a URL such as ${rowOfName.default}`;
    throw new SettingError(name, message);
  }
  if (rowOfName.choices !== undefined && !rowOfName.choices.includes(text)) {
    const choices = rowOfName.choices.join(', ');
    throw new SettingError(name, `Cannot use setting ${name}: "${text}" is not one of ${choices}`);
  }
  return text;
}

/** A secret that was read from a file often brings its line break along, and is then refused far from here. */
function refuseControls(name: string, text: string): void {
  const at = text.search(/\p{Cc}/u);
  if (at === -1 || text.includes('-----BEGIN ')) return;
  const place = `character ${at + 1} of ${text.length}`;
  const message = `Cannot use setting ${name}: ${place} is a line break or another control character`;
  throw new SettingError(name, message);
}

function parseInteger(name: string, rowOfName: SettingRow, text: string): number {
  const value = /^-?\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN;
  const min = rowOfName.min ?? 0;
  const max = rowOfName.max ?? Number.MAX_SAFE_INTEGER;
  if (!(value >= min && value <= max)) {
    throw new SettingError(
      name,
      `Cannot use setting ${name}: "${text}" is not a whole number from ${min} to ${max}`,
    );
  }
  return value;
}
