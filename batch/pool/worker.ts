/**
 * Entry of a worker thread: computes the shards that the pool posts, one at a time, with a kernel and
 * a connection to the object store of its own. What it cannot handle ends the thread.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import type { Shard, WorkerReply } from '../../schemas/shard.ts';
import { openStore, type StoreSettings } from '../../workers/clients/store/objects.ts';
import { computeShard } from '../shard/shard.ts';
import { signalBatches } from '../signals.ts';
import type { WorkOptions } from '../work.ts';

/** What a thread is given when it starts. */
export interface WorkerContext {
  readonly store: StoreSettings;
  /** Name of the computation that the partials belong to. */
  readonly computation: string;
  readonly of: Signal;
  readonly work: WorkOptions;
  readonly rowsMax: number;
}

let context = workerData as WorkerContext;
const store = openStore(context.store);
let work = signalBatches[context.of].startWork(context.work);

// A thread costs far more to start than a kernel does: one that is idle may be given another computation.
parentPort?.on('message', (message: Shard | WorkerContext) => {
  if ('work' in message) {
    context = message;
    work = signalBatches[context.of].startWork(context.work);
  } else {
    void compute(message).then(reply);
  }
});

async function compute(shard: Shard): Promise<WorkerReply> {
  const { computation, of, rowsMax } = context;
  try {
    return await computeShard(shard, { store, computation, of, work, rowsMax, onFile });
  } catch (error) {
    if (error instanceof TidemarkError) {
      return { type: 'failed', message: error.message, retryable: error.retryable };
    }
    throw error;
  }
}

function onFile(key: string): void {
  reply({ type: 'file', key });
}

function reply(message: WorkerReply): void {
  parentPort?.postMessage(message, []);
}
