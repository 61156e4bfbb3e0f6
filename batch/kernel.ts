/** Loads a signal's WebAssembly kernel, and names the code that figures come from. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import manifest from '../package.json' with { type: 'json' };

export interface Kernel {
  readonly module: WebAssembly.Module;
  /** Of the package, and of the kernel that this checkout was built with. */
  readonly codeVersion: string;
}

/** The kernel of `SignalBatch.kernel`. Throws when this checkout was not built. */
export async function loadKernel(name: string): Promise<Kernel> {
  const url = new URL(`../aggregator-as/build/${name}.wasm`, import.meta.url);
  const bytes = await readFile(url);
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 8);
  const module = await WebAssembly.compile(bytes);
  return { module, codeVersion: `${manifest.version}+${hash}` };
}
