/** Checks bearer tokens (RFC 6750, section 2.1). */
import { describe, expect, it } from 'vitest';
import { authorize, readAccess } from '../../edge/authorize.ts';

const access = readAccess({
  TIDEMARK_TENANT: 'default',
  TIDEMARK_TOKENS: 'shop=abc, shop=def ,other=x=y==',
});

describe('authorize()', () => {
  it('authorize() gives the default tenant when there are no tokens', () => {
    const open = readAccess({ TIDEMARK_TENANT: 'acme', TIDEMARK_TOKENS: '' });
    expect(authorize(null, open)).toBe('acme');
    expect(authorize('Bearer whatever', open)).toBe('acme');
  });

  it.each([
    ['Bearer abc', 'shop'],
    ['bearer  def ', 'shop'],
    ['Bearer x=y==', 'other'],
  ])('authorize() takes "%s" for %s', (header, tenant) => {
    expect(authorize(header, access)).toBe(tenant);
  });

  it.each([
    null,
    '',
    'Bearer',
    'Bearer ',
    'abc',
    'Basic abc',
    'Bearer ab',
    'Bearer abcd',
    'Bearer ABC',
    'Bearer abc def',
    `Bearer ${'a'.repeat(100_000)}`,
    'Bearer abc\0',
  ])('row 50: authorize() refuses %o, and does not name it', (header) => {
    expect(() => authorize(header, access)).toThrow(
      expect.objectContaining({
        code: 'UNAUTHENTICATED',
        message: expect.not.stringContaining('abc'),
      }),
    );
  });
});

describe('readAccess()', () => {
  it.each(['token', '=token', 'Shop=token', 'shop=', `shop=${'a'.repeat(256)}`, 'a/b=c'])(
    'readAccess() refuses TIDEMARK_TOKENS "%s"',
    (tokens) => {
      expect(() => readAccess({ TIDEMARK_TENANT: 'default', TIDEMARK_TOKENS: tokens })).toThrow(
        expect.objectContaining({ code: 'BAD_SETTING', setting: 'TIDEMARK_TOKENS' }),
      );
    },
  );

  it('readAccess() refuses a tenant that keys cannot carry', () => {
    expect(() => readAccess({ TIDEMARK_TENANT: 'a+b', TIDEMARK_TOKENS: '' })).toThrow(
      expect.objectContaining({ setting: 'TIDEMARK_TENANT' }),
    );
  });
});
