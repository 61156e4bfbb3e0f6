/**
 * Holds senders to their limits: requests a second by the Workers rate-limiting bindings, bytes
 * and items a minute by counts of this isolate. It never waits, and never cuts a request in two.
 */
import { ThrottleError } from '../../schemas/errors.ts';
import type { RateClass } from '../../schemas/key.ts';
import { quotaRetrySecondsMax, quotasMax, ratePeriodSeconds } from '../../schemas/limits.ts';
import type { Settings } from '../../schemas/settings.ts';
import type { Grant } from './authorize.ts';

/** The Workers rate-limiting binding. */
export interface RateLimiter {
  limit(options: { key: string }): Promise<{ success: boolean }>;
}

/** One binding for each class that has a limit; a class without a binding has none. */
export type RateLimiters = Readonly<Partial<Record<RateClass, RateLimiter | undefined>>>;

export interface LimitTools {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly warn: (message: string) => void;
}

type LimitSettings = Pick<
  Settings,
  'TIDEMARK_TENANT_BYTES_PER_MINUTE' | 'TIDEMARK_TENANT_ITEMS_PER_MINUTE'
>;

/** What a request has used. */
export interface Usage {
  /** Bytes of its inflated body. */
  readonly bytes: number;
  /** Its items, invalid ones included. */
  readonly items: number;
}

interface Quota {
  /** Whose use counts: a key's with a quota of its own, or that of all other keys of a tenant. */
  readonly scope: string;
  readonly perMinute: number;
}

/** A bucket that holds a minute's worth and refills evenly; a large request leaves it in debt. */
interface Bucket {
  level: number;
  filledMs: number;
}

/** The limits of all senders, as far as one isolate sees them. */
export class Limits {
  readonly #settings: LimitSettings;
  readonly #limiters: RateLimiters;
  readonly #tools: LimitTools;
  readonly #buckets = new Map<string, Bucket>();

  constructor(settings: LimitSettings, limiters: RateLimiters, tools: LimitTools) {
    this.#settings = settings;
    this.#limiters = limiters;
    this.#tools = tools;
  }

  /** Throws ThrottleError when the sender has no room for one more request. */
  async admit(grant: Grant): Promise<void> {
    for (const [unit, quota] of this.#quotas(grant)) {
      const { level } = this.#bucket(unit, quota);
      if (level <= 0) throw overQuota(unit, quota, level);
    }
    if (grant.key !== undefined) await this.#admitRate(grant.tenantId, grant.key);
  }

  /**
   * Counts what an admitted request turned out to hold. It is served whole, and what it used too
   * much is taken from the minutes after it.
   */
  charge(grant: Grant, usage: Usage): void {
    for (const [unit, quota] of this.#quotas(grant)) this.#bucket(unit, quota).level -= usage[unit];
  }

  /** A limiter that fails limits nobody: it guards the sinks, and they have guards of their own. */
  async #admitRate(tenantId: string, key: NonNullable<Grant['key']>): Promise<void> {
    const { rate } = key.record;
    const limiter = this.#limiters[rate ?? 'standard'];
    if (limiter === undefined) return;
    const scope = rate === undefined ? `tenant:${tenantId}` : `key:${key.id}`;
    const success = await limiter.limit({ key: scope }).then(
      (outcome) => outcome.success,
      () => {
        this.#tools.warn('Cannot ask the rate limiter: the request is taken without it');
        return true;
      },
    );
    if (success) return;
    throw new ThrottleError(
      `Cannot accept the request: too many in the last ${ratePeriodSeconds} s, send it later`,
      ratePeriodSeconds,
    );
  }

  #quotas({ tenantId, key }: Grant): [keyof Usage, Quota][] {
    const record = key?.record;
    const quota = (own: number | undefined, shared: number): Quota =>
      own !== undefined && key !== undefined
        ? { scope: `key:${key.id}`, perMinute: own }
        : { scope: `tenant:${tenantId}`, perMinute: shared };
    const { TIDEMARK_TENANT_BYTES_PER_MINUTE, TIDEMARK_TENANT_ITEMS_PER_MINUTE } = this.#settings;
    const all: [keyof Usage, Quota][] = [
      ['bytes', quota(record?.bytesPerMinute, TIDEMARK_TENANT_BYTES_PER_MINUTE)],
      ['items', quota(record?.itemsPerMinute, TIDEMARK_TENANT_ITEMS_PER_MINUTE)],
    ];
    return all.filter(([, { perMinute }]) => perMinute > 0);
  }

  /** The bucket of a quota as it is now, made full when it is new. */
  #bucket(unit: keyof Usage, { scope, perMinute }: Quota): Bucket {
    const name = `${unit}:${scope}`;
    const nowMs = this.#tools.now();
    const bucket = this.#buckets.get(name) ?? { level: perMinute, filledMs: nowMs };
    const refill = (Math.max(0, nowMs - bucket.filledMs) * perMinute) / 60_000;
    bucket.level = Math.min(perMinute, bucket.level + refill);
    bucket.filledMs = nowMs;
    // The least recently used is first, and is forgotten first: that only ever forgives it a debt.
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= quotasMax) break;
      this.#buckets.delete(oldest);
    }
    return bucket;
  }
}

function overQuota(unit: keyof Usage, { perMinute }: Quota, level: number): ThrottleError {
  // Until the level is above zero again.
  const seconds = Math.floor((-level * 60) / perMinute) + 1;
  return new ThrottleError(
    `Cannot accept the request: more than ${perMinute} ${unit} a minute, send it later`,
    Math.min(seconds, quotaRetrySecondsMax),
  );
}
