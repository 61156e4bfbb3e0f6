/**
 * What a fleet keeps in the object store beside partials: shards to compute, and who waits for them. Reads
 * and writes single objects; never decides what is to be done about them.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { ConflictError, TidemarkError } from '../../schemas/errors.ts';
import { storedShardBytesMax } from '../../schemas/limits/fleet.ts';
import type { Shard } from '../../schemas/shard.ts';
import {
  attemptKey,
  parseAttempt,
  parseStoredShard,
  storedShardKey,
  storedShardText,
  taskPrefix,
  type AttemptState,
  type StoredShard,
} from '../../schemas/task.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';

/** Stores the shard, unless it is there; returns its key. */
export async function storeShard(store: ObjectStore, stored: StoredShard): Promise<string> {
  const key = storedShardKey(stored.computation, stored.shard);
  await putOnce(store, key, gzipSync(storedShardText(stored)));
  return key;
}

/** The shard of that key; `undefined` when there is none any more. Throws CORRUPT_ARCHIVE. */
export async function loadShard(store: ObjectStore, key: string): Promise<StoredShard | undefined> {
  const bytes = await store.get(key);
  return bytes && parseStoredShard(key, inflate(key, bytes));
}

/** The text of a gzip object of ours. Throws CORRUPT_ARCHIVE. */
export function inflate(key: string, bytes: Uint8Array): string {
  try {
    return gunzipSync(bytes, { maxOutputLength: storedShardBytesMax }).toString();
  } catch (cause) {
    const message = `Cannot read "${key}": it is no gzip of at most ${storedShardBytesMax} bytes`;
    throw new TidemarkError('CORRUPT_ARCHIVE', message, { cause });
  }
}

/** Says that the coordinator of an attempt waits at this time. */
export async function beat(
  store: ObjectStore,
  { computation, attempt }: { readonly computation: string; readonly attempt: string },
  state: Omit<AttemptState, 'version'>,
): Promise<void> {
  await store.put(attemptKey(computation, attempt), JSON.stringify({ version: 1, ...state }));
}

/** What the coordinator of an attempt has said last; `undefined` when it waits no more. */
export async function attemptState(
  store: ObjectStore,
  { computation, attempt }: { readonly computation: string; readonly attempt: string },
): Promise<AttemptState | undefined> {
  const key = attemptKey(computation, attempt);
  const bytes = await store.get(key);
  return bytes && parseAttempt(key, Buffer.from(bytes).toString());
}

/** Stores an object unless there is one of that key; returns whether it did. */
export async function putOnce(
  store: ObjectStore,
  key: string,
  body: Uint8Array | string,
): Promise<boolean> {
  try {
    await store.put(key, body, { ifNoneMatch: '*' });
    return true;
  } catch (error) {
    if (error instanceof ConflictError) return false;
    throw error;
  }
}

/** Removes all that a fleet was given of a computation. */
export async function deleteTasks(store: ObjectStore, computation: string): Promise<void> {
  for await (const page of store.list(taskPrefix(computation))) {
    await store.delete(page.map(({ key }) => key));
  }
}

/** The part of a stored shard that a task is of. */
export function partOf(shard: Shard, range: Pick<Shard, 'idFrom' | 'idTo'>): Shard {
  return { ...shard, idFrom: range.idFrom, idTo: range.idTo };
}
