/**
 * Reads and writes the Workers KV namespace of API keys with wrangler, as a user's hand would. It
 * knows names and texts, and nothing of keys; it never sees one.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { stripVTControlCharacters } from 'node:util';
import { TidemarkError } from '../schemas/errors.ts';
import { kvGetNamesMax } from '../schemas/limits.ts';

export interface KvTarget {
  /** Environment of wrangler.toml. None is the local namespace. */
  readonly env: string | undefined;
  /** Where the local namespace is kept; the embedded stack's is `<data>/edge`. */
  readonly directory: string | undefined;
}

export interface KvOptions {
  readonly target: KvTarget;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

const root = path.join(import.meta.dirname, '..');
const binding = 'KEYS';

/** Arguments of wrangler that write `value` under `name`. */
export function putArguments(name: string, value: string, target: KvTarget): string[] {
  return ['kv', 'key', 'put', name, value, ...where(target)];
}

/** Writes `value` under `name`. Throws KEY_STORE with wrangler's words when it fails. */
export async function putValue(name: string, value: string, options: KvOptions): Promise<void> {
  await wrangler(putArguments(name, value, options.target), options);
}

/** All names that begin with `prefix`. Throws KEY_STORE. */
export async function listNames(prefix: string, options: KvOptions): Promise<string[]> {
  const args = ['kv', 'key', 'list', '--prefix', prefix, ...where(options.target)];
  const listed = jsonOf(await wrangler(args, options), '[', ']');
  if (!Array.isArray(listed)) throw unreadable();
  return listed.map((entry: { name?: unknown }) => String(entry.name));
}

/** The values under `names`; those that are not there are left out. Throws KEY_STORE. */
export async function getValues(
  names: readonly string[],
  options: KvOptions,
): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  const directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-kv-'));
  try {
    for (let at = 0; at < names.length; at += kvGetNamesMax) {
      const file = path.join(directory, 'names.json');
      await writeFile(file, JSON.stringify(names.slice(at, at + kvGetNamesMax)));
      const args = ['kv', 'bulk', 'get', file, ...where(options.target)];
      const found = jsonOf(await wrangler(args, options), '{', '}');
      if (typeof found !== 'object' || found === null) throw unreadable();
      for (const [name, entry] of Object.entries(found)) {
        const value = valueOf(entry);
        if (value !== undefined) values.set(name, value);
      }
    }
    return values;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function where({ env, directory }: KvTarget): string[] {
  const place =
    env === undefined
      ? ['--local', ...(directory === undefined ? [] : ['--persist-to', directory])]
      : ['--env', env, '--remote'];
  return ['--binding', binding, ...place];
}

/** Runs wrangler to its end and returns what it printed. */
async function wrangler(args: readonly string[], options: KvOptions): Promise<string> {
  // Its program lies beside its main module, whose path is all that it exports.
  const main = createRequire(import.meta.url).resolve('wrangler');
  const child = spawn(
    process.execPath,
    [
      path.join(main, '../../bin/wrangler.js'),
      ...args,
      '--config',
      path.join(root, 'wrangler.toml'),
    ],
    {
      cwd: root,
      env: {
        ...options.environment,
        WRANGLER_SEND_METRICS: 'false',
        WRANGLER_HIDE_BANNER: 'true',
      },
      // It asks nobody: without a login it has to say so.
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: options.signal,
    },
  );
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  if (child.exitCode === 0) return stdout;
  throw new TidemarkError(
    'KEY_STORE',
    `Cannot reach Workers KV through wrangler: ${reasonOf(`${stderr}\n${stdout}`)}`,
  );
}

/** The first line in which wrangler names an error. */
function reasonOf(output: string): string {
  const lines = stripVTControlCharacters(output)
    .split('\n')
    .map((line) => line.trim());
  const error = lines.find((line) => line.includes('ERROR')) ?? lines.find((line) => line !== '');
  return error?.replace(/^.*\[ERROR\]\s*/, '') ?? 'it gave no reason';
}

/** The JSON that wrangler has printed, with whatever words around it. */
function jsonOf(output: string, open: string, close: string): unknown {
  try {
    return JSON.parse(output.slice(output.indexOf(open), output.lastIndexOf(close) + 1));
  } catch {
    return undefined;
  }
}

/** Values come bare or, with metadata, as objects. */
function valueOf(entry: unknown): string | undefined {
  if (typeof entry === 'string') return entry;
  if (typeof entry !== 'object' || entry === null || !('value' in entry)) return undefined;
  return typeof entry.value === 'string' ? entry.value : undefined;
}

function unreadable(): TidemarkError {
  return new TidemarkError('KEY_STORE', 'Cannot read what wrangler printed of Workers KV');
}
