/** The first key of a listing: of keys that count down, the newest. */
import type { CallOptions, ObjectStore } from './objects.ts';

/** The least key below `prefix`, by one listing of one key; `undefined` where there is none. Throws OBJECT_STORE. */
export async function firstKey(
  store: ObjectStore,
  prefix: string,
  options: CallOptions = {},
): Promise<string | undefined> {
  for await (const page of store.list(prefix, { ...options, maxKeys: 1 })) return page[0]?.key;
  return undefined;
}
