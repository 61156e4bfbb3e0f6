/**
 * The sweeper: deletes archive files that can never count again. Knows what is dead from commits and
 * replacements alone, which are never rewritten or deleted, so any number of sweepers may run at any
 * time and be killed at any time. Never touches a commit, a replacement, the spool or a dead letter.
 * What runs of the batch have left it deletes by age.
 *
 * Why what it deletes can never come to life again is told in docs/SWEEPING.md. In short: a file's
 * name says which commit (or replacement) may name it, and there is one such object for all time.
 * While that object does not exist the file stays, however old it is: its writer may be asleep.
 * Once it exists and does not name the file, nothing ever will.
 */
import { topics } from '../schemas/archive.ts';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import { clockAgeMsMax } from '../schemas/limits/archive.ts';
import { parseOutputKey, replacementKey } from '../schemas/replacement.ts';
import type { Replacement } from '../schemas/replacement.ts';
import { putOnce } from './clients/commits/claim.ts';
import { Fates } from './clients/commits/fates.ts';
import type { Fate } from './clients/commits/fates.ts';
import { readHours } from './clients/commits/hours.ts';
import type { HourFolder } from './clients/commits/hours.ts';
import type { ObjectEntry, ObjectStore } from './clients/store/objects.ts';
import type { Log } from './context.ts';
import { sweepLeftovers } from './sweep/leftovers.ts';
import type { LeftoverReport } from './sweep/leftovers.ts';

export interface SweepOptions {
  readonly store: ObjectStore;
  /**
   * Nothing is deleted that was stored, or replaced, less than this ago by the store's own clock, ms.
   * Longer than any reader takes from its listing to its last read.
   */
  readonly graceMs: number;
  /**
   * What runs of the batch that were given up have left is deleted when nothing was stored for it for this
   * long, ms; without it, it stays.
   */
  readonly leftoversMs?: number | undefined;
  /** Count, and delete nothing. */
  readonly dryRun: boolean;
  /** @default all */
  readonly signals?: readonly Signal[];
  /** Event hours in [from, to), ms since 1970, starts of UTC hours. @default all */
  readonly fromHourMs?: number | undefined;
  readonly toHourMs?: number | undefined;
  /** Random: names this sweep, and the object by which it asks the store for its time. */
  readonly name: string;
  /** Written into replacements that only take a number. */
  readonly codeVersion: string;
  readonly log: Log;
  /** Called after each event hour. */
  readonly onProgress?: (progress: SweepProgress) => void;
  /** Ends it after the hour that it is at. */
  readonly signal?: AbortSignal | undefined;
}

/** A number of files and what they take in the store. */
export interface FileCount {
  files: number;
  bytes: number;
}

export interface SweepReport {
  /** What was found, by fate: see `Fate`. */
  readonly found: Readonly<Record<Fate, Readonly<FileCount>>>;
  /** What was deleted; with `dryRun` nothing. */
  readonly deleted: Readonly<FileCount>;
  /** What the batch has left: see `LeftoverReport`. */
  readonly leftovers: LeftoverReport;
  /** Event hours that were looked at. */
  readonly hours: number;
  /** False when it was told to stop before its end. */
  readonly complete: boolean;
}

export interface SweepProgress {
  readonly signal: Signal;
  /** Folder of the event hour that is done. */
  readonly folder: string;
  readonly files: number;
  readonly deleted: number;
}

/**
 * Sweeps the hours, oldest first. Costs a request for each thousand files listed, one for each
 * replacement, and one for each commit that has files which were not replaced. Throws OBJECT_STORE,
 * and CORRUPT_ARCHIVE for a commit or a replacement that cannot be read; what was deleted until then
 * stays deleted, and it may be called again.
 */
export async function sweep(options: SweepOptions): Promise<SweepReport> {
  const nowMs = await askTime(options);
  const sweeper = new Sweeper(options, nowMs);
  for (const signal of options.signals ?? (Object.keys(topics) as Signal[])) {
    await sweeper.sweep(signal);
  }
  const { leftoversMs: ageMs } = options;
  if (ageMs === undefined || !sweeper.report.complete) return sweeper.report;
  return { ...sweeper.report, leftovers: await sweepLeftovers({ ...options, nowMs, ageMs }) };
}

const none = (): FileCount => ({ files: 0, bytes: 0 });

class Sweeper {
  readonly report: SweepReport & { hours: number; complete: boolean };
  readonly #options: SweepOptions;
  readonly #nowMs: number;
  /** What was stored before this time, by the store's clock, is old enough. */
  readonly #beforeMs: number;

  constructor(options: SweepOptions, nowMs: number) {
    this.#options = options;
    this.#nowMs = nowMs;
    this.#beforeMs = nowMs - options.graceMs;
    const fates: Record<Fate, FileCount> = {
      live: none(),
      young: none(),
      orphan: none(),
      replaced: none(),
      pending: none(),
      abandoned: none(),
      unexplained: none(),
      foreign: none(),
    };
    const leftovers = { computations: 0, jobs: 0, ...none() };
    this.report = { found: fates, deleted: none(), leftovers, hours: 0, complete: true };
  }

  async sweep(signal: Signal): Promise<void> {
    const { store, signal: stop, fromHourMs, toHourMs } = this.#options;
    const fates = new Fates(store, this.#beforeMs);
    for await (const folder of readHours(store, signal, { fromHourMs, toHourMs })) {
      if (stop?.aborted) {
        this.report.complete = false;
        return;
      }
      await this.#sweepHour(signal, folder, fates);
      this.#tell(signal, folder);
    }
  }

  async #sweepHour(signal: Signal, hour: HourFolder, fates: Fates): Promise<void> {
    const dead: ObjectEntry[] = [];
    const abandoned: ObjectEntry[] = [];
    for (const { entry, fate } of await fates.of(hour)) {
      add(this.report.found[fate], entry);
      if (fate === 'orphan' || fate === 'replaced') dead.push(entry);
      if (fate === 'abandoned') abandoned.push(entry);
      if (fate === 'unexplained') this.#warn(entry);
    }
    this.report.hours += 1;
    await this.#delete(dead);
    if (await this.#take(signal, hour, abandoned)) await this.#delete(abandoned);
  }

  /**
   * Takes the number that these outputs were stored for, so that whoever stored them never will.
   * True when it did; when another was faster, that one's replacement decides at the next sweep.
   */
  async #take(
    signal: Signal,
    { hourMs }: HourFolder,
    abandoned: readonly ObjectEntry[],
  ): Promise<boolean> {
    const { store, dryRun, name, codeVersion } = this.#options;
    const sequence = parseOutputKey(abandoned[0]?.key ?? '')?.sequence;
    if (dryRun || sequence === undefined) return false;
    const replacement: Replacement = {
      version: 1,
      signal,
      hourMs,
      sequence,
      reason: 'void',
      inputs: [],
      outputs: [],
      writer: name,
      replacedAt: new Date(this.#nowMs).toISOString(),
      codeVersion,
    };
    const key = replacementKey(signal, hourMs, sequence);
    return (await putOnce(store, key, JSON.stringify(replacement))) === 'won';
  }

  async #delete(dead: readonly ObjectEntry[]): Promise<void> {
    const { store, dryRun } = this.#options;
    if (dryRun || dead.length === 0) return;
    await store.delete(dead.map(({ key }) => key));
    for (const entry of dead) add(this.report.deleted, entry);
  }

  #warn({ key }: ObjectEntry): void {
    const hint = 'the archive should not be like this; the file is left where it is';
    this.#options.log.warn({ key, hint }, 'Cannot say what this file is');
  }

  #tell(signal: Signal, { folder }: HourFolder): void {
    const { found, deleted } = this.report;
    const files = Object.values(found).reduce((sum, count) => sum + count.files, 0);
    this.#options.onProgress?.({ signal, folder, files, deleted: deleted.files });
  }
}

function add(count: FileCount, { bytes }: ObjectEntry): void {
  count.files += 1;
  count.bytes += bytes;
}

/** Objects that sweepers store for a moment, to be told the time. */
const clockPrefix = '_sweep/';

/**
 * What time it is by the store's clock, ms since 1970: ages are differences between its own times, so
 * that no clock of ours has a say. Throws OBJECT_STORE, and UNSUPPORTED_STORE for a store that tells
 * no times.
 */
async function askTime({ store, name }: SweepOptions): Promise<number> {
  const key = `${clockPrefix}${name}`;
  await store.put(key, '');
  const entries: ObjectEntry[] = [];
  for await (const page of store.list(clockPrefix)) entries.push(...page);
  const nowMs = entries.find((entry) => entry.key === key)?.modifiedMs;
  // Those of sweepers that were killed go as well.
  const isOld = ({ modifiedMs = 0 }: ObjectEntry) => (nowMs ?? 0) - modifiedMs > clockAgeMsMax;
  const left = entries.filter((entry) => entry.key !== key && isOld(entry));
  await store.delete([key, ...left.map((entry) => entry.key)]);
  if (nowMs !== undefined) return nowMs;
  const reason = 'its listings do not say when an object was stored';
  throw new TidemarkError('UNSUPPORTED_STORE', `Cannot sweep this object store: ${reason}`);
}
