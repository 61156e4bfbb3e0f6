/**
 * Keeps the removal of a run's rows and a rollback to the run apart, without a lock: each stores what it is
 * about to do, then looks what others are. Of two at the same time at least one sees the other, and
 * leaves it alone. Decides nothing else.
 */
import {
  intentKey,
  intentOf,
  intentPrefix,
  type Intent,
  type RunName,
} from '../../schemas/intent.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';

export interface IntentOptions {
  readonly store: ObjectStore;
  /** A number in [0, 1). */
  readonly random: () => number;
}

/** What others are about to do with a run. */
export interface OtherIntents {
  readonly drop: readonly IntentObject[];
  readonly restore: readonly IntentObject[];
}

export interface IntentObject {
  readonly key: string;
  /** When it was stored, by the store's clock, ms since 1970. */
  readonly storedMs: number;
}

/** Stores the intent and then calls `act` with those of others; the intent is withdrawn in any case. */
export async function intend<T>(
  { store, random }: IntentOptions,
  run: RunName,
  intent: Intent,
  act: (others: OtherIntents) => Promise<T>,
): Promise<T> {
  const key = intentKey(run, intent, random().toString(36).slice(2));
  await store.put(key, '');
  try {
    return await act(await othersOf(store, run, key));
  } finally {
    await store.delete([key]);
  }
}

async function othersOf(store: ObjectStore, run: RunName, own: string): Promise<OtherIntents> {
  const others: Record<Intent, IntentObject[]> = { drop: [], restore: [] };
  for await (const page of store.list(intentPrefix(run))) {
    for (const { key, modifiedMs = Infinity } of page) {
      const intent = intentOf(run, key);
      if (key !== own && intent !== undefined) others[intent].push({ key, storedMs: modifiedMs });
    }
  }
  return others;
}
