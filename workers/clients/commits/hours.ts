/**
 * Walks a signal's archive hour by hour: what lies in each event hour's folder, and its replacements.
 * Holds one hour, and a page of either listing. Decides nothing and never writes.
 */
import { hourPrefix } from '../../../schemas/archive.ts';
import type { Signal } from '../../../schemas/archive.ts';
import { replacementPrefix, replacementsPrefix } from '../../../schemas/replacement.ts';
import type { CallOptions, ObjectEntry, ObjectStore } from '../store/objects.ts';

/** One event hour. */
export interface HourFolder {
  /** Key prefix of its files, such as `signal=traces/year=2026/month=11/day=22/hour=13/`. */
  readonly folder: string;
  /** Start of the hour, ms since 1970. */
  readonly hourMs: number;
  /** In key order. */
  readonly files: readonly ObjectEntry[];
  /** Objects that are its replacements, in key order. */
  readonly replacements: readonly ObjectEntry[];
}

export interface HoursOptions extends CallOptions {
  /** Event hours in [from, to), ms since 1970, starts of UTC hours. @default all */
  readonly fromHourMs?: number | undefined;
  readonly toHourMs?: number | undefined;
}

/** What hive folders of hours begin with in a listing of replacements. */
const replacementsRoot = '_replacements/';

/**
 * The hours that have files, oldest first. Two listings, each a request for a thousand keys, however
 * many hours there are. Throws OBJECT_STORE.
 */
export async function* readHours(
  store: ObjectStore,
  signal: Signal,
  options: HoursOptions,
): AsyncGenerator<HourFolder, void, undefined> {
  const { fromHourMs, toHourMs } = options;
  const files = readFolders(store, `signal=${signal}/`, options, {
    startAfter: fromHourMs === undefined ? '' : hourPrefix(signal, fromHourMs),
    end: toHourMs === undefined ? undefined : hourPrefix(signal, toHourMs),
  });
  const replaced = readFolders(store, replacementsPrefix(signal), options, {
    startAfter: fromHourMs === undefined ? '' : replacementPrefix(signal, fromHourMs),
    end: toHourMs === undefined ? undefined : replacementPrefix(signal, toHourMs),
  });
  let next = await replaced.next();
  for await (const { folder, entries } of files) {
    const wanted = `${replacementsRoot}${folder}`;
    // Both listings go by the hour: what lies before belongs to hours of which no file is left.
    while (!next.done && next.value.folder < wanted) next = await replaced.next();
    const isOurs = !next.done && next.value.folder === wanted;
    const replacements = isOurs ? (next.value?.entries ?? []) : [];
    const hourMs = parseFolder(folder);
    if (hourMs !== undefined) yield { folder, hourMs, files: entries, replacements };
  }
}

/** Start of the hour whose folder it is, `undefined` for a folder that is none of ours. */
function parseFolder(folder: string): number | undefined {
  const parts = /\/year=(\d{4})\/month=(\d\d)\/day=(\d\d)\/hour=(\d\d)\/$/.exec(folder);
  if (!parts) return undefined;
  const [, year = 0, month = 0, day = 0, hour = 0] = parts.map(Number);
  return Date.UTC(year, month - 1, day, hour);
}

interface Folder {
  readonly folder: string;
  readonly entries: ObjectEntry[];
}

/** Runs of keys that lie in one folder. */
async function* readFolders(
  store: ObjectStore,
  prefix: string,
  { signal }: CallOptions,
  range: { readonly startAfter: string; readonly end: string | undefined },
): AsyncGenerator<Folder, void, undefined> {
  let folder: Folder | undefined;
  for await (const page of store.list(prefix, { startAfter: range.startAfter, signal })) {
    for (const entry of page) {
      if (range.end !== undefined && entry.key >= range.end) {
        if (folder) yield folder;
        return;
      }
      const name = entry.key.slice(0, entry.key.lastIndexOf('/') + 1);
      if (folder?.folder !== name) {
        if (folder) yield folder;
        folder = { folder: name, entries: [] };
      }
      folder.entries.push(entry);
    }
  }
  if (folder) yield folder;
}
