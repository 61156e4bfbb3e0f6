/** Reads ranges of the archive's files. What commits name must be there: a missing one is a fault. */
import { TidemarkError } from '../../../schemas/errors.ts';
import type { CallOptions, ObjectStore } from '../store/objects.ts';
import type { ReadRange } from './remote.ts';

/**
 * A reader of the store's objects. For one that is gone it throws what `gone` makes of its key:
 * CORRUPT_ARCHIVE, unless the caller knows better.
 */
export function readRange(
  store: ObjectStore,
  options: CallOptions = {},
  gone: (key: string) => TidemarkError = lost,
): ReadRange {
  return async (key, start, end, into) => {
    const bytes = await store.get(key, {
      ...options,
      range: { start, end },
      ...(into && { into }),
    });
    if (bytes) return bytes;
    throw gone(key);
  };
}

function lost(key: string): TidemarkError {
  const message = `Cannot read "${key}": its commit names it, but it is gone`;
  return new TidemarkError('CORRUPT_ARCHIVE', message);
}
