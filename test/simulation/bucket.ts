/**
 * An object store in memory, strongly consistent as R2 and S3 are, and a client of it for each
 * machine whose requests are slow, lost, refused, answered twice or carried out long after anybody
 * waits for them. What the store does is told to a judge.
 */
import { ConflictError, TidemarkError } from '../../schemas/errors.ts';
import type {
  CallOptions,
  GetOptions,
  ListOptions,
  ObjectEntry,
  ObjectStore,
  PutOptions,
} from '../../workers/clients/store/objects.ts';
import type { Machine, World } from './world.ts';

export interface StoredObject {
  readonly bytes: Uint8Array;
  /** By the store's clock, ms since 1970. */
  readonly modifiedMs: number;
}

/** Told of every change, before it is made; throws when it must not be. */
export interface Witness {
  putting(key: string, bytes: Uint8Array, by: string): void;
  deleting(key: string, by: string): void;
}

/** The objects. Its clock is its own, like that of any machine. */
export class Bucket {
  readonly objects = new Map<string, StoredObject>();
  readonly #witness: Witness;
  readonly #now: () => number;
  #sorted: string[] | undefined;

  constructor(witness: Witness, now: () => number) {
    this.#witness = witness;
    this.#now = now;
  }

  put(key: string, bytes: Uint8Array, isConditional: boolean, by: string): void {
    const exists = this.objects.has(key);
    if (exists && isConditional) throw new ConflictError(key);
    this.#witness.putting(key, bytes, by);
    this.objects.set(key, { bytes, modifiedMs: this.#now() });
    if (!exists) this.#sorted = undefined;
  }

  delete(keys: readonly string[], by: string): void {
    for (const key of keys) {
      if (!this.objects.has(key)) continue;
      this.#witness.deleting(key, by);
      this.objects.delete(key);
      this.#sorted = undefined;
    }
  }

  /** Keys under `prefix` behind `startAfter`, in order. */
  keys(prefix: string, startAfter = ''): string[] {
    this.#sorted ??= [...this.objects.keys()].toSorted();
    const sorted = this.#sorted;
    const from = firstAt(sorted, prefix > startAfter ? prefix : startAfter);
    const keys: string[] = [];
    for (let at = from; at < sorted.length; at += 1) {
      const key = sorted[at] ?? '';
      if (!key.startsWith(prefix)) break;
      if (key > startAfter) keys.push(key);
    }
    return keys;
  }

  page(prefix: string, startAfter: string, keysMax: number): ObjectEntry[] {
    return this.keys(prefix, startAfter)
      .slice(0, keysMax)
      .map((key) => {
        const object = this.objects.get(key);
        const { bytes, modifiedMs } = object ?? { bytes: new Uint8Array(), modifiedMs: 0 };
        return { key, bytes: bytes.byteLength, modifiedMs };
      });
  }
}

function firstAt(sorted: readonly string[], key: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How bad the network and the store are: probabilities of one request's fates. */
export interface Weather {
  /** 503, and nothing done. */
  readonly refused: number;
  /** No answer, and nothing done. */
  readonly lostBefore: number;
  /** Done, but no answer. */
  readonly lostAfter: number;
  /** No answer for now, and done up to `lateMsMax` later. */
  readonly late: number;
  /** Done, and answered, up to `stallMsMax` later. */
  readonly stalled: number;
  /** Tries of one request before its error is the caller's. */
  readonly triesMax: number;
  readonly lateMsMax: number;
  readonly stallMsMax: number;
}

export const calm: Weather = {
  refused: 0,
  lostBefore: 0,
  lostAfter: 0,
  late: 0,
  stalled: 0,
  triesMax: 3,
  lateMsMax: 0,
  stallMsMax: 0,
};

/** What the client waits for an answer before it tries again. */
const timeoutMs = 3000;
const retryMs = 100;

interface Request<T> {
  readonly what: string;
  readonly carryOut: () => T;
  readonly settle: (outcome: { value: T } | { error: unknown }) => void;
  isSettled: boolean;
}

type Fate = 'done' | 'refused' | 'lostBefore' | 'lostAfter' | 'late';

/** One machine's client, with retries as the S3 client does them: it sees only the last answer. */
export class BucketClient implements ObjectStore {
  /** Requests sent, for tests of cost. */
  sent = 0;
  readonly #bucket: Bucket;
  readonly #machine: Machine;
  readonly #world: World;
  readonly #weather: () => Weather;
  readonly #pageKeys: number;

  constructor(bucket: Bucket, machine: Machine, weather: () => Weather, pageKeys: number) {
    this.#bucket = bucket;
    this.#machine = machine;
    this.#world = machine.world;
    this.#weather = weather;
    this.#pageKeys = pageKeys;
  }

  /** Tells no time. */
  clockAheadMs(): number {
    return 0;
  }

  get(key: string, options: GetOptions = {}): Promise<Uint8Array | undefined> {
    const { range } = options;
    return this.#request(`get ${key}`, options, () => {
      const bytes = this.#bucket.objects.get(key)?.bytes;
      return range ? bytes?.subarray(range.start, range.end) : bytes;
    });
  }

  head(key: string, options: CallOptions = {}): Promise<number | undefined> {
    return this.#request(
      `head ${key}`,
      options,
      () => this.#bucket.objects.get(key)?.bytes.byteLength,
    );
  }

  put(key: string, body: Uint8Array | string, options: PutOptions = {}): Promise<void> {
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body.slice();
    const isConditional = options.ifNoneMatch === '*';
    return this.#request(`put ${key}`, options, () =>
      this.#bucket.put(key, bytes, isConditional, this.#machine.name),
    );
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<readonly ObjectEntry[]> {
    const keysMax = Math.min(options.maxKeys ?? this.#pageKeys, this.#pageKeys);
    let startAfter = options.startAfter ?? '';
    for (;;) {
      const after = startAfter;
      const page = await this.#request(`list ${prefix}`, options, () =>
        this.#bucket.page(prefix, after, keysMax + 1),
      );
      yield page.slice(0, keysMax);
      if (page.length <= keysMax) return;
      startAfter = page[keysMax - 1]?.key ?? '';
    }
  }

  listFolders(prefix: string, options: CallOptions = {}): Promise<readonly string[]> {
    return this.#request(`folders ${prefix}`, options, () => {
      const names = this.#bucket.keys(prefix).map((key) => key.slice(prefix.length).split('/')[0]);
      return [...new Set(names)].map((name) => `${prefix}${name ?? ''}/`);
    });
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    if (keys.length === 0) return;
    await this.#request(`delete ${keys.join(' ')}`, options, () =>
      this.#bucket.delete(keys, this.#machine.name),
    );
  }

  close(): void {}

  #request<T>(what: string, { signal }: CallOptions, carryOut: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const request: Request<T> = {
        what,
        carryOut,
        isSettled: false,
        settle: (outcome) => {
          if (request.isSettled) return;
          request.isSettled = true;
          signal?.removeEventListener('abort', onAbort);
          if ('value' in outcome) resolve(outcome.value);
          else reject(outcome.error);
        },
      };
      const onAbort = (): void => request.settle({ error: storeError(what, 'aborted') });
      if (signal?.aborted) return onAbort();
      // The probe at a start is no part of the protocol: it takes neither time nor harm.
      if (what.includes(' _probe/')) return request.settle(this.#carryOut(request));
      signal?.addEventListener('abort', onAbort);
      this.#try(request, 1);
    });
  }

  #try<T>(request: Request<T>, tries: number): void {
    if (request.isSettled) return;
    const weather = this.#weather();
    const fate = this.#fateOf(weather);
    this.sent += 1;
    const slow = this.#world.chance(weather.stalled) ? weather.stallMsMax : 40;
    const thereMs = fate === 'late' ? this.#world.between(0, weather.lateMsMax) : 0;
    if (fate !== 'done') this.#world.note(`${this.#machine.name} ${request.what}: ${fate}`);
    if (fate === 'refused' || fate === 'lostBefore') return this.#again(request, tries, fate);
    this.#world.after(thereMs + this.#world.between(1, slow), () => {
      const outcome = this.#carryOut(request);
      if (fate !== 'done') return;
      this.#machine.answer(this.#world.between(1, slow), () => request.settle(outcome));
    });
    if (fate !== 'done') this.#again(request, tries, fate);
  }

  #fateOf(weather: Weather): Fate {
    let at = this.#world.random();
    for (const fate of ['refused', 'lostBefore', 'lostAfter', 'late'] as const) {
      at -= weather[fate];
      if (at < 0) return fate;
    }
    return 'done';
  }

  #carryOut<T>(request: Request<T>): { value: T } | { error: unknown } {
    try {
      const value = request.carryOut();
      this.#note(request.what);
      return { value };
    } catch (error) {
      if (!(error instanceof TidemarkError)) this.#world.fail(error);
      this.#note(`${request.what}: 412`);
      return { error };
    }
  }

  /** For the report of a failure: what changes the store, and that alone. */
  #note(what: string): void {
    if (!/^(get|list|folders|head) | _probe\//.test(what)) {
      this.#world.note(`${this.#machine.name} ${what}`);
    }
  }

  #again<T>(request: Request<T>, tries: number, fate: Fate): void {
    const waitMs = fate === 'refused' ? retryMs : timeoutMs;
    this.#machine.answer(waitMs, () => {
      if (tries < this.#weather().triesMax) return this.#try(request, tries + 1);
      request.settle({ error: storeError(request.what, fate) });
    });
  }
}

function storeError(what: string, why: string): TidemarkError {
  return new TidemarkError('OBJECT_STORE', `Cannot ${what}: ${why}`, { retryable: true });
}
