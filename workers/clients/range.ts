/** Reads ranges of the archive's files. What commits name must be there: a missing one is a fault. */
import { TidemarkError } from '../../schemas/errors.ts';
import type { CallOptions, ObjectStore } from './objects.ts';
import type { ReadRange } from './remote.ts';

/** A reader of the store's objects that throws CORRUPT_ARCHIVE for those that are gone. */
export function readRange(store: ObjectStore, options: CallOptions = {}): ReadRange {
  return async (key, start, end) => {
    const bytes = await store.get(key, { ...options, range: { start, end } });
    if (bytes) return bytes;
    throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot read "${key}": it is gone`);
  };
}
