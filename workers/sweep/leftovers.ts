/**
 * What runs of the batch that were given up leave in the store: partials, shards of fleets, plans of jobs. Each
 * computation is deleted whole, and only when nothing has been stored for it for a long time: whoever computes
 * stores something after every shard, a fleet's coordinator twice a minute, and whoever goes on with old
 * partials says so first. Published figures need none of it: deleted too early, a run fails and begins anew.
 */
import { jobsPrefix } from '../../schemas/job.ts';
import { partialsPrefix } from '../../schemas/shard.ts';
import { tasksPrefix } from '../../schemas/task.ts';
import type { ObjectEntry, ObjectStore } from '../clients/store/objects.ts';

export interface LeftoverOptions {
  readonly store: ObjectStore;
  /** The time by the store's own clock, ms since 1970. */
  readonly nowMs: number;
  /** Age from which on what is left is nobody's, ms. */
  readonly ageMs: number;
  /** Count, and delete nothing. */
  readonly dryRun: boolean;
  /** Ends it between two computations. */
  readonly signal?: AbortSignal | undefined;
}

export interface LeftoverReport {
  /** Computations and jobs that were given up: found, and deleted unless it was a dry run. */
  readonly computations: number;
  readonly jobs: number;
  /** Their objects. */
  readonly files: number;
  readonly bytes: number;
}

/** Deletes what is old enough. Throws OBJECT_STORE; what was deleted until then stays deleted. */
export async function sweepLeftovers(options: LeftoverOptions): Promise<LeftoverReport> {
  const jobs = await givenUp(options, [jobsPrefix]);
  const computations = await givenUp(options, [tasksPrefix, partialsPrefix]);
  return {
    computations: computations.folders,
    jobs: jobs.folders,
    files: computations.files + jobs.files,
    bytes: computations.bytes + jobs.bytes,
  };
}

/** Deletes the folders of one name under all of `roots` when all that is in them is old. */
async function givenUp(options: LeftoverOptions, roots: readonly string[]) {
  const sum = { folders: 0, files: 0, bytes: 0 };
  for (const name of await oldFolders(options, roots)) {
    if (options.signal?.aborted) break;
    // Listed again: somebody may have gone on with it since.
    const prefixes = roots.map((root) => `${root}${name}/`);
    const entries = await listAll(options.store, prefixes);
    if (!entries.every((entry) => isOld(entry, options))) continue;
    if (!options.dryRun) await options.store.delete(entries.map(({ key }) => key));
    sum.folders += 1;
    sum.files += entries.length;
    sum.bytes += entries.reduce((bytes, entry) => bytes + entry.bytes, 0);
  }
  return sum;
}

/** Names of the folders in which nothing is young. Holds the names, and no keys. */
async function oldFolders(
  options: LeftoverOptions,
  roots: readonly string[],
): Promise<readonly string[]> {
  const isAllOld = new Map<string, boolean>();
  for (const root of roots) {
    for await (const page of options.store.list(root)) {
      for (const entry of page) {
        const [name = '', rest] = entry.key.slice(root.length).split('/', 2);
        if (name === '' || rest === undefined) continue;
        isAllOld.set(name, (isAllOld.get(name) ?? true) && isOld(entry, options));
      }
    }
  }
  return [...isAllOld].flatMap(([name, isSo]) => (isSo ? [name] : []));
}

async function listAll(store: ObjectStore, prefixes: readonly string[]): Promise<ObjectEntry[]> {
  const entries: ObjectEntry[] = [];
  for (const prefix of prefixes) {
    for await (const page of store.list(prefix)) entries.push(...page);
  }
  return entries;
}

/** What has no time is young. */
function isOld({ modifiedMs }: ObjectEntry, { nowMs, ageMs }: LeftoverOptions): boolean {
  return modifiedMs !== undefined && nowMs - modifiedMs > ageMs;
}
