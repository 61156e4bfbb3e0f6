import { describe, expect, it } from 'vitest';
import { fromBase64 } from '../../../workers/gateway/base64.ts';

describe('fromBase64()', () => {
  // RFC 4648, section 10.
  it.each([
    ['', ''],
    ['Zg==', 'f'],
    ['Zm8=', 'fo'],
    ['Zm9v', 'foo'],
    ['Zm9vYg==', 'foob'],
    ['Zm9vYmE=', 'fooba'],
    ['Zm9vYmFy', 'foobar'],
  ])('decodes %j to %j', (text, decoded) => {
    expect(fromBase64(text)?.toString()).toBe(decoded);
  });

  it.each([
    '*',
    'Zg',
    'Zg=',
    'Z===',
    '====',
    'Zg==Zg==',
    'Zm9v\n',
    'Zm 9',
    'Z-_8',
    'Zm=v',
    'Zm9vY',
  ])('refuses %j', (text) => {
    expect(fromBase64(text)).toBeUndefined();
  });

  it('gives all byte values back', () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    expect(fromBase64(btoa(String.fromCharCode(...bytes)))).toEqual(bytes);
  });
});
