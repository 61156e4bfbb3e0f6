/** A bucket in memory whose operations fail on cue: crashes, lost answers, refusals, late writes. */
import { ConflictError, TidemarkError } from '../../schemas/errors.ts';
import type {
  GetOptions,
  ListOptions,
  ObjectEntry,
  ObjectStore,
  PutOptions,
} from '../../workers/clients/store/objects.ts';

/**
 * What happens at one operation. `crashBefore` and `crashAfter`: the process is dead from then on,
 * without or with the operation done. `refused`: 503, not done. `lost`: done, but the answer is an
 * error. `late`: the answer is an error now, and the write is done `lateBy` operations later.
 * `repeated`: done, the answer lost, and done again by the client, which sees the second answer.
 */
export type FaultKind = 'crashBefore' | 'crashAfter' | 'refused' | 'lost' | 'late' | 'repeated';

export const faultKinds: readonly FaultKind[] = [
  'crashBefore',
  'crashAfter',
  'refused',
  'lost',
  'late',
  'repeated',
];

/** What the process sees once it is dead: nothing can be caught and mended after this. */
export class Crash extends Error {}

const lateBy = 3;

/** The objects of a bucket, shared by the stores (the processes) that are opened on it. */
export type Objects = Map<string, Uint8Array>;

/** One process's view of the bucket, with at most one fault: at its operation `faultAt`. */
export class FaultyStore implements ObjectStore {
  /** Operations so far, each as `verb key`. */
  readonly operations: string[] = [];
  readonly #objects: Objects;
  readonly #faultAt: number;
  readonly #kind: FaultKind;
  readonly #late: { at: number; apply: () => unknown }[] = [];
  #dead = false;

  constructor(objects: Objects, faultAt = -1, kind: FaultKind = 'refused') {
    this.#objects = objects;
    this.#faultAt = faultAt;
    this.#kind = kind;
  }

  /** Tells no time. */
  clockAheadMs(): number {
    return 0;
  }

  get(key: string, { range }: GetOptions = {}): Promise<Uint8Array | undefined> {
    return this.#operate(`get ${key}`, () =>
      this.#objects.get(key)?.slice(range?.start ?? 0, range?.end),
    );
  }

  head(key: string): Promise<number | undefined> {
    return this.#operate(`head ${key}`, () => this.#objects.get(key)?.byteLength);
  }

  put(key: string, body: Uint8Array | string, options: PutOptions = {}): Promise<void> {
    const bytes = Uint8Array.from(Buffer.from(body));
    return this.#operate(`put ${key}`, () => {
      if (options.ifNoneMatch && this.#objects.has(key)) throw new ConflictError(key);
      this.#objects.set(key, bytes);
    });
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<readonly ObjectEntry[]> {
    const { maxKeys = 1000 } = options;
    let { startAfter = '' } = options;
    for (;;) {
      const keys = await this.#operate(`list ${prefix}`, () =>
        [...this.#objects.keys()]
          .filter((key) => key.startsWith(prefix) && key > startAfter)
          .toSorted(),
      );
      yield keys.slice(0, maxKeys).map((key) => ({ key, bytes: this.#bytesOf(key) }));
      if (keys.length <= maxKeys) return;
      startAfter = keys[maxKeys - 1] ?? '';
    }
  }

  listFolders(prefix: string): Promise<readonly string[]> {
    return this.#operate(`list ${prefix}`, () => {
      const names = [...this.#objects.keys()].filter((key) => key.startsWith(prefix));
      const folders = names.map((key) => key.slice(prefix.length).split('/')[0] ?? '');
      return [...new Set(folders)].toSorted().map((folder) => `${prefix}${folder}/`);
    });
  }

  delete(keys: readonly string[]): Promise<void> {
    return this.#operate(`delete ${keys.length}`, () => {
      for (const key of keys) this.#objects.delete(key);
    });
  }

  close(): void {
    for (const { apply } of this.#late) attempt(apply);
  }

  #bytesOf(key: string): number {
    return this.#objects.get(key)?.byteLength ?? 0;
  }

  async #operate<T>(name: string, apply: () => T): Promise<T> {
    // A turn of the event loop, as a network would take, so that other processes get theirs.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    const at = this.operations.push(name) - 1;
    this.#applyLate(at);
    if (this.#dead) throw new Crash('dead');
    if (at !== this.#faultAt) return apply();
    if (this.#kind === 'repeated') {
      attempt(apply);
      return apply();
    }
    return this.#fail(name, at, apply);
  }

  #applyLate(at: number): void {
    for (const late of this.#late.filter((write) => write.at <= at)) {
      this.#late.splice(this.#late.indexOf(late), 1);
      attempt(late.apply);
    }
  }

  #fail(name: string, at: number, apply: () => unknown): never {
    const kind = this.#kind;
    if (kind === 'crashAfter' || kind === 'lost') attempt(apply);
    if (kind === 'late') this.#late.push({ at: at + lateBy, apply });
    this.#dead = kind.startsWith('crash');
    if (this.#dead) throw new Crash(name);
    throw new TidemarkError('OBJECT_STORE', `${kind}: ${name}`, { retryable: true });
  }
}

/** Does what nobody waits for: its error goes nowhere, as with an answer that is lost. */
function attempt(apply: () => unknown): void {
  try {
    apply();
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
  }
}
