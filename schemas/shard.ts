/**
 * A shard: the unit of the batch's work. It says which row groups to read and which ids count: trace
 * ids, series hashes or sort keys, whatever the first column of the signal's files has. Planning makes
 * it, a worker thread or another machine executes it.
 */
import { createHash } from 'node:crypto';

/** One past the greatest id. */
export const idEnd = 1n << 128n;

export interface ShardFile {
  readonly key: string;
  readonly bytes: number;
  /** Start of the event hour (UTC) of all its rows, ms since 1970. */
  readonly hourMs: number;
  /** Indexes of the row groups that may hold rows of the shard, ascending. */
  readonly rowGroups: readonly number[];
}

/** The rows of `files` whose id lies in [idFrom, idTo). */
export interface ShardRange {
  readonly idFrom: bigint;
  readonly idTo: bigint;
  readonly files: readonly ShardFile[];
}

export interface Shard extends ShardRange {
  readonly index: number;
  readonly estimatedRows: number;
}

/** What computing a shard gave. */
export interface ShardReport {
  /** Key of the partial in the object store. */
  readonly key: string;
  readonly bytes: number;
}

/** What a worker says about the shard it was given; after the files, one of the others. */
export type WorkerReply =
  | { readonly type: 'file'; readonly key: string }
  | { readonly type: 'done'; readonly report: ShardReport }
  | { readonly type: 'split'; readonly shards: readonly Shard[] }
  | { readonly type: 'failed'; readonly message: string; readonly retryable: boolean };

/** Where the partials of all computations lie, each in a folder of its name. */
export const partialsPrefix = '_partials/';

/**
 * Prefix of the partials of one computation, which is named by what it is a function of. They are
 * deleted once its run is published.
 */
export function partialPrefix(computation: string): string {
  return `${partialsPrefix}${computation}/`;
}

/**
 * Key of a shard's partial. It names what the partial is a function of, so a shard that is computed
 * twice gives one object, and two plans never mix.
 */
export function partialKey(computation: string, shard: Shard): string {
  const { idFrom, idTo, files } = shard;
  const content = files.map(({ key, rowGroups }) => `${key} ${rowGroups.join(',')}`);
  const hash = createHash('sha256')
    .update([idFrom.toString(16), idTo.toString(16), ...content].join('\n'))
    .digest('hex');
  const index = String(shard.index).padStart(5, '0');
  return `${partialPrefix(computation)}${index}-${hash.slice(0, 16)}.bin`;
}

/**
 * Key of the object by which a run says that it goes on with the partials that are there, which may be old: so
 * that nobody takes them for given up.
 */
export function reusedKey(computation: string): string {
  return `${partialPrefix(computation)}reused.json`;
}
