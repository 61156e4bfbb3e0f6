/**
 * Says of each file of an event hour whether it counts, may still count, or never will. Reads the
 * commits and replacements that the names of the files point to, and trusts no clock but the store's.
 * Never writes.
 */
import { parseFileKey } from '../../../schemas/archive.ts';
import type { FileKeyParts } from '../../../schemas/archive.ts';
import { commitKey } from '../../../schemas/commit.ts';
import { objectGetsMax } from '../../../schemas/limits.ts';
import { sweepCommitsKept } from '../../../schemas/limits/archive.ts';
import { parseOutputKey, replacementName } from '../../../schemas/replacement.ts';
import type { Replacement } from '../../../schemas/replacement.ts';
import { readCommit, readHead } from './archive.ts';
import type { HourFolder } from './hours.ts';
import type { CallOptions, ObjectEntry, ObjectStore } from '../store/objects.ts';
import { mapParallel } from '../parallel.ts';
import { readReplacement } from './replacement.ts';

/**
 * - `live`: it counts.
 * - `orphan`: the one commit or replacement that could have named it exists, and does not.
 * - `replaced`: others took its place, a grace time ago.
 * - `young`: an orphan or replaced, but for less than the grace time.
 * - `pending`: the commit or replacement that may name it does not exist yet.
 * - `abandoned`: the same, of a replacement, for longer than the grace time. Taking its number makes
 *   it an orphan.
 * - `unexplained`: the log went on without that commit, or what replaced it is not there.
 * - `foreign`: its name is none of ours.
 */
export type Fate =
  'live' | 'orphan' | 'replaced' | 'young' | 'pending' | 'abandoned' | 'unexplained' | 'foreign';

export interface FileFate {
  readonly entry: ObjectEntry;
  readonly fate: Fate;
}

/** What the replacements of one hour say. */
interface Replaced {
  readonly bySequence: ReadonlyMap<number, Replacement>;
  /** The replacement that each replaced file is an input of. */
  readonly inputs: ReadonlyMap<string, Replacement>;
  /** Of those numbers: stored long enough ago. */
  readonly old: ReadonlySet<number>;
}

/** For many hours of one signal, in order: commits span hours, so some are kept in memory. */
export class Fates {
  readonly #store: ObjectStore;
  readonly #beforeMs: number;
  readonly #options: CallOptions;
  /** Keys of the files that a commit names; `undefined` where there is no such commit. */
  readonly #commits = new Map<string, Promise<ReadonlySet<string> | undefined>>();
  /** Where logs ended when they were first asked for, by topic and partition. */
  readonly #ends = new Map<string, Promise<bigint>>();

  /** What was stored before `beforeMs`, ms since 1970 by the store's clock, is old enough to go. */
  constructor(store: ObjectStore, beforeMs: number, options: CallOptions = {}) {
    this.#store = store;
    this.#beforeMs = beforeMs;
    this.#options = options;
  }

  /** In the order of the hour's files. Throws OBJECT_STORE and CORRUPT_ARCHIVE. */
  async of(hour: HourFolder): Promise<FileFate[]> {
    const replaced = await this.#readReplaced(hour);
    const there = new Set(hour.files.map(({ key }) => key));
    const fates = await mapParallel(hour.files, objectGetsMax, async (entry) => {
      const fate = await this.#fateOf(entry, replaced, there);
      return { entry, fate };
    });
    while (this.#commits.size > sweepCommitsKept) {
      const [eldest] = this.#commits.keys();
      this.#commits.delete(eldest ?? '');
    }
    return fates;
  }

  async #readReplaced({ replacements }: HourFolder): Promise<Replaced> {
    const [inputs, old] = [new Map<string, Replacement>(), new Set<number>()];
    const bySequence = new Map<number, Replacement>();
    const read = await mapParallel(replacements, objectGetsMax, ({ key }) =>
      readReplacement(this.#store, key, this.#options),
    );
    for (const [index, replacement] of read.entries()) {
      if (!replacement) continue;
      bySequence.set(replacement.sequence, replacement);
      for (const { key } of replacement.inputs) inputs.set(key, replacement);
      if (this.#isOld(replacements[index])) old.add(replacement.sequence);
    }
    return { bySequence, inputs, old };
  }

  #isOld(entry: ObjectEntry | undefined): boolean {
    return entry?.modifiedMs !== undefined && entry.modifiedMs < this.#beforeMs;
  }

  async #fateOf(entry: ObjectEntry, replaced: Replaced, there: ReadonlySet<string>): Promise<Fate> {
    const by = replaced.inputs.get(entry.key);
    if (by) return this.#fateOfReplaced(entry, by, replaced, there);
    const output = parseOutputKey(entry.key);
    const parts = parseFileKey(entry.key);
    if (!output && !parts) return 'foreign';
    const fate = output
      ? await this.#fateOfOutput(entry, output.sequence, replaced)
      : await this.#fateOfFile(entry.key, parts);
    return fate === 'orphan' && !this.#isOld(entry) ? 'young' : fate;
  }

  /** What took a file's place must itself be there, or have been replaced, before the file goes. */
  async #fateOfReplaced(
    { key }: ObjectEntry,
    by: Replacement,
    replaced: Replaced,
    there: ReadonlySet<string>,
  ): Promise<Fate> {
    if (!replaced.old.has(by.sequence)) return 'young';
    const isWhole = by.outputs.every((output) => {
      return there.has(output.key) || replaced.inputs.has(output.key);
    });
    if (isWhole) return 'replaced';
    // The replacements may have been listed before the files: then a newer one says what became of it.
    const newer = replacementName(replacementsOf(key), nextOf(replaced));
    const isStale = (await this.#store.head(newer, this.#options)) !== undefined;
    return isStale ? 'young' : 'unexplained';
  }

  async #fateOfOutput(entry: ObjectEntry, sequence: number, replaced: Replaced): Promise<Fate> {
    const { key } = entry;
    // The listing may be older than the replacement.
    const named =
      replaced.bySequence.get(sequence) ??
      (await readReplacement(
        this.#store,
        replacementName(replacementsOf(key), sequence),
        this.#options,
      ));
    if (named) return named.outputs.some((output) => output.key === key) ? 'live' : 'orphan';
    const next = nextOf(replaced);
    if (sequence === next && this.#isOld(entry)) return 'abandoned';
    return sequence >= next ? 'pending' : 'unexplained';
  }

  async #fateOfFile(key: string, parts: FileKeyParts | undefined): Promise<Fate> {
    if (!parts) return 'foreign';
    const { topic, partition, firstOffset } = parts;
    const commit = commitKey(topic, partition, firstOffset);
    const named = await this.#filesOf(commit);
    if (named) return named.has(key) ? 'live' : 'orphan';
    if ((await this.#endOf(topic, partition)) <= firstOffset) return 'pending';
    // Stored since we looked: the log goes on behind an offset only with the commit that begins there.
    this.#commits.delete(commit);
    const again = await this.#filesOf(commit);
    if (again) return again.has(key) ? 'live' : 'orphan';
    return 'unexplained';
  }

  #endOf(topic: string, partition: string): Promise<bigint> {
    const name = `${topic}/${partition}`;
    const end =
      this.#ends.get(name) ??
      readHead(this.#store, topic, partition, this.#options).then((head) =>
        BigInt(head?.nextOffset ?? 0),
      );
    this.#ends.set(name, end);
    return end;
  }

  #filesOf(key: string): Promise<ReadonlySet<string> | undefined> {
    const known = this.#commits.get(key);
    if (known) return known;
    const reading = readCommit(this.#store, key, this.#options).then(
      (commit) => commit && new Set(commit.files.map((file) => file.key)),
    );
    this.#commits.set(key, reading);
    return reading;
  }
}

/** Where the replacements of a file's hour lie. */
function replacementsOf(key: string): string {
  return `_replacements/${key.slice(0, key.lastIndexOf('/') + 1)}`;
}

/** The number that the hour's next replacement will have. */
function nextOf({ bySequence }: Replaced): number {
  return Math.max(0, ...bySequence.keys()) + 1;
}
