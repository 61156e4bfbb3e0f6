/** Checks tokens against values made with another SHA-256 (Python's hashlib). */
import { describe, expect, it } from 'vitest';
import { tokenOf } from '../../edge/token.ts';

const part = (tenantId: string, ...bytes: number[]) => ({
  parts: { tenantId },
  otlp: Uint8Array.from(bytes),
});

describe('tokenOf()', () => {
  it('tokenOf() is half of the SHA-256 of signal, tenants and digests', async () => {
    expect(await tokenOf('traces', [part('acme', 1, 2, 3)])).toBe(
      '990d5d57a03fa928bddb439175e2bbaf',
    );
    expect(await tokenOf('logs', [part('acme', 1, 2, 3), part('beta')])).toBe(
      '00a9f38d2d2429ee1e1d3472d7575913',
    );
  });

  it('tokenOf() differs by signal, tenant, bytes and their share of the parts', async () => {
    const tokens = await Promise.all([
      tokenOf('traces', [part('acme', 1, 2)]),
      tokenOf('logs', [part('acme', 1, 2)]),
      tokenOf('traces', [part('beta', 1, 2)]),
      tokenOf('traces', [part('acme', 1, 3)]),
      tokenOf('traces', [part('acme', 1), part('acme', 2)]),
      tokenOf('traces', [part('acme', 2), part('acme', 1)]),
    ]);
    expect(new Set(tokens).size).toBe(tokens.length);
  });
});
