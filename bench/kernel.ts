/**
 * Measures the batch kernel of spans on one core: the seconds that it spends with row groups whose pages
 * are inflated, from their bytes to a partial. What reading, inflating and JavaScript take is not counted
 * here; `bench/batch.ts` has all of it, and asserts the results.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { SpanKernel } from '../aggregator-as/spankernel.ts';
import type { Body } from '../aggregator-as/spanmemory.ts';
import { Rooms } from '../batch/shard/rooms.ts';
import { Footers, mergeShard } from '../batch/traces/compute.ts';
import { encodeGroups } from '../batch/traces/encode.ts';
import { joinSections } from '../schemas/partials/section.ts';
import { idEnd } from '../schemas/shard.ts';
import { makeArchive } from './batch/generate.ts';

const spans = 1_000_000;
const repeats = 7;

/** Runs the benchmark. */
export async function kernel(): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-bench-'));
  try {
    const { files, rows } = await makeArchive(directory, spans);
    const bytes = new Map<string, Buffer>();
    for (const { key } of files) bytes.set(key, await readFile(path.join(directory, key)));
    const read = (key: string, start: number, end: number) =>
      Promise.resolve(bytes.get(key)?.subarray(start, end) ?? new Uint8Array());
    const shard = {
      idFrom: 0n,
      idTo: idEnd,
      files: files.map(({ rowGroups, ...file }) => ({
        ...file,
        rowGroups: rowGroups.map((_, index) => index),
      })),
    };
    const wasm = new URL('../aggregator-as/build/aggregate.wasm', import.meta.url);
    const timed = await timedKernel(await WebAssembly.compile(await readFile(wasm)));
    let [least, leastAll] = [Infinity, Infinity];
    for (let time = 0; time < repeats; time += 1) {
      timed.ms = 0;
      const cpu = process.cpuUsage();
      const state = { footers: new Footers(), rooms: new Rooms(0) };
      await mergeShard(shard, { kernel: timed.kernel, ...state, read });
      joinSections([encodeGroups(timed.kernel)]);
      const { user, system } = process.cpuUsage(cpu);
      leastAll = Math.min(leastAll, (user + system) / 1000);
      least = Math.min(least, timed.ms);
    }
    print('pages to partial, in the kernel', rows, least);
    print('files in memory to partial, all CPU time', rows, leastAll);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** A kernel that adds up what its calls take. */
async function timedKernel(module: WebAssembly.Module) {
  const timed = { ms: 0, kernel: new SpanKernel(module, { memoryBytesMax: 2 ** 30 }) };
  const names = [
    'open',
    'putPart',
    'order',
    'feed',
    'names',
    'unpack',
    'lookUp',
    'merge',
    'encode',
  ];
  for (const name of names) {
    const own: unknown = Reflect.get(timed.kernel, name);
    if (typeof own !== 'function') throw new Error(`Bug: the kernel has no ${name}()`);
    Reflect.set(timed.kernel, name, (...args: unknown[]): unknown => {
      // What inflating takes is not the kernel's.
      const given = args.map((value) => (isBody(value) ? inflated(value) : value));
      const startedMs = performance.now();
      try {
        return Reflect.apply(own, timed.kernel, given);
      } finally {
        timed.ms += performance.now() - startedMs;
      }
    });
  }
  return timed;
}

function isBody(value: unknown): value is Body {
  const isBytes = value instanceof Uint8Array;
  return typeof value === 'object' && value !== null && 'write' in value && !isBytes;
}

function inflated(body: Body): Body {
  const { length } = body;
  const bytes = new Uint8Array(length);
  body.write(bytes);
  return { length, write: (to) => to.set(bytes) };
}

function print(name: string, rows: number, ms: number): void {
  const line = {
    bench: 'kernel',
    case: name,
    value: Math.round((rows / ms) * 1000),
    unit: 'spans/s',
    rows,
    machine: `${os.availableParallelism()} × ${os.cpus()[0]?.model ?? 'unknown'}`,
    node: process.version,
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

if (import.meta.main) await kernel();
