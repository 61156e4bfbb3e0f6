/**
 * Builds the real programs that tests talk to, from their own sources: with Go the OpenTelemetry
 * Collector (`collector.yaml`), telemetrygen and S3 servers, with pip a Python that has the
 * OpenTelemetry SDK.
 * Builds once for all checkouts of a user, and never starts what it built.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { lockDirectory } from '../../dev/lock.ts';
import type { Lock } from '../../dev/lock.ts';

/** A program that can be started, or the reason why there is none. */
export type Peer = { readonly path: string } | { readonly missing: string };

/** Longest time that a build may take, and that others wait for it: give it to `beforeAll`. */
export const peerBuildMs = 900_000;

const builder = 'go.opentelemetry.io/collector/cmd/builder@v0.155.0';
const generator =
  'github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen@v0.161.0';
const gateway = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';
const unfit = 'github.com/johannesboyne/gofakes3/cmd/gofakes3@v0.0.0-20230506070712-04da935ef877';

/** The OpenTelemetry Collector of `collector.yaml`. Throws in CI when it cannot be built. */
export function collector(): Promise<Peer> {
  const manifest = readFileSync(path.join(import.meta.dirname, 'collector.yaml'), 'utf8');
  return built('otelcol', `${builder}\n${manifest}`, async (directory) => {
    await install(builder, directory);
    for (const name of ['encoding', 'otlpencodingextension']) emptyModule(directory, name);
    const config = path.join(directory, 'collector.yaml');
    writeFileSync(config, manifest.replace(/^dist:\n/m, `$&  output_path: ${directory}\n`));
    await tool(path.join(directory, 'builder'), ['--config', config, '--skip-strict-versioning']);
  });
}

/** A Go module without anything in it, for the `replaces` of the manifest. */
function emptyModule(directory: string, name: string): void {
  const home = path.join(directory, name);
  mkdirSync(home);
  writeFileSync(path.join(home, 'go.mod'), `module ${name}\n\ngo 1.25\n`);
  writeFileSync(path.join(home, 'empty.go'), `package ${name}\n`);
}

/** OpenTelemetry's telemetrygen. Throws in CI when it cannot be built. */
export function telemetrygen(): Promise<Peer> {
  return built('telemetrygen', generator, (directory) => install(generator, directory));
}

/** versitygw, an S3 server of its own make, on a file system. Throws in CI when it cannot be built. */
export function versitygw(): Promise<Peer> {
  return built('versitygw', gateway, (directory) => install(gateway, directory));
}

/** gofakes3 as it was before it knew conditional writes: a store that is unfit for the archive. */
export function gofakes3(): Promise<Peer> {
  return built('gofakes3', unfit, (directory) => install(unfit, directory));
}

const prometheusModule = 'github.com/prometheus/prometheus';
const prometheusVersion = 'v0.305.0';

/** Prometheus's promtool, which reads rules and runs their tests. Throws in CI when it cannot be built. */
export function promtool(): Promise<Peer> {
  return built('promtool', prometheusVersion, async (directory) => {
    // Its own module excludes versions, and so cannot be installed by its name.
    const module = path.join(directory, 'module');
    mkdirSync(module);
    writeFileSync(path.join(module, 'go.mod'), 'module promtool\n\ngo 1.25\n');
    const command = `${prometheusModule}/cmd/promtool`;
    await tool('go', ['-C', module, 'get', `${command}@${prometheusVersion}`]);
    const output = path.join(directory, 'promtool');
    // Without service discovery, which is most of it and no part of rules.
    const tags = 'remove_all_sd,netgo,builtinassets';
    await tool('go', ['-C', module, 'build', '-tags', tags, '-o', output, command]);
  });
}

const pythonPackages = [
  'opentelemetry-sdk==1.45.2',
  'opentelemetry-exporter-otlp-proto-http==1.45.2',
];

/** A Python with OpenTelemetry's SDK and its OTLP/HTTP exporters. Throws in CI without one. */
export function python(): Promise<Peer> {
  return pythonWith('python', pythonPackages);
}

/** A Python with Apache Arrow, which reads and writes Parquet. Throws in CI without one. */
export function pyarrow(): Promise<Peer> {
  return pythonWith('pyarrow', ['pyarrow==26.0.1']);
}

/** A Python with Prometheus's own parser of its text format. Throws in CI without one. */
export function prometheus(): Promise<Peer> {
  return pythonWith('prometheus', ['prometheus-client==0.26.0']);
}

/** A Python with Kubernetes's own client, which knows its API. Throws in CI without one. */
export function kubernetes(): Promise<Peer> {
  return pythonWith('kubernetes', ['kubernetes==37.0.2', 'pyyaml==6.0.3']);
}

function pythonWith(name: string, packages: readonly string[]): Promise<Peer> {
  return built(name, packages.join('\n'), async (directory) => {
    // A virtual environment cannot be moved: it is made where it stays, and the program that is
    // looked for, a script that starts its Python, comes last.
    const home = path.join(path.dirname(directory), 'venv');
    rmSync(home, { recursive: true, force: true });
    await tool('python3', ['-m', 'venv', home]);
    const bin = path.join(home, 'bin');
    await tool(path.join(bin, 'pip'), ['install', '--quiet', ...packages]);
    const script = path.join(directory, name);
    writeFileSync(script, `#!/bin/sh\nexec "${path.join(bin, 'python')}" "$@"\n`, { mode: 0o755 });
  });
}

/**
 * The path of program `name` in the cache, built by `build` into a directory when it is not there.
 * Of several processes that want it, one builds and the others wait.
 */
function built(
  name: string,
  recipe: string,
  build: (directory: string) => Promise<void>,
): Promise<Peer> {
  const known = peers.get(name) ?? find(name, recipe, build);
  peers.set(name, known);
  return known;
}

const peers = new Map<string, Promise<Peer>>();

async function find(
  name: string,
  recipe: string,
  build: (directory: string) => Promise<void>,
): Promise<Peer> {
  const hash = createHash('sha256').update(recipe).digest('hex').slice(0, 16);
  const directory = path.join(cache(), `${name}-${hash}`);
  const program = path.join(directory, name);
  if (existsSync(program)) return { path: program };
  try {
    const lock = await locked(directory, () => existsSync(program));
    try {
      if (!existsSync(program)) await buildInto(program, build);
    } finally {
      lock?.release();
    }
    return { path: program };
  } catch (cause) {
    return absent(name, cause);
  }
}

/** Builds beside the place where the program will be, so that nobody sees half a program. */
async function buildInto(program: string, build: (directory: string) => Promise<void>) {
  process.stderr.write(`Building ${path.basename(program)} (once; this takes minutes)\n`);
  const directory = mkdtempSync(`${path.dirname(program)}/build-`);
  try {
    await build(directory);
    renameSync(path.join(directory, path.basename(program)), program);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The lock of `directory`, or undefined as soon as `isDone`. */
async function locked(directory: string, isDone: () => boolean): Promise<Lock | undefined> {
  mkdirSync(directory, { recursive: true });
  const until = performance.now() + peerBuildMs;
  for (;;) {
    try {
      return lockDirectory(directory);
    } catch (error) {
      if (isDone()) return undefined;
      if (performance.now() > until) throw error;
      await pause(500);
    }
  }
}

function absent(name: string, cause: unknown): Peer {
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (process.env['CI']) throw new Error(`Cannot build ${name}: ${reason}`, { cause });
  process.stderr.write(`\n*** SKIPPED: all tests with the real ${name}: ${reason}\n\n`);
  return { missing: reason };
}

async function install(module: string, directory: string): Promise<void> {
  await tool('go', ['install', module], { GOBIN: directory });
}

/** Runs a tool at low priority. Throws with the end of what it wrote. */
async function tool(program: string, args: string[], environment: Record<string, string> = {}) {
  const child = spawn('nice', ['-n', '10', program, ...args], {
    env: { ...process.env, GOFLAGS: '-buildvcs=false -p=2', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: peerBuildMs,
  });
  let written = '';
  const keep = (chunk: Buffer): void => void (written = (written + chunk.toString()).slice(-4000));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return;
  const first = path.basename(program);
  throw new Error(`"${first} ${args.join(' ')}" ended with ${code ?? 'a signal'}:\n${written}`);
}

function cache(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  return path.join(base, 'tidemark', 'peers');
}
