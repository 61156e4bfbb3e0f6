/** Compiles one AssemblyScript file for a test, with its own exports, and instantiates it. */
import { createMemoryStream, main } from 'assemblyscript/asc';

/** The exports of `entry` (a path from the project's root), compiled as the programs' are. */
export async function compileAssembly(entry: string): Promise<WebAssembly.Exports> {
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const messages: string[] = [];
  const options = ['--outFile', 'out.wasm', '-O3', '--runtime', 'stub', '--noAssert'];
  const { error } = await main([entry, ...options], {
    stderr: createMemoryStream((chunk) => messages.push(String(chunk))),
    writeFile(_name, contents) {
      if (typeof contents !== 'string') binary = new Uint8Array(contents);
    },
  });
  if (error !== null || binary === undefined) throw new Error(messages.join(''), { cause: error });
  const instance = await WebAssembly.instantiate(await WebAssembly.compile(binary));
  return instance.exports;
}
