/** Checks rate limits on the real binding in workerd, and quotas by arithmetic. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { Limits } from '../../../edge/tenant/limit.ts';
import type { RateLimiters } from '../../../edge/tenant/limit.ts';
import type { Grant } from '../../../edge/tenant/authorize.ts';
import type { KeyRecord } from '../../../schemas/key.ts';
import { quotaRetrySecondsMax, quotasMax } from '../../../schemas/limits.ts';
import { testKey } from '../key.ts';

function limitsOf(limiters: RateLimiters, bytesPerMinute = 0, itemsPerMinute = 0) {
  const clock = { nowMs: 0 };
  const warnings: string[] = [];
  const settings = {
    TIDEMARK_TENANT_BYTES_PER_MINUTE: bytesPerMinute,
    TIDEMARK_TENANT_ITEMS_PER_MINUTE: itemsPerMinute,
  };
  const warn = (message: string) => void warnings.push(message);
  const limits = new Limits(settings, limiters, { now: () => clock.nowMs, warn });
  return { limits, clock, warnings };
}

async function grantOf(index: number, tenant: string, fields: Partial<KeyRecord> = {}) {
  const { id, record } = await testKey(index, tenant, fields);
  return { tenantId: tenant, key: { id, record } } satisfies Grant;
}

/** A limiter that allows `count` calls for each key. */
function countdown(count: number) {
  const used = new Map<string, number>();
  return {
    used,
    limit: ({ key }: { key: string }) => {
      used.set(key, (used.get(key) ?? 0) + 1);
      return Promise.resolve({ success: (used.get(key) ?? 0) <= count });
    },
  };
}

describe('Limits.admit() requests', () => {
  it('admit() refuses what the binding of wrangler.toml refuses, and tells when to come back', async () => {
    const { limits } = limitsOf({ low: env.RATE_LIMIT_LOW });
    const grant = await grantOf(7, 'shop', { rate: 'low' });
    let admitted = 0;
    const all = async () => {
      for (; admitted < 500; admitted += 1) await limits.admit(grant);
    };
    await expect(all()).rejects.toMatchObject({
      code: 'THROTTLED',
      retryable: true,
      retryAfterSeconds: 10,
    });
    // The binding counts in fixed windows: a test that runs across two of them sees up to twice.
    expect(admitted).toBeGreaterThanOrEqual(100);
    expect(admitted).toBeLessThanOrEqual(200);
    await limits.admit(await grantOf(8, 'shop', { rate: 'low' }));
  });

  it('admit() counts keys by tenant, and one with a rate of its own alone', async () => {
    const [standard, high] = [countdown(2), countdown(9)];
    const { limits } = limitsOf({ standard, high });
    await limits.admit(await grantOf(1, 'shop'));
    await limits.admit(await grantOf(2, 'shop'));
    await expect(limits.admit(await grantOf(1, 'shop'))).rejects.toMatchObject({
      code: 'THROTTLED',
    });
    await limits.admit(await grantOf(3, 'other'));
    const own = await grantOf(4, 'shop', { rate: 'high' });
    await limits.admit(own);
    expect([...standard.used.keys()]).toEqual(['tenant:shop', 'tenant:other']);
    expect([...high.used.keys()]).toEqual([`key:${own.key.id}`]);
  });

  it('admit() has no limit for class none, without a binding, and without a key', async () => {
    const standard = countdown(0);
    const { limits } = limitsOf({ standard });
    await limits.admit(await grantOf(1, 'shop', { rate: 'none' }));
    await limits.admit(await grantOf(1, 'shop', { rate: 'low' }));
    await limits.admit({ tenantId: 'shop', key: undefined });
    expect(standard.used.size).toBe(0);
  });

  it('admit() admits and warns when the binding fails', async () => {
    const { limits, warnings } = limitsOf({
      standard: { limit: () => Promise.reject(new Error('down')) },
    });
    await limits.admit(await grantOf(1, 'shop'));
    expect(warnings).toHaveLength(1);
  });
});

describe('Limits.charge()', () => {
  it('charge() lets a tenant use a minute at once, and then what flows back', async () => {
    const { limits, clock } = limitsOf({}, 6000);
    const grant = await grantOf(1, 'shop');
    await limits.admit(grant);
    limits.charge(grant, { bytes: 5999, items: 1_000_000 });
    await limits.admit(await grantOf(2, 'shop'));
    // 101 bytes more than there are: at 100 bytes a second that is 1 s, and a byte more.
    limits.charge(grant, { bytes: 102, items: 0 });
    await expect(limits.admit(await grantOf(2, 'shop'))).rejects.toMatchObject({
      code: 'THROTTLED',
      retryAfterSeconds: 2,
      message: expect.stringContaining('6000 bytes a minute'),
    });
    await limits.admit(await grantOf(3, 'other'));
    clock.nowMs = 1010;
    await expect(limits.admit(grant)).rejects.toMatchObject({ retryAfterSeconds: 1 });
    clock.nowMs = 1020;
    await limits.admit(grant);
    clock.nowMs = 10_000_000;
    limits.charge(grant, { bytes: 6000, items: 0 });
    await expect(limits.admit(grant), 'no more than a minute is kept').rejects.toBeDefined();
  });

  it('charge() counts a key with a quota of its own alone', async () => {
    const { limits } = limitsOf({}, 0, 10);
    const own = await grantOf(1, 'shop', { itemsPerMinute: 100 });
    limits.charge(own, { bytes: 0, items: 50 });
    await limits.admit(own);
    const shared = await grantOf(2, 'shop');
    await limits.admit(shared);
    limits.charge(shared, { bytes: 0, items: 10 });
    await expect(limits.admit(shared)).rejects.toMatchObject({ retryAfterSeconds: 1 });
    await limits.admit(own);
    limits.charge(own, { bytes: 0, items: 1_000_000 });
    await expect(limits.admit(own)).rejects.toMatchObject({
      retryAfterSeconds: quotaRetrySecondsMax,
    });
  });

  it('charge() survives a clock that goes back, and counts a bounded number of senders', async () => {
    const { limits, clock } = limitsOf({}, 100);
    clock.nowMs = 60_000;
    const first = { tenantId: 'first', key: undefined };
    limits.charge(first, { bytes: 150, items: 0 });
    clock.nowMs = 0;
    await expect(limits.admit(first)).rejects.toMatchObject({ code: 'THROTTLED' });
    for (let index = 0; index < quotasMax; index += 1) {
      limits.charge({ tenantId: `t${index}`, key: undefined }, { bytes: 1, items: 0 });
    }
    await limits.admit(first);
  });
});
