/** Checks the bundle that the embedded stack runs; what it does is tested through the stack. */
import { describe, expect, it } from 'vitest';
import { bundleEdge } from '../../dev/bundle.ts';

describe('bundleEdge()', () => {
  it('bundleEdge() gives one script with the Worker and its object, and valid WebAssembly', async () => {
    const { modules } = await bundleEdge();
    const [script, ...wasm] = modules;
    expect(script?.type).toBe('ESModule');
    const text = String(script?.contents);
    expect(text).toMatch(
      /export \{[^}]*\bGroup\b[^}]*as default|export \{[^}]*as default[^}]*\bGroup\b/,
    );
    for (const [specifier] of text.matchAll(/(?<=^import .* from ")[^"]+/gm)) {
      expect(specifier).toMatch(/^(node:|cloudflare:|\.\/[a-z]+\.wasm$)/);
    }
    expect(wasm.map(({ path }) => path.split('/').at(-1)).toSorted()).toEqual([
      'encode.wasm',
      'transcode.wasm',
    ]);
    for (const { contents } of wasm) {
      expect(() => new WebAssembly.Module(Buffer.from(contents))).not.toThrow();
    }
  });
});
