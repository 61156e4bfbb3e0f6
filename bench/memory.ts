/**
 * Measures the peak memory of workerd at the largest requests that the edge accepts: the Worker's
 * own bundle with its default limits, slow sinks, several requests at once. Prints one JSON line
 * per case. The bucket is a sink outside of the process, as R2 is, because the local one would add
 * its own memory. It reads /proc, so it needs Linux.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { signalWires } from '../edge/signal.ts';
import { settings } from '../schemas/settings.ts';
import { jsonOf, largest, protobufOf, receivedMs, shapes } from './shapes.ts';
import type { Bounds, Shape } from './shapes.ts';

const root = path.join(import.meta.dirname, '..');
const mebibyte = 1024 * 1024;
/** Cloudflare's bound on one isolate. */
const isolateMiB = 128;
/** Requests that are sent at once. */
const senders = 4;
/** What a sink waits before it answers, so that requests are held together. */
const sinkMs = 300;
const encodings = ['protobuf', 'gzip', 'zstd', 'json'] as const;

type Encoding = (typeof encodings)[number];

interface Body {
  readonly bytes: Uint8Array;
  readonly headers: Record<string, string>;
}

/** Sends each shape in each encoding and prints what workerd needed. */
export async function memory(): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-memory-'));
  const sink = createServer(answer);
  await new Promise<void>((resolve) => {
    sink.listen(0, '127.0.0.1', resolve);
  });
  const { port } = sink.address() as AddressInfo;
  try {
    execFileSync('wrangler', ['deploy', '--dry-run', '--outdir', directory], { cwd: root });
    const wasm = await readFile(path.join(root, 'aggregator-as/build/transcode.wasm'));
    const bounds = {
      bytesMax: Number(settings.TIDEMARK_INFLATED_BYTES_MAX.default),
      module: await WebAssembly.compile(wasm),
      pagesMax: Number(settings.TIDEMARK_TRANSCODER_BYTES_MAX.default) / 65_536,
    };
    for (const shape of shapes) {
      for (const encoding of encodings) await measure(directory, port, shape, encoding, bounds);
    }
  } finally {
    sink.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Takes what any sink is given; as a Kafka REST proxy (v2) it acknowledges every record. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  let records = 0;
  request.on('data', (chunk: Buffer) => {
    if (request.url?.startsWith('/topics/'))
      records += chunk.toString('latin1').split('"value"').length - 1;
  });
  request.once('end', () => {
    const offsets = Array.from({ length: records }, (_, offset) => ({ partition: 0, offset }));
    const body = records > 0 ? JSON.stringify({ offsets }) : '';
    setTimeout(() => response.end(body), sinkMs);
  });
}

/** One case in a workerd of its own: memory that was used once is not given back. */
async function measure(
  directory: string,
  port: number,
  shape: Shape,
  encoding: Encoding,
  bounds: Bounds,
): Promise<void> {
  const before = await workerds();
  const miniflare = await start(directory, port);
  try {
    const address = new URL(signalWires[shape.signal].path, await miniflare.ready);
    const pid = (await workerds()).find((each) => !before.includes(each));
    if (pid === undefined) throw new Error('Bug: workerd does not run');
    await send(address, bodyOf(shape, encoding, 1));
    const count = largest(shape, encoding === 'json' ? 'json' : 'protobuf', bounds);
    const body = bodyOf(shape, encoding, count);
    const idleMiB = await resetPeak(pid);
    const status = await send(address, body);
    const aloneMiB = (await peakOf(pid)) - idleMiB;
    const statuses = await Promise.all(Array.from({ length: senders }, () => send(address, body)));
    const togetherMiB = (await peakOf(pid)) - idleMiB;
    const figure = {
      bench: 'memory',
      case: `${shape.name}, ${encoding}`,
      items: count,
      bodyMiB: round(body.bytes.length / mebibyte),
      status,
      statuses: statuses.toSorted((a, b) => a - b).join(' '),
      idleMiB: round(idleMiB),
      aloneMiB: round(aloneMiB),
      togetherMiB: round(togetherMiB),
      holds: togetherMiB < isolateMiB,
      machine: `${os.cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}`,
    };
    process.stdout.write(`${JSON.stringify(figure)}\n`);
  } finally {
    await miniflare.dispose();
  }
}

/** The Worker as it is deployed, on a bucket of its own. */
async function start(directory: string, port: number): Promise<Miniflare> {
  const names = (await readdir(directory)).filter((name) => /^[^m].*\.(js|wasm)$/.test(name));
  const main = path.join(directory, 'main.js');
  await writeFile(main, entryOf(port));
  const modules = [main, ...names.map((name) => path.join(directory, name))].map((file) => ({
    type: file.endsWith('.js') ? ('ESModule' as const) : ('CompiledWasm' as const),
    path: file,
  }));
  return new Miniflare(
    convertV4MiniflareOptions({
      modulesRoot: directory,
      modules,
      compatibilityDate: '2026-08-01',
      compatibilityFlags: ['nodejs_compat'],
      host: '127.0.0.1',
      port: 0,
      bindings: {
        CLICKHOUSE_URL: `http://127.0.0.1:${port}`,
        KAFKA_REST_URL: `http://127.0.0.1:${port}`,
        TIDEMARK_AUTH: 'off',
        TIDEMARK_PAST_MAX_MS: String(Date.now()),
        TIDEMARK_FUTURE_MAX_MS: String(receivedMs),
      },
    }),
  );
}

/** The Worker with a bucket that sends what it is given to the sink, as the binding sends it to R2. */
function entryOf(port: number): string {
  return `
    import worker from './index.js';
    const put = async (key, body) => {
      await (await fetch('http://127.0.0.1:${port}/' + key, { method: 'PUT', body })).text();
    };
    let kept;
    export default {
      fetch(request, env, context) {
        kept ??= { ...env, ARCHIVE: { put } };
        return worker.fetch(request, kept, context);
      },
    };`;
}

function bodyOf(shape: Shape, encoding: Encoding, count: number): Body {
  if (encoding === 'json') {
    const bytes = Buffer.from(jsonOf(shape, count));
    return { bytes, headers: { 'content-type': 'application/json' } };
  }
  const type = { 'content-type': 'application/x-protobuf' };
  const plain = protobufOf(shape, count);
  if (encoding === 'protobuf') return { bytes: plain, headers: type };
  const bytes = encoding === 'gzip' ? gzipSync(plain) : zstdCompressSync(plain);
  return { bytes, headers: { ...type, 'content-encoding': encoding } };
}

/** The status, or 0 when workerd refused the body before it had all of it and hung up. */
async function send(address: URL, { bytes, headers }: Body): Promise<number> {
  try {
    const response = await fetch(address, { method: 'POST', headers, body: bytes });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return 0;
  }
}

/** Ids of the processes named workerd that this one started. */
async function workerds(): Promise<number[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found: number[] = [];
  for (const name of names) {
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const [, command, parent] = /^\d+ \((.*)\) \S (\d+)/.exec(stat) ?? [];
    if (command === 'workerd' && Number(parent) === process.pid) found.push(Number(name));
  }
  return found;
}

/** Makes the peak what is used now, and returns that in MiB (proc_pid_clear_refs(5)). */
async function resetPeak(pid: number): Promise<number> {
  await writeFile(`/proc/${pid}/clear_refs`, '5');
  return peakOf(pid);
}

/** The most memory that was resident since the last reset, in MiB (proc_pid_status(5)). */
async function peakOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
