/** Programs that the edge's benchmarks start, and what they cost. Stops what it has started. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts } from '../../dev/port.ts';
import type { SinkCounts } from './sink.ts';

const root = path.join(import.meta.dirname, '../..');
const tryMs = 50;
const triesMax = 200;

/** What every request of these benchmarks says of its body. */
export const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'gzip' };

/** Settings of the Worker under test: both legs go to `sink`; old payloads are not quarantined. */
export function varsOf(sink: string): Record<string, string> {
  return { CLICKHOUSE_URL: sink, KAFKA_REST_URL: sink, TIDEMARK_PAST_MAX_MS: '999999999999' };
}

export interface Program {
  readonly pid: number;
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a program that listens on `url` and waits until something answers there. */
export async function start(
  file: string,
  args: readonly string[],
  url: string,
  options: { cwd?: string } = {},
): Promise<Program> {
  const child = spawn(file, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-2000)));
  for (let turn = 0; turn < triesMax; turn += 1) {
    const isUp = await fetch(url).then(
      () => true,
      () => false,
    );
    if (isUp) return { pid: pidOf(child), url, stop: () => stop(child) };
    if (child.exitCode !== null) break;
    await pause(tryMs);
  }
  await stop(child);
  throw new Error(`${file} did not start: ${errors}`);
}

export interface Sink extends Program {
  counts(): Promise<SinkCounts>;
  /** Has it pass nothing on any more. */
  goAlone(): Promise<void>;
}

/** The sinks of `sink.ts`; with `teacher`, the address of a real ClickHouse, they learn from it. */
export async function startSink(teacher?: string): Promise<Sink> {
  const entry = path.join(import.meta.dirname, 'sink.ts');
  const args = teacher === undefined ? [entry] : [entry, teacher];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  if (!child.stdout) throw new Error('Bug: the sink was started without a pipe');
  const [port] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const url = `http://127.0.0.1:${port}`;
  return {
    pid: pidOf(child),
    url,
    stop: () => stop(child),
    counts: async () => (await (await fetch(`${url}/counts`)).json()) as SinkCounts,
    goAlone: async () => {
      await (await fetch(`${url}/alone`)).arrayBuffer();
    },
  };
}

/** The Worker as `wrangler deploy` would upload it, in plain workerd, with `vars` as settings. */
export async function startWorkerd(
  directory: string,
  vars: Readonly<Record<string, string>>,
): Promise<Program> {
  await mkdir(directory, { recursive: true });
  await bundle(directory);
  const groups = ['(name = "GROUPS", durableObjectNamespace = "Group")'];
  return serve(directory, vars, groups, [
    'durableObjectNamespaces = [(className = "Group", uniqueKey = "group", enableSql = true)]',
    'durableObjectStorage = (inMemory = void)',
  ]);
}

/** The least Worker with two legs, `floor.js`, in plain workerd. */
export async function startFloor(
  directory: string,
  vars: Readonly<Record<string, string>>,
): Promise<Program> {
  await mkdir(directory, { recursive: true });
  await copyFile(path.join(import.meta.dirname, 'floor.js'), path.join(directory, 'index.js'));
  return serve(directory, vars, [], []);
}

async function serve(
  directory: string,
  vars: Readonly<Record<string, string>>,
  others: readonly string[],
  more: readonly string[],
): Promise<Program> {
  const [port = 0] = await freePorts(1);
  // The Worker's own module has to come first.
  const wasm = (await readdir(directory)).filter((name) => name.endsWith('.wasm'));
  const names = ['index.js', ...wasm];
  const modules = names.map((name) =>
    name.endsWith('.js')
      ? `(name = "${name}", esModule = embed "${name}")`
      : `(name = "${name}", wasm = embed "${name}")`,
  );
  const bindings = Object.entries({ ...vars, TIDEMARK_AUTH: 'off' }).map(
    ([name, text]) => `(name = "${name}", text = ${JSON.stringify(text)})`,
  );
  const worker = [
    `modules = [${modules.join(', ')}]`,
    'compatibilityDate = "2026-08-01"',
    'compatibilityFlags = ["nodejs_compat"]',
    `bindings = [${[...bindings, ...others].join(', ')}]`,
    ...more,
    'globalOutbound = "loopback"',
  ];
  await writeFile(path.join(directory, 'config.capnp'), config(port, worker));
  const file = createRequire(import.meta.url)('workerd') as { default: string };
  return start(file.default, ['serve', 'config.capnp'], `http://127.0.0.1:${port}`, {
    cwd: directory,
  });
}

function config(port: number, worker: readonly string[]): string {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edge", worker = (
      ${worker.join(',\n      ')}
    )),
    (name = "loopback", network = (allow = ["private"]))
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "edge")]
);
`;
}

async function bundle(directory: string): Promise<void> {
  const wrangler = path.join(root, 'node_modules/wrangler/bin/wrangler.js');
  const child = spawn(process.execPath, [wrangler, 'deploy', '--dry-run', '--outdir', directory], {
    cwd: root,
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false' },
    stdio: 'ignore',
  });
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`wrangler deploy --dry-run ended with ${code}`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'close');
  child.kill('SIGTERM');
  await ended;
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('the program did not start');
  return pid;
}

/** User and system time of a process so far, in ms. Linux counts it in hundredths of a second. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}
