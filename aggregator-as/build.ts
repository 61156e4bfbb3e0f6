/**
 * Builds the WebAssembly modules from `assembly/`: one `.wasm` in `build/` for each entry there.
 * Skips an entry whose sources, options and compiler are those of its last build; it never
 * touches anything outside `build/`.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createMemoryStream, main, version } from 'assemblyscript/asc';

const here = fileURLToPath(new URL('.', import.meta.url));
const sources = join(here, 'assembly');
const output = join(here, 'build');

/** The modules' names: `assembly/<entry>.ts` becomes `build/<entry>.wasm`. */
const entries = ['transcode', 'aggregate', 'merge', 'aggregatelogs', 'aggregatepoints', 'encode'];

const options = [
  '--runtime=stub',
  '--optimizeLevel=3',
  '--shrinkLevel=0',
  '--converge',
  '--noAssert',
  '--enable=simd',
  '--use=abort=',
  // The modules are for 32-bit memories: addresses are kept as u32 on purpose.
  '--disableWarning=201',
];

/**
 * Builds every entry that exists and is out of date. Throws an Error with the compiler's messages
 * when it refuses the sources.
 */
export async function build(log: (line: string) => void): Promise<void> {
  mkdirSync(output, { recursive: true });
  for (const entry of entries) {
    if (!existsSync(join(sources, `${entry}.ts`))) continue;
    const hash = hashSources(entry);
    if (isFresh(entry, hash)) continue;
    const startMs = performance.now();
    await compile(entry);
    writeFileSync(join(output, `${entry}.hash`), hash);
    log(`built ${entry}.wasm in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  }
}

function isFresh(entry: string, hash: string): boolean {
  const hashFile = join(output, `${entry}.hash`);
  if (!existsSync(join(output, `${entry}.wasm`)) || !existsSync(hashFile)) return false;
  return readFileSync(hashFile, 'utf8') === hash;
}

/** Hash of the compiler's version, the options, and every file that the entry imports. */
function hashSources(entry: string): string {
  const hash = createHash('sha256').update(version).update(options.join('\n'));
  for (const name of importsOf(entry).toSorted()) {
    hash.update(`\n${name}\n`).update(readSource(name));
  }
  return hash.digest('hex');
}

function importsOf(entry: string): string[] {
  const names = new Set([entry]);
  for (const name of names) {
    for (const match of readSource(name).matchAll(/from '(\.\.?\/[a-z0-9./]+)'/g)) {
      if (match[1]) names.add(posix.join(posix.dirname(name), match[1]));
    }
  }
  return [...names];
}

function readSource(name: string): string {
  return readFileSync(join(sources, `${name}.ts`), 'utf8');
}

/** Compiles into memory first, so that a failed or concurrent build leaves no half-written file. */
async function compile(entry: string): Promise<void> {
  let wasm: Uint8Array | undefined;
  const stderr = createMemoryStream();
  const paths = [`${entry}.ts`, '--baseDir', sources, '--outFile', `${entry}.wasm`];
  const result = await main([...paths, ...options], {
    stderr,
    writeFile: (_name, contents) => {
      if (contents instanceof Uint8Array) wasm = contents;
    },
  });
  if (result.error || !wasm) {
    throw new Error(`Cannot compile ${entry}.ts: ${stderr.toString()}`, {
      cause: result.error,
    });
  }
  const temporary = join(output, `${entry}.wasm.${process.pid}`);
  writeFileSync(temporary, wasm);
  renameSync(temporary, join(output, `${entry}.wasm`));
}

if (import.meta.main) {
  await build((line) => process.stdout.write(`${line}\n`));
}
