/**
 * Bundles the dashboard of `edge/dashboard` into `edge/public`, from where the Worker serves it.
 * Writes nothing when the bundle is what it was.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

const edge = path.join(import.meta.dirname, '../edge');

/** Writes `app.js` and `app.css`. Throws esbuild's error when a source cannot be read. */
export async function bundleDashboard(): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: ['app.ts', 'app.css'].map((name) => path.join(edge, 'dashboard', name)),
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    target: 'es2022',
    outdir: path.join(edge, 'public'),
    logLevel: 'error',
  });
  for (const { path: file, text } of outputFiles) {
    if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
    writeFileSync(file, text);
  }
}

if (import.meta.main) await bundleDashboard();
