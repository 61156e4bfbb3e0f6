/**
 * Entry of an encoding thread: one flush at a time, with columns of its own, as the archiver asks for
 * it. Reads no source and no store. What it cannot handle ends the thread; the archiver then tries
 * that flush again in another one.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { SharedColumns } from './columns.ts';
import type { PendingFile } from './commit.ts';
import { LocalEncoder } from './encode.ts';
import { toFault, unpack } from './message.ts';
import type { ThreadContext, ThreadReply, ThreadRequest } from './message.ts';

interface Flush {
  readonly encoder: LocalEncoder;
  readonly reset: () => void;
  files?: Iterator<PendingFile, void>;
}

const { transcoder, ...options } = workerData as ThreadContext;
const shared = new SharedColumns(transcoder, options);
let flush: Flush | undefined;

parentPort?.on('message', (request: ThreadRequest) => {
  if (request.type === 'reset') {
    flush?.reset();
    flush = undefined;
  } else {
    answer(request);
  }
});

function answer(request: Exclude<ThreadRequest, { type: 'reset' }>): void {
  flush ??= begin(request.signal);
  try {
    if (request.type === 'add') add(flush, request);
    else next(flush);
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    reply({ type: 'failed', fault: toFault(error) });
  }
}

function begin(signal: Signal): Flush {
  const columns = shared.columnsOf(signal);
  const encoder = new LocalEncoder(columns, cpuMs);
  return { encoder, reset: () => columns.reset() };
}

/** Processor time of this thread, ms: what others on the machine do is not in it. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function add({ encoder }: Flush, request: Extract<ThreadRequest, { type: 'add' }>): void {
  const { records, bytes } = request;
  const { dead, ...added } = encoder.addNow(unpack(records, bytes), request.options);
  const faults = dead.map(({ index, error }) => ({ index, fault: toFault(error) }));
  const spare = bytes.buffer;
  reply({ type: 'added', added: { ...added, dead: faults }, times: encoder.times, spare }, [spare]);
}

function next(of: Flush): void {
  of.files ??= of.encoder.filesNow();
  const { value: file } = of.files.next();
  if (!file) reply({ type: 'done' });
  else reply({ type: 'file', file, times: of.encoder.times }, [file.bytes.buffer as ArrayBuffer]);
}

function reply(message: ThreadReply, transfer: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, [...transfer]);
}
