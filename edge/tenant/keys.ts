/**
 * Finds the record of an API key by its public id: in the setting TIDEMARK_KEYS, then in Workers
 * KV, and remembers it for a while. It never sees a key, and decides nothing about one.
 */
import { SettingError, TidemarkError } from '../../schemas/errors.ts';
import { keyIdPattern, recordName, toKeyRecord } from '../../schemas/key.ts';
import type { KeyRecord } from '../../schemas/key.ts';
import {
  keyCacheSeconds,
  keyFreshMs,
  keyLookupMs,
  keyMissingMs,
  keysCachedMax,
  keyStaleMsMax,
} from '../../schemas/limits.ts';

/** The part of a Workers KV namespace that keys are read from. */
export interface KeyStore {
  get(name: string, options: { type: 'text'; cacheTtl: number }): Promise<string | null>;
}

export interface KeyTools {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A signal that aborts after so many milliseconds. */
  readonly timeout: (ms: number) => AbortSignal;
  readonly warn: (message: string) => void;
}

interface Remembered {
  readonly record: KeyRecord | undefined;
  readonly readMs: number;
}

/** The key records that one isolate knows. */
export class KeyRing {
  readonly #fixed: ReadonlyMap<string, KeyRecord>;
  readonly #store: KeyStore | undefined;
  readonly #tools: KeyTools;
  readonly #known = new Map<string, Remembered>();
  /** Ids without a record: apart, so that made-up ids drive no real one out. */
  readonly #missing = new Map<string, Remembered>();

  /** `setting` is the text of TIDEMARK_KEYS. Throws SettingError when it cannot be used. */
  constructor(setting: string, store: KeyStore | undefined, tools: KeyTools) {
    this.#fixed = readRecords(setting);
    this.#store = store;
    this.#tools = tools;
  }

  /** Whether no key can be found at all. */
  get isEmpty(): boolean {
    return this.#fixed.size === 0 && this.#store === undefined;
  }

  /**
   * The record of a key, or undefined when there is none. What it gives may be `keyFreshMs` old,
   * and with Workers KV's own copies about a minute more. Throws KEY_STORE, retryable, when KV
   * does not answer and the record is not known from before.
   */
  async find(id: string): Promise<KeyRecord | undefined> {
    const fixed = this.#fixed.get(id);
    if (fixed !== undefined || this.#store === undefined) return fixed;
    const nowMs = this.#tools.now();
    const missing = this.#missing.get(id);
    if (missing !== undefined && nowMs - missing.readMs < keyMissingMs) return undefined;
    const known = this.#known.get(id);
    if (known !== undefined && nowMs - known.readMs < keyFreshMs) return known.record;
    try {
      const record = await this.#read(id, this.#store);
      this.#remember(id, { record, readMs: nowMs });
      return record;
    } catch (cause) {
      if (known !== undefined && nowMs - known.readMs < keyStaleMsMax) return known.record;
      throw new TidemarkError('KEY_STORE', 'Cannot look up the API key now: send it again', {
        cause,
        retryable: true,
      });
    }
  }

  async #read(id: string, store: KeyStore): Promise<KeyRecord | undefined> {
    const late = this.#tools.timeout(keyLookupMs);
    const options = { type: 'text', cacheTtl: keyCacheSeconds } as const;
    const text = await unlessAborted(store.get(recordName(id), options), late);
    if (text === null) return undefined;
    const record = toKeyRecord(parse(text));
    if (record === undefined) {
      this.#tools.warn(`Cannot use the record of API key ${id} in Workers KV: it is malformed`);
    }
    return record;
  }

  #remember(id: string, found: Remembered): void {
    const [into, other] =
      found.record === undefined ? [this.#missing, this.#known] : [this.#known, this.#missing];
    other.delete(id);
    into.delete(id);
    into.set(id, found);
    // Maps keep the order of insertion: the first is the one that was read longest ago.
    for (const oldest of into.keys()) {
      if (into.size <= keysCachedMax) break;
      into.delete(oldest);
    }
  }
}

function readRecords(setting: string): ReadonlyMap<string, KeyRecord> {
  const records = new Map<string, KeyRecord>();
  if (setting.trim() === '') return records;
  const object = parse(setting);
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    throw refused('it is not a JSON object of records by key id');
  }
  for (const [id, value] of Object.entries(object)) {
    const record = keyIdPattern.test(id) ? toKeyRecord(value) : undefined;
    if (record === undefined) throw refused(`its entry ${records.size + 1} is no record of a key`);
    records.set(id, record);
  }
  return records;
}

function refused(why: string): SettingError {
  return new SettingError('TIDEMARK_KEYS', `Cannot use setting TIDEMARK_KEYS: ${why}`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Workers KV takes no signal. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => {
      reject(new TidemarkError('KEY_STORE', 'Cannot wait longer for Workers KV'));
    });
  });
  return Promise.race([promise, aborted]);
}
