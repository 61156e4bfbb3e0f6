/**
 * Our clock and the store's. What is done because something is over, complete or old enough is judged by the
 * earlier of the two, so that a clock that is wrong makes it late and never early. Sets no clock.
 */
import { clockSkewMsMax } from '../../../schemas/limits.ts';
import { firstKey } from './first.ts';
import type { ObjectStore } from './objects.ts';

export interface ClockLog {
  warn(fields: object, message: string): void;
}

/** How far the store's clock is ahead of ours, ms; 0 within `clockSkewMsMax`, and before the store has answered. */
export function skewOf(store: Pick<ObjectStore, 'clockAheadMs'>): number {
  const aheadMs = store.clockAheadMs();
  return Math.abs(aheadMs) > clockSkewMsMax ? aheadMs : 0;
}

/**
 * A clock that gives the earlier of `now` and the store's time, ms since 1970, as far as answers of the store
 * have told until then. A difference is said once in the log, and again when it has changed.
 */
export function earlierClock(
  store: Pick<ObjectStore, 'clockAheadMs'>,
  now: () => number,
  log: ClockLog,
): () => number {
  let toldMs = 0;
  return () => {
    const skewMs = skewOf(store);
    if (Math.abs(skewMs - toldMs) > clockSkewMsMax) {
      toldMs = skewMs;
      const seconds = Math.round(skewMs / 1000);
      const hint = 'set the clock of this machine, or the store is wrong; the earlier one counts';
      log.warn({ storeAheadSeconds: seconds, hint }, "Our clock is not the object store's");
    }
    return now() + Math.min(0, skewMs);
  };
}

/** The same once the store has been asked, by one listing. Throws OBJECT_STORE. */
export async function askedClock(
  store: ObjectStore,
  now: () => number,
  log: ClockLog,
): Promise<() => number> {
  await firstKey(store, clockPrefix);
  return earlierClock(store, now, log);
}

/** Nothing lies there: what matters is when the store answers. */
const clockPrefix = '_clock/';
