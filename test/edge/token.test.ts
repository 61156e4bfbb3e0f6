/** Checks tokens of groups against values made with another SHA-256 (Python's hashlib). */
import { describe, expect, it } from 'vitest';
import { tokenOf } from '../../edge/token.ts';

const part = (digest: string) => ({ digest });
const [first, second] = ['0123456789abcdef0123456789abcdef', 'fedcba9876543210fedcba9876543210'];

describe('tokenOf()', () => {
  it('tokenOf() is the digest of a batch that is one request', async () => {
    expect(await tokenOf([part(first)])).toBe(first);
  });

  it("tokenOf() is half of the SHA-256 of a group's digests, a line each", async () => {
    expect(await tokenOf([part(first), part(second)])).toBe('2f4eae3c4002c9d2441afddd6b4181c6');
    expect(await tokenOf([part(`${first}+${second}`)])).toBe('48a1eeb2f67cc667f7a52ce7c8eb7984');
  });

  it('tokenOf() differs by order and by the share of the parts', async () => {
    const tokens = await Promise.all([
      tokenOf([part(first), part(second)]),
      tokenOf([part(second), part(first)]),
      tokenOf([part(`${first}+${second}`)]),
      tokenOf([part(first)]),
    ]);
    expect(new Set(tokens).size).toBe(tokens.length);
  });
});
