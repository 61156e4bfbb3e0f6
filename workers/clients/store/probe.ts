/**
 * Finds out at the start of a program whether an object store keeps what the archive's promise
 * stands on: of several writers of one key exactly one wins. Stores nothing that lasts.
 */
import { ConflictError, TidemarkError } from '../../../schemas/errors.ts';
import { probeRounds, probeWriters } from '../../../schemas/limits.ts';
import { statusOf } from './answer.ts';
import type { CallOptions, ObjectStore } from './objects.ts';
import { mapParallel } from '../parallel.ts';

/**
 * Refuses a store without atomic conditional writes: races `probeWriters` writers for a new key,
 * `probeRounds` times, then looks whether one more writer is refused, whether the winner's body is
 * there, and whether listings are complete and in order. 22 requests. Throws `TidemarkError`
 * UNSUPPORTED_STORE with the reason, OBJECT_STORE when the store cannot be reached or refuses us.
 * `name` is random and ends up in keys under `_probe/`; they are deleted in the end.
 */
export async function assertConditionalPut(
  store: ObjectStore,
  name: string,
  options: CallOptions = {},
): Promise<void> {
  const prefix = `_probe/${name}/`;
  const keys = Array.from({ length: probeRounds }, (_, round) => `${prefix}${round}`);
  let reason: string | undefined;
  try {
    reason = await faultOf(store, prefix, keys, options);
  } catch (error) {
    // Should the store be gone, or should we be told to stop, that is what is told.
    await store.delete(keys, options).catch(() => undefined);
    throw error;
  }
  await store.delete(keys, options);
  if (reason === undefined) return;
  const message = `Cannot use this object store for the archive: ${reason}`;
  throw new TidemarkError('UNSUPPORTED_STORE', message);
}

async function faultOf(
  store: ObjectStore,
  prefix: string,
  keys: readonly string[],
  options: CallOptions,
): Promise<string | undefined> {
  for (const key of keys) {
    const reason = await race(store, key, options);
    if (reason !== undefined) return reason;
  }
  return faultOfListing(store, prefix, keys, options);
}

type Outcome = 'created' | 'exists' | 'unknown condition';

/** Why the store is unfit, as far as one key can tell. */
async function race(
  store: ObjectStore,
  key: string,
  options: CallOptions,
): Promise<string | undefined> {
  const bodies = Array.from({ length: probeWriters }, (_, writer) => `writer ${writer}`);
  const outcomes = await mapParallel(bodies, probeWriters, (body) =>
    create(store, key, body, options),
  );
  const late = await create(store, key, 'late', options);
  if ([...outcomes, late].includes('unknown condition')) {
    return 'it does not implement If-None-Match: *';
  }
  if (late === 'created') return 'it overwrote a key in spite of If-None-Match: *';
  const winners = bodies.filter((_, writer) => outcomes[writer] === 'created');
  if (winners.length > 1) {
    const figures = `${winners.length} of ${probeWriters} writers at once`;
    return `it let ${figures} create the same key with If-None-Match: *`;
  }
  const bytes = await store.get(key, options);
  if (!bytes) return 'it does not give back a key that was just created';
  // Without a winner, the winner's answer was lost and its second try met its first.
  const text = new TextDecoder().decode(bytes);
  if ((winners[0] ?? text) === text && bodies.includes(text)) return undefined;
  return 'it kept another body than that of the writer who created the key';
}

async function create(
  store: ObjectStore,
  key: string,
  body: string,
  options: CallOptions,
): Promise<Outcome> {
  try {
    await store.put(key, body, { ...options, ifNoneMatch: '*' });
    return 'created';
  } catch (error) {
    if (error instanceof ConflictError) return 'exists';
    if (error instanceof TidemarkError && statusOf(error.cause) === 501) return 'unknown condition';
    throw error;
  }
}

/** The newest commit of a partition is the first key of a listing. */
async function faultOfListing(
  store: ObjectStore,
  prefix: string,
  keys: readonly string[],
  options: CallOptions,
): Promise<string | undefined> {
  const listed: string[] = [];
  for await (const page of store.list(prefix, options)) listed.push(...page.map(({ key }) => key));
  if (listed.join() === keys.join()) return undefined;
  return 'its listings leave out keys that were just created, or are not in the order of keys';
}
