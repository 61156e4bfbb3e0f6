/** Checks in workerd what it does with the bytes of a body. */
import { expect, it, vi } from 'vitest';
import { lendBody } from '../../edge/base64.ts';
import { CopyCheck } from '../../edge/copying.ts';
import { lentBytesMax } from '../../schemas/limits.ts';

it('CopyCheck says that this runtime copies bodies, once it has seen it', async () => {
  const check = new CopyCheck();
  expect(check.copies()).toBe(false);
  await vi.waitFor(() => expect(check.copies()).toBe(true));
});

it('and it does, of any size and from the memory that is lent', async () => {
  for (const size of [1, 1000, 300_000, lentBytesMax]) {
    const bytes = lendBody(size)?.fill(7);
    if (!bytes) throw new Error('nothing was lent');
    const request = new Request('http://localhost/', { method: 'POST', body: bytes });
    bytes.fill(8);
    const seen = new Uint8Array(await request.arrayBuffer());
    expect(seen.length).toBe(size);
    expect(seen.every((byte) => byte === 7)).toBe(true);
  }
  expect(lendBody(lentBytesMax + 1)).toBeUndefined();
});
