/** Reads Parquet files with Apache Arrow (`arrow.py`), in the normal form of `archived.ts`. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Signal } from '../../schemas/archive.ts';
import { withDoubles } from './archived.ts';
import type { ArchiveRow } from './archived.ts';

const run = promisify(execFile);
const script = path.join(import.meta.dirname, 'arrow.py');

/** Rows of each file, in order, by the Python at `python`. Throws what Arrow finds wrong. */
export async function arrowRows(
  python: string,
  paths: readonly string[],
  signal: Signal,
): Promise<ArchiveRow[][]> {
  const { stdout } = await run(python, [script, ...paths], { maxBuffer: 2 ** 28 });
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as ArchiveRow[]).map((row) => withDoubles(row, signal)));
}
