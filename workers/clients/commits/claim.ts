/**
 * Stores a text under a key that only one writer may ever have: the write on which the archive's
 * commits and replacements stand. Never overwrites anything.
 */
import { ConflictError, TidemarkError } from '../../../schemas/errors.ts';
import type { CallOptions, ObjectStore } from '../store/objects.ts';

/** `won`: our text is stored. `lost`: another writer's is, and ours never will be. */
export type ClaimOutcome = 'won' | 'lost';

/**
 * Stores `text` if no object has the key. When one has, its text tells whether that is our own write
 * whose answer got lost, so the text must be unique to the attempt. Any error that is thrown leaves
 * open whether the text is stored: what it names must stay, and the key must be looked at again.
 */
export async function putOnce(
  store: ObjectStore,
  key: string,
  text: string,
  options: CallOptions = {},
): Promise<ClaimOutcome> {
  try {
    await store.put(key, text, { ...options, ifNoneMatch: '*' });
    return 'won';
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
  }
  const stored = await store.get(key, options);
  if (!stored) {
    throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot read "${key}": it was deleted`);
  }
  return new TextDecoder().decode(stored) === text ? 'won' : 'lost';
}
