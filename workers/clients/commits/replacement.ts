/**
 * Reads which files of a period took the place of others (`schemas/replacement.ts`), and works out
 * what that means for its files. Never writes.
 */
import { parseFileKey, type Signal } from '../../../schemas/archive.ts';
import { TidemarkError } from '../../../schemas/errors.ts';
import { objectGetsMax } from '../../../schemas/limits.ts';
import * as formats from '../../../schemas/replacement.ts';
import type { Replacement, ReplacementOutput } from '../../../schemas/replacement.ts';
import type { CallOptions, ObjectStore } from '../store/objects.ts';
import { mapParallel } from '../parallel.ts';

/** An output that no later replacement took the place of. */
export interface LiveOutput extends ReplacementOutput {
  /** Partitions whose commits the rows came with, sorted. */
  readonly partitions: readonly string[];
}

export interface Lineage {
  /** Keys of all files that were replaced: of commits, and of earlier replacements. */
  readonly replaced: ReadonlySet<string>;
  readonly outputs: readonly LiveOutput[];
  /** Keys of the replaced files that commits name. */
  readonly originKeys: readonly string[];
  /** Rows that retention took away. */
  readonly rowsRemoved: number;
}

/**
 * All replacements of the hours in [fromHourMs, toHourMs), by hour and number. One listing a
 * thousand and one read each. Throws CORRUPT_ARCHIVE for one that is missing or cannot be read.
 */
export async function listReplacements(
  store: ObjectStore,
  signal: Signal,
  fromHourMs: number,
  toHourMs: number,
  options: CallOptions = {},
): Promise<Replacement[]> {
  const startAfter = formats.replacementPrefix(signal, fromHourMs);
  const end = formats.replacementPrefix(signal, toHourMs);
  /** The greatest number in each hour's folder. */
  const newest = new Map<string, number>();
  const listed = { ...options, startAfter };
  for await (const page of store.list(formats.replacementsPrefix(signal), listed)) {
    for (const { key } of page.filter((entry) => entry.key < end)) {
      const sequence = formats.parseReplacementKey(key);
      if (sequence !== undefined) newest.set(folderOf(key), sequence);
    }
    if ((page.at(-1)?.key ?? end) >= end) break;
  }
  // A listing is no snapshot: it may show a key and miss one that was written just before it.
  const keys = [...newest].flatMap(([folder, count]) =>
    Array.from({ length: count }, (_, index) => formats.replacementName(folder, index + 1)),
  );
  return mapParallel(keys, objectGetsMax, (key) => readExisting(store, key, options));
}

/** Reads one replacement, `undefined` when it does not exist. Throws CORRUPT_ARCHIVE. */
export async function readReplacement(
  store: ObjectStore,
  key: string,
  options: CallOptions = {},
): Promise<Replacement | undefined> {
  const bytes = await store.get(key, options);
  return bytes && formats.parseReplacement(key, new TextDecoder().decode(bytes));
}

async function readExisting(store: ObjectStore, key: string, options: CallOptions) {
  const found = await readReplacement(store, key, options);
  if (found) return found;
  throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot read replacement "${key}": it is not there`);
}

/**
 * What replacements mean together. They must be all of their hours, in order. Throws CORRUPT_ARCHIVE
 * when two replace the same file: rows would count twice.
 */
export function traceLineage(replacements: readonly Replacement[]): Lineage {
  const replaced = new Set<string>();
  const outputs = new Map<string, LiveOutput>();
  const originKeys: string[] = [];
  let rowsRemoved = 0;
  for (const replacement of replacements) {
    const partitions = partitionsOf(replacement, outputs);
    for (const { key } of replacement.inputs) {
      if (replaced.has(key)) throw replacedTwice(key);
      replaced.add(key);
      if (!outputs.delete(key)) originKeys.push(key);
    }
    for (const output of replacement.outputs) outputs.set(output.key, { ...output, partitions });
    rowsRemoved += formats.rowsOf(replacement.inputs) - formats.rowsOf(replacement.outputs);
  }
  return { replaced, outputs: [...outputs.values()], originKeys, rowsRemoved };
}

function partitionsOf(
  { inputs }: Replacement,
  outputs: ReadonlyMap<string, LiveOutput>,
): readonly string[] {
  const names = inputs.flatMap(
    ({ key }) => outputs.get(key)?.partitions ?? parseFileKey(key)?.partition ?? [],
  );
  return [...new Set(names)].toSorted();
}

function replacedTwice(key: string): TidemarkError {
  const message = `Cannot read the archive: "${key}" was replaced twice`;
  return new TidemarkError('CORRUPT_ARCHIVE', message);
}

function folderOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1);
}
