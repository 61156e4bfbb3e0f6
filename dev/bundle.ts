/**
 * Bundles the Worker for the embedded stack, as `wrangler deploy` does for Cloudflare: one script,
 * and the WebAssembly modules beside it. It writes nothing.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

/** A module for Miniflare. */
export type BundledModule =
  | { readonly type: 'ESModule'; readonly path: string; readonly contents: string }
  | { readonly type: 'CompiledWasm'; readonly path: string; readonly contents: Uint8Array };

const root = path.join(import.meta.dirname, '..');
const built = path.join(root, 'aggregator-as/build');

/** The modules of the Worker, its own first. Paths lie in the root of the checkout. */
export async function bundleEdge(): Promise<{ modules: BundledModule[] }> {
  const wasm: string[] = [];
  const { outputFiles } = await build({
    entryPoints: [path.join(root, 'edge/index.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'esnext',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['workerd', 'worker', 'browser', 'import'],
    external: ['node:*', 'cloudflare:*'],
    plugins: [
      {
        name: 'wasm',
        setup(builder) {
          builder.onResolve({ filter: /\.wasm$/ }, ({ path: name }) => {
            wasm.push(path.basename(name));
            return { path: `./${path.basename(name)}`, external: true };
          });
        },
      },
    ],
  });
  const script = outputFiles[0]?.text ?? '';
  return {
    modules: [
      { type: 'ESModule', path: path.join(root, 'edge.js'), contents: script },
      ...[...new Set(wasm)].map((name) => ({
        type: 'CompiledWasm' as const,
        path: path.join(root, name),
        contents: readFileSync(path.join(built, name)),
      })),
    ],
  };
}
