/**
 * Computes one shard: reads its rows, lets the kernel dedup and sort them, stores the partial. A pure
 * function of the shard and the files: computed again, it stores the same bytes under the same key.
 */
import type { GroupResult, ShardKernel } from '../aggregator-as/kernel.ts';
import { ConflictError, TidemarkError } from '../schemas/errors.ts';
import { encodePartial, type PartialGroup } from '../schemas/partial.ts';
import { partialKey, type Shard, type ShardReport } from '../schemas/shard.ts';
import type { ObjectStore } from '../workers/clients/objects.ts';
import { shardNames, type ShardNames } from './columns.ts';
import { readShard, readTraceIds, type OnFile } from './read.ts';
import type { ReadRange } from '../workers/clients/remote.ts';
import { splitShard } from './split.ts';

export interface ShardOptions {
  readonly store: ObjectStore;
  /** Name of the computation that the partial belongs to. */
  readonly computation: string;
  /** Reset by this function before use. */
  readonly kernel: ShardKernel;
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
 * comes back as smaller ones.
 *
 * Throws `TidemarkError`: CAPACITY for one trace that is too large alone, CORRUPT_ARCHIVE for a file that
 * is damaged or gone, OBJECT_STORE.
 */
export async function computeShard(shard: Shard, options: ShardOptions): Promise<ShardOutcome> {
  const { store, computation, kernel } = options;
  const key = partialKey(computation, shard);
  const read = rangesOf(store);
  const names = shardNames();
  let partial: Uint8Array;
  try {
    kernel.reset();
    await readShard(read, shard, names, (columns) => kernel.add(columns), options.onFile);
    partial = encodePartial(named(kernel.finish(), names));
  } catch (error) {
    if (!isTooLarge(error)) throw error;
    return { type: 'split', shards: await parts(shard, read, options, error) };
  }
  await putOnce(store, key, partial);
  return { type: 'done', report: { key, bytes: partial.length } };
}

function rangesOf(store: ObjectStore): ReadRange {
  return async (key, start, end) => {
    const bytes = await store.get(key, { range: { start, end } });
    if (bytes !== undefined) return bytes;
    throw new TidemarkError(
      'CORRUPT_ARCHIVE',
      `Cannot read "${key}": its commit names it, but it is gone`,
    );
  };
}

/** The kernel's groups with strings in place of codes. */
function* named(groups: Iterable<GroupResult>, names: ShardNames): Generator<PartialGroup> {
  const tenants = names.tenants.values();
  const services = names.services.values();
  const operations = names.operations.values();
  for (const group of groups) {
    yield {
      ...group,
      tenantId: tenants[group.tenant] ?? '',
      serviceName: services[group.service] ?? '',
      operationName: operations[group.operation] ?? '',
    };
  }
}

function isTooLarge(error: unknown): error is TidemarkError {
  return error instanceof TidemarkError && error.code === 'CAPACITY';
}

async function parts(
  shard: Shard,
  read: ReadRange,
  { rowsMax, onFile }: ShardOptions,
  cause: TidemarkError,
): Promise<readonly Shard[]> {
  const shards = await splitShard(
    (range, onTraceIds) => readTraceIds(read, range, onTraceIds, onFile),
    shard,
    rowsMax,
  );
  if (shards !== undefined) return shards;
  throw new TidemarkError(
    'CAPACITY',
    `${cause.message}, and it is one trace, which cannot be split; raise TIDEMARK_BATCH_MEMORY_BYTES`,
    { cause },
  );
}

/** Another try of the same shard may have been first: its bytes are the same. */
async function putOnce(store: ObjectStore, key: string, bytes: Uint8Array): Promise<void> {
  try {
    await store.put(key, bytes, { ifNoneMatch: '*' });
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
  }
}
