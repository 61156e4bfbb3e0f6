/** Checks API keys: how they are shown (RFC 6750, RFC 7617) and what a record allows. */
import { describe, expect, it } from 'vitest';
import { authorize, presentedKey, readAccess } from '../../../edge/tenant/authorize.ts';
import type { Wanted } from '../../../edge/tenant/authorize.ts';
import type { KeyRecord } from '../../../schemas/key.ts';
import { keySettings, testKey } from '../key.ts';
import type { TestKey } from '../key.ts';
import { nowMs } from '../stack.ts';

const tools = {
  now: () => nowMs,
  timeout: (ms: number) => AbortSignal.timeout(ms),
  warn: () => undefined,
};
const traces: Wanted = { what: 'traces' };
const shop = await testKey(1, 'shop');
const other = await testKey(2, 'other');

/** Access by these keys alone. */
function accessOf(...keys: TestKey[]) {
  const texts = keySettings(...keys);
  const settings = { TIDEMARK_AUTH: 'keys', TIDEMARK_TENANT: 'default', TIDEMARK_KEYS: '' };
  return readAccess({ ...settings, ...texts }, undefined, tools);
}

function request(headers: Record<string, string> = {}, url = 'https://edge.example/v1/traces') {
  return new Request(url, { method: 'POST', headers });
}

function bearer({ key }: TestKey) {
  return { authorization: `Bearer ${key}` };
}

describe('presentedKey()', () => {
  it.each([
    [{ authorization: 'Bearer abc' }, 'abc'],
    [{ authorization: 'bearer  abc ' }, 'abc'],
    [{ 'x-api-key': ' abc' }, 'abc'],
    [{ authorization: `Basic ${btoa('someone:abc')}` }, 'abc'],
    [{ authorization: `basic ${btoa(':a:b')}` }, 'a:b'],
    [{ authorization: `Basic ${btoa('abc')}` }, 'abc'],
    [{ authorization: 'Basic %%%' }, ''],
    [{ authorization: 'Bearer' }, ''],
    [{ authorization: 'Bearer abc def' }, ''],
    [{ authorization: 'Digest abc' }, ''],
    [{ authorization: 'Bearer abc', 'x-api-key': 'def' }, 'def'],
    [{ authorization: 'Bearer abc', 'x-api-key': '' }, ''],
    [{}, ''],
  ])('presentedKey() reads %j as "%s"', (headers, key) => {
    expect(presentedKey(new Headers(headers as Record<string, string>))).toBe(key);
  });
});

describe('authorize() with keys', () => {
  const access = accessOf(shop, other);

  it.each([
    bearer(shop),
    { 'x-api-key': shop.key },
    { authorization: `Basic ${btoa(`any:${shop.key}`)}` },
  ])('authorize() takes the key in %j', async (headers) => {
    const grant = await authorize(request(headers), traces, access);
    expect(grant).toEqual({ tenantId: 'shop', key: { id: shop.id, record: shop.record } });
  });

  const secret = shop.key.slice(-48);
  it.each([
    ['nothing', ''],
    ['no key', 'abc'],
    ['an id without its secret', `tm_${shop.id}_`],
    ['a secret that is too short', shop.key.slice(0, -1)],
    ['a secret that is too long', `${shop.key}0`],
    ['capitals', shop.key.toUpperCase()],
    ['a wrong secret', `tm_${shop.id}_${'0'.repeat(48)}`],
    ['an unknown id', `tm_${'0'.repeat(16)}_${secret}`],
    ["another key's secret", `tm_${shop.id}_${other.key.slice(-48)}`],
    ["another key's id", `tm_${other.id}_${secret}`],
    ['a very long text', 'tm_'.repeat(30_000)],
  ])('row 50: authorize() refuses %s with one and the same message', async (_what, key) => {
    const error = {
      code: 'UNAUTHENTICATED',
      message:
        'Cannot accept the request: it has no valid API key; `tidemark key create` makes one',
    };
    await expect(authorize(request({ 'x-api-key': key }), traces, access)).rejects.toMatchObject(
      error,
    );
  });

  it('authorize() hashes and compares whether or not the id is known', async () => {
    const compare = crypto.subtle.timingSafeEqual.bind(crypto.subtle);
    const lengths: number[][] = [];
    crypto.subtle.timingSafeEqual = (a, b) => {
      lengths.push([a.byteLength, b.byteLength]);
      return compare(a, b);
    };
    try {
      for (const key of ['', `tm_${'0'.repeat(16)}_${secret}`, `tm_${shop.id}_${'0'.repeat(48)}`]) {
        await authorize(request({ 'x-api-key': key }), traces, access).catch(() => undefined);
      }
    } finally {
      crypto.subtle.timingSafeEqual = compare;
    }
    expect(lengths).toEqual([
      [64, 64],
      [64, 64],
      [64, 64],
    ]);
  });

  it.each<[string, Partial<KeyRecord>, string]>([
    ['revoked', { revoked: '2026-11-20T00:00:00.000Z' }, 'was revoked'],
    ['expired', { expires: new Date(nowMs).toISOString() }, 'has expired'],
  ])('authorize() refuses a %s key, and says so only to its holder', async (_what, fields, why) => {
    const key = await testKey(3, 'shop', fields);
    const judged = authorize(request(bearer(key)), traces, accessOf(key));
    await expect(judged).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining(why),
    });
    const guess = authorize(
      request({ 'x-api-key': `tm_${key.id}_${'0'.repeat(48)}` }),
      traces,
      accessOf(key),
    );
    await expect(guess).rejects.toMatchObject({ message: expect.not.stringContaining(why) });
  });

  it('authorize() takes a key until its last millisecond', async () => {
    const key = await testKey(3, 'shop', { expires: new Date(nowMs + 1).toISOString() });
    await expect(authorize(request(bearer(key)), traces, accessOf(key))).resolves.toBeDefined();
  });

  it('authorize() holds a key to its tenant, signals and metrics', async () => {
    const key = await testKey(3, 'shop', { signals: ['logs'] });
    const judge = (wanted: Wanted) => authorize(request(bearer(key)), wanted, accessOf(key));
    await expect(judge({ what: 'logs', pathTenant: 'shop' })).resolves.toMatchObject({
      tenantId: 'shop',
    });
    for (const wanted of [
      { what: 'logs', pathTenant: 'other' },
      { what: 'logs', pathTenant: '' },
      { what: 'traces' },
      { what: 'metrics' },
      { what: 'edge' },
    ] as const) {
      await expect(judge(wanted)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    }
    const reader = await testKey(4, 'shop', { signals: [], metrics: true });
    const read = authorize(request(bearer(reader)), { what: 'edge' }, accessOf(reader));
    await expect(read).resolves.toMatchObject({ tenantId: 'shop' });
  });

  it.each([
    ['https://shop.example', true],
    ['https://www.shop.example', true],
    ['https://shop.example.evil', false],
    ['http://shop.example', false],
    ['https://shop.example:8443', false],
    ['null', false],
    [undefined, false],
  ])('authorize() takes a public key from origin %s: %s', async (origin, isTaken) => {
    const origins = ['https://shop.example', 'https://www.shop.example'];
    const key = await testKey(3, 'shop', { origins });
    const headers = origin === undefined ? bearer(key) : { ...bearer(key), origin };
    const judged = authorize(request(headers), traces, accessOf(key));
    if (isTaken) await expect(judged).resolves.toMatchObject({ tenantId: 'shop' });
    else await expect(judged).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });
});

describe('authorize() without keys', () => {
  const settings = { TIDEMARK_AUTH: 'off', TIDEMARK_KEYS: '', TIDEMARK_TENANT: 'acme' };
  const access = readAccess(settings, undefined, tools);

  it.each([
    'http://localhost:8787/',
    'http://127.0.0.1/',
    'http://127.1:1/',
    'http://[::1]:8787/',
    'http://LOCALHOST/',
  ])('authorize() serves %s as the default tenant or that of the path', async (url) => {
    expect(await authorize(request({}, url), traces, access)).toEqual({
      tenantId: 'acme',
      key: undefined,
    });
    const named = await authorize(request({}, url), { ...traces, pathTenant: 'shop' }, access);
    expect(named.tenantId).toBe('shop');
  });

  it.each([
    'https://tidemark-edge.example.workers.dev/',
    'http://localhost.evil.example/',
    'http://127.0.0.1.evil.example/',
    'http://127.evil.example/',
    'http://0.0.0.0/',
    'http://[::]/',
    'http://10.0.0.1/',
  ])('authorize() refuses %s: a deployment without keys serves nobody', async (url) => {
    const headers = bearer(shop);
    await expect(authorize(request(headers, url), traces, access)).rejects.toMatchObject({
      code: 'BAD_SETTING',
      setting: 'TIDEMARK_AUTH',
    });
  });

  it.each(['', 'a/b', '../x', "a'b", 'A', 'ä', 'a+b', 'a'.repeat(64), 'a b', '-a', 'a\0'])(
    'authorize() refuses tenant %j',
    async (pathTenant) => {
      const judged = authorize(request({}, 'http://localhost/'), { ...traces, pathTenant }, access);
      await expect(judged).rejects.toMatchObject({ code: 'FORBIDDEN' });
    },
  );
});

describe('readAccess()', () => {
  const settings = { TIDEMARK_AUTH: 'keys', TIDEMARK_KEYS: '', TIDEMARK_TENANT: 'default' };

  it('readAccess() refuses to serve when no key can exist', () => {
    expect(() => readAccess(settings, undefined, tools)).toThrow(
      expect.objectContaining({ code: 'BAD_SETTING', setting: 'TIDEMARK_KEYS' }),
    );
    const store = { get: () => Promise.resolve(null) };
    expect(readAccess(settings, store, tools).openTenantId).toBeUndefined();
  });

  it('readAccess() refuses a tenant that keys of objects cannot carry', () => {
    const values = { ...settings, TIDEMARK_AUTH: 'off', TIDEMARK_TENANT: 'a+b' };
    expect(() => readAccess(values, undefined, tools)).toThrow(
      expect.objectContaining({ setting: 'TIDEMARK_TENANT' }),
    );
  });
});
