/** The partials of a computation in the object store: which there are, reading and removing them. */
import { TidemarkError } from '../../schemas/errors.ts';
import { mergeWholeBytesMax, partialHeaderBytesGuess } from '../../schemas/limits/batch.ts';
import {
  partialKey,
  partialPrefix,
  reusedKey,
  type Shard,
  type ShardReport,
} from '../../schemas/shard.ts';
import { parseSplit, splitKey } from '../../schemas/task.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import type { PartialReader } from './ranges.ts';

/** Partials that attempts at the computation of that name have left, by key. Throws OBJECT_STORE. */
export async function storedPartials(
  store: ObjectStore,
  computation: string,
): Promise<ReadonlyMap<string, ShardReport>> {
  const reports = new Map<string, ShardReport>();
  for await (const page of store.list(partialPrefix(computation))) {
    for (const { key, bytes } of page) reports.set(key, { key, bytes });
  }
  return reports;
}

/** What there is of some shards. */
export interface Collected {
  readonly reports: ShardReport[];
  /** Shards, and parts of shards that were split, that have no partial. */
  readonly missing: Shard[];
}

/** Looks for the partials of shards, and of their parts where they were split. Throws OBJECT_STORE. */
export async function collectPartials(
  store: ObjectStore,
  computation: string,
  shards: readonly Shard[],
): Promise<Collected> {
  const stored = await storedPartials(store, computation);
  const reports: ShardReport[] = [];
  const missing: Shard[] = [];
  const waiting = [...shards];
  for (let shard = waiting.shift(); shard; shard = waiting.shift()) {
    const report = stored.get(partialKey(computation, shard));
    const parts = splitKey(computation, shard);
    if (report) reports.push(report);
    else if (stored.has(parts)) waiting.unshift(...(await readParts(store, parts, shard)));
    else missing.push(shard);
  }
  return { reports, missing };
}

async function readParts(store: ObjectStore, key: string, shard: Shard): Promise<Shard[]> {
  return parseSplit(key, Buffer.from((await store.get(key)) ?? []).toString(), shard);
}

/** Says that a run goes on with the partials that are there. Throws OBJECT_STORE. */
export async function keepPartials(store: ObjectStore, computation: string): Promise<void> {
  await store.put(reusedKey(computation), JSON.stringify({ version: 1 }));
}

/** Removes them all. Throws OBJECT_STORE. */
export async function deletePartials(store: ObjectStore, computation: string): Promise<void> {
  for await (const page of store.list(partialPrefix(computation))) {
    await store.delete(page.map((entry) => entry.key));
  }
}

/**
 * Readers for the merge, which throw OBJECT_STORE, and BATCH_FAILED for a partial that is gone. Small partials
 * take one request each.
 */
export function readersOf(store: ObjectStore, reports: readonly ShardReport[]): PartialReader[] {
  let wholeBytes = 0;
  return reports.map(({ key, bytes }) => {
    const read = rangeReader(store, key);
    const isSmall = bytes <= partialHeaderBytesGuess && wholeBytes + bytes <= mergeWholeBytesMax;
    if (!isSmall) return { byteLength: bytes, read };
    wholeBytes += bytes;
    let whole: Promise<Uint8Array> | undefined;
    return {
      byteLength: bytes,
      read: async (start, end) => (await (whole ??= read(0, bytes))).subarray(start, end),
    };
  });
}

function rangeReader(store: ObjectStore, key: string): PartialReader['read'] {
  return async (start, end) => {
    const found = await store.get(key, { range: { start, end } });
    if (found !== undefined) return found;
    throw new TidemarkError('BATCH_FAILED', `Cannot merge: the partial "${key}" is gone`, {
      retryable: true,
    });
  };
}
