/** Compiles AssemblyScript for tests, straight from the sources, as the programs' modules are. */
import { createMemoryStream, main } from 'assemblyscript/asc';

const options = '-O3 --converge --runtime stub --noAssert --enable simd --use abort='.split(' ');

/** The exports of `entry` (a path from the project's root), compiled with its own exports. */
export async function compileAssembly(entry: string): Promise<WebAssembly.Exports> {
  return (await WebAssembly.instantiate(await compileModule(entry))).exports;
}

/** The module of `entry`, a path from the project's root. */
export async function compileModule(entry: string): Promise<WebAssembly.Module> {
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const messages: string[] = [];
  const { error } = await main([entry, '--outFile', 'out.wasm', ...options], {
    stderr: createMemoryStream((chunk) => messages.push(String(chunk))),
    writeFile(_name, contents) {
      if (typeof contents !== 'string') binary = new Uint8Array(contents);
    },
  });
  if (error !== null || binary === undefined) throw new Error(messages.join(''), { cause: error });
  return await WebAssembly.compile(binary);
}
