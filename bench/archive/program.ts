/**
 * The archiver in a process of its own, measured: archives what waits of one signal, then prints a
 * line of JSON. Settings come from the environment, the signal and the threads as arguments. Loads
 * everything, says `ready`, and begins at the first byte of its standard input.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';
import type { Profiler } from 'node:inspector';
import { setTimeout as pause } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { collectBuffers, collectLess } from '../../bin/heap.ts';
import type { Signal } from '../../schemas/archive.ts';
import { readSettings } from '../../schemas/settings.ts';
import { runArchiver } from '../../workers/archive.ts';
import { openKafka } from '../../workers/clients/kafka/kafka.ts';
import { openStore } from '../../workers/clients/store/objects.ts';

/** What an archiver did and what that cost, in milliseconds of CPU where not said otherwise. */
export interface Measured {
  readonly rows: number;
  readonly files: number;
  readonly commits: number;
  readonly wallMs: number;
  /** Rows a second between the first commit and the last. */
  readonly steadyRate: number;
  /** Of all threads. */
  readonly cpuMs: number;
  readonly decodeMs: number;
  readonly sortMs: number;
  readonly encodeMs: number;
  /** Of the thread that fetches and stores, by the share of samples in either's code. */
  readonly fetchMs: number;
  readonly uploadMs: number;
  readonly rssBytesMax: number;
}

collectLess();
collectBuffers();
const [signal, threads] = process.argv.slice(2);
const settings = readSettings(process.env);
const ignore = () => undefined;
/** Of each commit: when, ms, and rows. */
const commits: { readonly atMs: number; readonly rows: number }[] = [];
const log = {
  info: (fields: object) => {
    if ('rows' in fields) commits.push({ atMs: performance.now(), rows: Number(fields.rows) });
  },
  debug: ignore,
  warn: (fields: object, message: string) => {
    process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);
  },
};
const wasm = new URL('../../aggregator-as/build/transcode.wasm', import.meta.url);
const transcoder = await WebAssembly.compile(await readFile(wasm));
const store = openStore(settings);
const registry = new Registry();
const profiler = new Session();
profiler.connect();

process.stdout.write('ready\n');
await once(process.stdin, 'data');
process.stdin.destroy();
await profiler.post('Profiler.enable');
await profiler.post('Profiler.setSamplingInterval', { interval: 2000 });
await profiler.post('Profiler.start');
const startedMs = performance.now();
const cpu = process.cpuUsage();
const own = process.threadCpuUsage();
const report = await runArchiver({
  store,
  kafka: openKafka(settings, log),
  settings,
  transcoder,
  clock: {
    now: () => Date.now(),
    sleep: (ms, ended) => pause(ms, undefined, { signal: ended }).catch(ignore),
  },
  random: randomBytes,
  log,
  signal: new AbortController().signal,
  codeVersion: 'bench',
  signals: [signal as Signal],
  threads: Number(threads),
  registry,
  once: true,
});
const wallMs = performance.now() - startedMs;
const used = process.cpuUsage(cpu);
const ownUsed = process.threadCpuUsage(own);
const { profile } = await profiler.post('Profiler.stop');
store.close();
const shares = sharesOf(profile);
const ownMs = (ownUsed.user + ownUsed.system) / 1000;
const measured: Measured = {
  rows: report.rows,
  files: report.files,
  commits: report.commits,
  wallMs,
  steadyRate: steadyRate(),
  cpuMs: (used.user + used.system) / 1000,
  ...(await stages()),
  fetchMs: shares.fetch * ownMs,
  uploadMs: shares.upload * ownMs,
  rssBytesMax: process.resourceUsage().maxRSS * 1024,
};
process.stdout.write(`${JSON.stringify(measured)}\n`);

function steadyRate(): number {
  const [first, ...others] = commits;
  const ms = (others.at(-1)?.atMs ?? Number.NaN) - (first?.atMs ?? 0);
  return (1000 * others.reduce((sum, { rows }) => sum + rows, 0)) / ms;
}

async function stages(): Promise<Pick<Measured, 'decodeMs' | 'sortMs' | 'encodeMs'>> {
  const name = 'tidemark_archiver_stage_seconds_total';
  const metric = await registry.getSingleMetric(name)?.get();
  const of = (stage: string) =>
    1000 * (metric?.values.find(({ labels }) => labels['stage'] === stage)?.value ?? 0);
  return { decodeMs: of('decode'), sortMs: of('sort'), encodeMs: of('encode') };
}

/** Parts of the thread's busy samples that are under code of either kind. */
function sharesOf({ nodes, samples = [] }: Profiler.Profile): { fetch: number; upload: number } {
  const parents = new Map<number, Profiler.ProfileNode>();
  for (const node of nodes) for (const child of node.children ?? []) parents.set(child, node);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const counts = { fetch: 0, upload: 0, other: 0 };
  for (const sample of samples) {
    const kind = kindOf(byId.get(sample), parents);
    if (kind) counts[kind] += 1;
  }
  const busy = counts.fetch + counts.upload + counts.other;
  return { fetch: counts.fetch / busy, upload: counts.upload / busy };
}

function kindOf(
  leaf: Profiler.ProfileNode | undefined,
  parents: ReadonlyMap<number, Profiler.ProfileNode>,
): 'fetch' | 'upload' | 'other' | undefined {
  if (!leaf || leaf.callFrame.functionName === '(idle)') return undefined;
  for (let node: typeof leaf | undefined = leaf; node; node = parents.get(node.id)) {
    const { url } = node.callFrame;
    if (/kafkajs|clients\/(codecs|consumer|kafka)|workers\/(feed|kafka)/.test(url)) return 'fetch';
    if (/@aws-sdk|@smithy|clients\/(objects|upload)/.test(url)) return 'upload';
  }
  return 'other';
}
