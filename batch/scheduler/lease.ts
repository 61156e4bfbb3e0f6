/**
 * Holds a lease in the object store, so that of any number of schedulers one leads. Whoever wants it waits
 * until the newest object has stood unchanged for its lease time by its own clock; clocks of two machines are
 * never compared. It does not stop anyone: whoever has lost the lease has to ask.
 */
import { TidemarkError } from '../../schemas/errors.ts';
import { leaseKey, leasePrefix, parseLease, type LeaseRecord } from '../../schemas/lease.ts';
import { leaseReadsMax } from '../../schemas/limits/batch.ts';
import { putOnce } from '../../workers/clients/commits/claim.ts';
import { firstKey } from '../../workers/clients/store/first.ts';
import type { CallOptions, ObjectStore } from '../../workers/clients/store/objects.ts';

export interface LeaseClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds of a clock that only goes forward. */
  monotonicMs(): number;
}

export interface LeaseOptions {
  readonly store: ObjectStore;
  readonly clock: LeaseClock;
  /** Which lease. */
  readonly lease: string;
  /** Random, unique to the process. */
  readonly holder: string;
  /** For people: where the holder runs. */
  readonly name: string;
  readonly leaseMs: number;
}

/** A moment by both clocks: one may be set, the other may stand still while a machine sleeps. */
interface Mark {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

interface Held {
  readonly record: LeaseRecord;
  /** Before it was stored. */
  readonly since: Mark;
}

export class Lease {
  readonly #options: LeaseOptions;
  #held: Held | undefined;
  /** Another's lease as it was first seen. */
  #seen: { readonly sequence: number; readonly since: Mark } | undefined;
  /** The number that was asked for last, and when first: its write may be stored without our knowing. */
  #asked: { readonly sequence: number; readonly since: Mark } | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** Whether the lease is surely ours at this moment: nobody can have taken it over yet. */
  get isHeld(): boolean {
    return this.#held !== undefined && this.#isFresh(this.#held.since);
  }

  /** Whether nobody can have seen what was written then stand for the lease's time. */
  #isFresh(since: Mark): boolean {
    const { wallMs, monotonicMs } = this.#elapsed(since);
    return Math.max(wallMs, monotonicMs) < this.#options.leaseMs;
  }

  /** Of the leadership that was won last; 0 before. */
  get term(): number {
    return this.#held?.record.term ?? 0;
  }

  /**
   * Takes the lease if nobody has it: of several that try exactly one gets it. Throws what the store
   * throws; the lease may be ours then, and the next call finds out.
   */
  async take(options: CallOptions = {}): Promise<boolean> {
    if (this.isHeld) return true;
    const newest = await readLease(this.#options.store, this.#options.lease, options);
    if (newest === undefined)
      return this.#claim({ sequence: 1, term: 1, released: false }, options);
    const { sequence, term, holder, released } = newest;
    const asked = this.#asked;
    const isAsked = holder === this.#options.holder && sequence === asked?.sequence;
    // A write of ours whose answer got lost.
    if (isAsked && !released && this.#isFresh(asked.since)) return this.#claim(newest, options);
    if (!this.#isFree(newest)) return false;
    return this.#claim({ sequence: sequence + 1, term: term + 1, released: false }, options);
  }

  /**
   * Prolongs the lease. False when it is ours no more, which is then for good. Throws what the store
   * throws; until it has run out, the next call may still prolong it.
   */
  async renew(options: CallOptions = {}): Promise<boolean> {
    if (!this.#held || !this.isHeld) return this.#lose();
    const { sequence, term } = this.#held.record;
    const next = { sequence: sequence + 1, term, released: false };
    return (await this.#claim(next, options)) || this.#lose();
  }

  /** Lets another take over at once. Does nothing when the lease is not ours. Throws what the store throws. */
  async release(options: CallOptions = {}): Promise<void> {
    const held = this.#held;
    if (!held || !this.isHeld) return;
    const { sequence, term } = held.record;
    await this.#claim({ sequence: sequence + 1, term, released: true }, options);
    this.#lose();
  }

  /**
   * Asks the store whether the lease is ours still, as before an act that two should not do. Throws
   * `TidemarkError` BATCH_FAILED when it is not, and what the store throws.
   */
  async assertHeld(options: CallOptions = {}): Promise<void> {
    const { store, lease, holder } = this.#options;
    const newest = this.isHeld ? await readLease(store, lease, options) : undefined;
    if (newest?.holder === holder && !newest.released && this.isHeld) return;
    this.#lose();
    throw new TidemarkError('BATCH_FAILED', 'Cannot go on: another scheduler may lead by now');
  }

  /** Whether nobody holds it. What is seen for the first time may have been stored just now. */
  #isFree({ sequence, released, leaseMs }: LeaseRecord): boolean {
    if (released) return true;
    if (this.#seen?.sequence !== sequence) this.#seen = { sequence, since: this.#mark() };
    const { wallMs, monotonicMs } = this.#elapsed(this.#seen.since);
    return Math.min(wallMs, monotonicMs) >= leaseMs;
  }

  async #claim(
    { sequence, term, released }: Pick<LeaseRecord, 'sequence' | 'term' | 'released'>,
    options: CallOptions,
  ): Promise<boolean> {
    const { store, lease, holder, name, leaseMs } = this.#options;
    if (this.#asked?.sequence !== sequence) this.#asked = { sequence, since: this.#mark() };
    const { since } = this.#asked;
    const writtenAt = new Date(since.wallMs).toISOString();
    const version = 1 as const;
    const record = { version, sequence, term, holder, name, leaseMs, released, writtenAt };
    const key = leaseKey(lease, sequence);
    if ((await putOnce(store, key, JSON.stringify(record), options)) === 'lost') return false;
    // Had others gone on, and removed what they left behind, the number would be free a second time.
    const newest = await readLease(store, lease, options);
    if (newest?.sequence !== sequence) return false;
    this.#held = { record, since };
    await this.#removeOlder(key, options);
    return this.isHeld;
  }

  /** What is left is removed the next time. */
  async #removeOlder(key: string, options: CallOptions): Promise<void> {
    const { store, lease } = this.#options;
    for await (const page of store.list(leasePrefix(lease), { ...options, startAfter: key })) {
      await store.delete(page.map((entry) => entry.key));
    }
  }

  #lose(): false {
    this.#held = undefined;
    return false;
  }

  #mark(): Mark {
    const { clock } = this.#options;
    return { wallMs: clock.now(), monotonicMs: clock.monotonicMs() };
  }

  #elapsed(since: Mark): Mark {
    const now = this.#mark();
    return {
      wallMs: now.wallMs - since.wallMs,
      monotonicMs: now.monotonicMs - since.monotonicMs,
    };
  }
}

/** The newest object of a lease, `undefined` when there is none. Throws what the store throws. */
export async function readLease(
  store: ObjectStore,
  lease: string,
  options: CallOptions = {},
): Promise<LeaseRecord | undefined> {
  for (let read = 0; read < leaseReadsMax; read += 1) {
    const key = await firstKey(store, leasePrefix(lease), options);
    if (key === undefined) return undefined;
    const bytes = await store.get(key, options);
    if (bytes !== undefined) return parseLease(key, new TextDecoder().decode(bytes));
    // It was renewed, and this one removed: the newest has another key by now.
  }
  const message = `Cannot read the lease "${lease}": it changed ${leaseReadsMax} times meanwhile`;
  throw new TidemarkError('OBJECT_STORE', message, { retryable: true });
}
