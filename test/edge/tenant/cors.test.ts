/** Checks the CORS headers (Fetch standard, "HTTP responses"). */
import { describe, expect, it } from 'vitest';
import { allowOrigin, preflight, readOrigins } from '../../../edge/tenant/cors.ts';

describe('readOrigins()', () => {
  it('readOrigins() reads a list, and * in it as any', () => {
    expect(readOrigins('*')).toBe('*');
    expect(readOrigins('https://a.example, *')).toBe('*');
    expect(readOrigins('https://a.example/, https://b.example:8080')).toEqual(
      new Set(['https://a.example', 'https://b.example:8080']),
    );
    expect(readOrigins('')).toEqual(new Set());
  });
});

describe('allowOrigin()', () => {
  it('row 52: allowOrigin() names the one origin that asked, or nothing', () => {
    const origins = readOrigins('https://a.example,https://b.example');
    const headers = new Headers();
    allowOrigin(headers, 'https://b.example', origins);
    expect(headers.get('access-control-allow-origin')).toBe('https://b.example');
    expect(headers.get('access-control-expose-headers')).toBe('Retry-After');
    for (const origin of ['https://c.example', 'null', null]) {
      const other = new Headers();
      allowOrigin(other, origin, origins);
      expect([...other]).toEqual([['vary', 'Origin']]);
    }
  });
});

describe('preflight()', () => {
  it('row 10: preflight() is an empty 204 that may be kept', () => {
    const response = preflight('POST');
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-methods')).toBe('POST');
    expect(response.headers.get('access-control-max-age')).toBe('7200');
  });
});
