/** A worker thread as the batch has them, whose store is a directory. */
import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { Footers, mergeShard } from '../../batch/traces/compute.ts';
import { encodeGroups } from '../../batch/traces/encode.ts';
import { SpanKernel } from '../../aggregator-as/spankernel.ts';
import type { Shard } from '../../schemas/shard.ts';

export interface SideContext {
  readonly directory: string;
  readonly kernel: WebAssembly.Module;
  readonly memoryBytes: number;
}

const { directory, kernel: module, memoryBytes } = workerData as SideContext;
const kernel = new SpanKernel(module, { memoryBytesMax: memoryBytes });
const footers = new Footers();
const files = new Map<string, Promise<FileHandle>>();

async function read(key: string, start: number, end: number): Promise<Uint8Array> {
  const opening = files.get(key) ?? open(path.join(directory, key));
  files.set(key, opening);
  const buffer = Buffer.allocUnsafe(end - start);
  const { bytesRead } = await (await opening).read(buffer, 0, end - start, start);
  return buffer.subarray(0, bytesRead);
}

async function compute(shard: Shard): Promise<void> {
  await mergeShard(shard, { kernel, footers, read });
  const partial = encodeGroups(kernel);
  parentPort?.postMessage({ index: shard.index, partial, memoryBytes: kernel.memoryBytes }, [
    partial.buffer as ArrayBuffer,
  ]);
}

// The pool waits for it before it measures.
parentPort?.postMessage('ready', []);

parentPort?.on('message', (shard: Shard) => {
  compute(shard).catch((error: unknown) => {
    throw error;
  });
});
