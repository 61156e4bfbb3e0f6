/** A worker thread as the batch has them, whose store is a directory. */
import { open, writeFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { startSpanWork } from '../../batch/traces/work.ts';
import type { WorkOptions } from '../../batch/work.ts';
import type { Shard } from '../../schemas/shard.ts';
import { spin } from './spin.ts';

export interface SideContext {
  readonly directory: string;
  readonly work: WorkOptions;
}

const { directory, work: options } = workerData as SideContext;
const work = startSpanWork(options);
const files = new Map<string, Promise<FileHandle>>();

async function read(
  key: string,
  start: number,
  end: number,
  into?: Uint8Array,
): Promise<Uint8Array> {
  const opening = files.get(key) ?? open(path.join(directory, key));
  files.set(key, opening);
  const buffer = into ?? Buffer.allocUnsafe(end - start);
  const { bytesRead } = await (await opening).read(buffer, 0, end - start, start);
  return buffer.subarray(0, bytesRead);
}

async function compute(shard: Shard): Promise<void> {
  await work.merge(shard, read, () => undefined);
  const partial = work.finish();
  // Into the store, as shards do: the merge reads of it what it needs.
  const file = path.join(directory, `${shard.index}.partial`);
  await writeFile(file, partial);
  parentPort?.postMessage({ file, bytes: partial.length }, []);
}

// The pool waits for it before it measures.
parentPort?.postMessage('ready', []);

parentPort?.on('message', (message: Shard | 'spin') => {
  if (message === 'spin') {
    parentPort?.postMessage(spin(), []);
    return;
  }
  compute(message).catch((error: unknown) => {
    throw error;
  });
});
