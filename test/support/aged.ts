/** A store that says of some objects that they are older than they are: clocks of tests do not wait. */
import type { ListOptions, ObjectEntry, ObjectStore } from '../../workers/clients/store/objects.ts';

/** `store`, in which what `agesMs` has is as old as it says before `nowMs`, and all else of this moment. */
export function agedStore(
  store: ObjectStore,
  agesMs: ReadonlyMap<string, number>,
  nowMs: number,
): ObjectStore {
  return {
    close: () => undefined,
    clockAheadMs: () => store.clockAheadMs(),
    head: (...args) => store.head(...args),
    get: (...args) => store.get(...args),
    put: (...args) => store.put(...args),
    delete: (...args) => store.delete(...args),
    listFolders: (...args) => store.listFolders(...args),
    async *list(prefix: string, options?: ListOptions): AsyncGenerator<ObjectEntry[]> {
      for await (const page of store.list(prefix, options)) {
        yield page.map((entry) => ({
          ...entry,
          modifiedMs: nowMs - (agesMs.get(entry.key) ?? 0),
        }));
      }
    },
  };
}
