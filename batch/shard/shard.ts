/**
 * Computes one shard: reads its rows, lets the signal's work make a partial of them, stores that. A pure
 * function of the shard and the files: computed again, it stores the same bytes under the same key.
 */
import { archiveColumns, type Signal } from '../../schemas/archive.ts';
import { ConflictError, TidemarkError } from '../../schemas/errors.ts';
import { partialKey, type Shard, type ShardReport } from '../../schemas/shard.ts';
import { parseSplit, splitKey, splitText } from '../../schemas/task.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { readRange } from '../../workers/clients/parquet/range.ts';
import { readIds, readShard, type OnFile } from './read.ts';
import type { ReadRange } from '../../workers/clients/parquet/remote.ts';
import { splitShard } from './split.ts';
import type { ShardWork } from '../work.ts';

export interface ShardOptions {
  readonly store: ObjectStore;
  /** Name of the computation that the partial belongs to. */
  readonly computation: string;
  readonly of: Signal;
  /** Of that signal. */
  readonly work: ShardWork;
  /** Rows of a part, should the shard not fit into the kernel's memory. */
  readonly rowsMax: number;
  readonly onFile: OnFile;
}

/** The partial of a shard that fits, or the parts of one that does not. */
export type ShardOutcome =
  | { readonly type: 'done'; readonly report: ShardReport }
  | { readonly type: 'split'; readonly shards: readonly Shard[] };

/**
 * Stores the shard's partial. A shard that passes the kernel's memory
 * comes back as smaller ones, which are stored too: where machines have memory of different size, the first
 * one decides how it is cut.
 *
 * Throws `TidemarkError`: CAPACITY for the rows of one id that are too many alone, CORRUPT_ARCHIVE for a file that
 * is damaged or gone, OBJECT_STORE.
 */
export async function computeShard(shard: Shard, options: ShardOptions): Promise<ShardOutcome> {
  const { store, computation, work } = options;
  const key = partialKey(computation, shard);
  const read = readRange(store);
  let partial: Uint8Array;
  try {
    await readRows(shard, read, options);
    partial = work.finish();
  } catch (error) {
    if (!isTooLarge(error)) throw error;
    const shards = await parts(shard, read, options, error);
    return { type: 'split', shards: await agreedParts(shard, shards, options) };
  }
  const bytes = partial.length;
  await putOnce(store, key, partial);
  giveUp(partial);
  return { type: 'done', report: { key, bytes } };
}

/** The collector would find it only after the next shard has needed the memory. */
function giveUp({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.resizable) buffer.resize(0);
}

/** Lets the work have the shard's rows. */
async function readRows(shard: Shard, read: ReadRange, options: ShardOptions): Promise<void> {
  const { of, work, onFile } = options;
  if ('merge' in work) {
    await work.merge(shard, read, onFile);
    return;
  }
  work.reset();
  const columns = { id: idColumn(of), others: work.columns };
  await readShard(read, shard, columns, (rows) => work.add(rows), onFile);
}

/** The column that the rows of a signal's files ascend by: the first. */
function idColumn(signal: Signal): string {
  return archiveColumns[signal][0]?.name ?? '';
}

function isTooLarge(error: unknown): error is TidemarkError {
  return error instanceof TidemarkError && error.code === 'CAPACITY';
}

async function parts(
  shard: Shard,
  read: ReadRange,
  { of, rowsMax, onFile }: ShardOptions,
  cause: TidemarkError,
): Promise<readonly Shard[]> {
  const shards = await splitShard(
    (range, onIds) => readIds(read, range, idColumn(of), onIds, onFile),
    shard,
    rowsMax,
  );
  if (shards !== undefined) return shards;
  throw new TidemarkError(
    'CAPACITY',
    `${cause.message}, and all of it has one ${idColumn(of)}, which cannot be split; ` +
      'raise TIDEMARK_BATCH_MEMORY_BYTES',
    { cause },
  );
}

/** The parts that `shard` is cut into for everybody: `own`, unless others were stored before. */
async function agreedParts(
  shard: Shard,
  own: readonly Shard[],
  { store, computation }: ShardOptions,
): Promise<readonly Shard[]> {
  const key = splitKey(computation, shard);
  try {
    await store.put(key, splitText(own), { ifNoneMatch: '*' });
    return own;
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    const stored = await store.get(key);
    return stored === undefined ? own : parseSplit(key, Buffer.from(stored).toString(), shard);
  }
}

/** Another try of the same shard may have been first: its bytes are the same. */
async function putOnce(store: ObjectStore, key: string, bytes: Uint8Array): Promise<void> {
  try {
    await store.put(key, bytes, { ifNoneMatch: '*' });
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
  }
}
