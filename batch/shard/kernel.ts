/** Loads WebAssembly kernels: a signal's, with the name of the code that figures come from, and the merge's. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { MergeKernel } from '../../aggregator-as/mergekernel.ts';
import manifest from '../../package.json' with { type: 'json' };

export interface Kernel {
  readonly module: WebAssembly.Module;
  /** Of the package, and of the kernels that this checkout was built with. */
  readonly codeVersion: string;
}

/** The kernel of `SignalBatch.kernel`. Throws when this checkout was not built. */
export async function loadKernel(name: string): Promise<Kernel> {
  const [bytes, ofMerge] = await Promise.all([read(name), read('merge')]);
  // Partials that another merge may not understand are not used again.
  const hash = createHash('sha256').update(bytes).update(ofMerge).digest('hex').slice(0, 8);
  const module = await WebAssembly.compile(bytes);
  return { module, codeVersion: `${manifest.version}+${hash}` };
}

let merging: Promise<WebAssembly.Module> | undefined;

/** A kernel for one merge of partials of spans. Throws when this checkout was not built. */
export async function startMergeKernel(): Promise<MergeKernel> {
  merging ??= read('merge').then((bytes) => WebAssembly.compile(bytes));
  return new MergeKernel(await merging);
}

function read(name: string): Promise<Buffer<ArrayBuffer>> {
  return readFile(new URL(`../../aggregator-as/build/${name}.wasm`, import.meta.url));
}
