/**
 * Entry of a worker thread: rewrites files of one hour at a time, with a Parquet reader, a writer and a
 * connection to the object store of its own. What it cannot handle ends the thread.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { TidemarkError } from '../../schemas/errors.ts';
import { openStore, type StoreSettings } from '../clients/store/objects.ts';
import { toFault } from '../flush/message.ts';
import { rewriteFiles, tenantsOf } from './rewrite.ts';
import type { RewriteReply, RewriteRequest } from './task.ts';

const store = openStore(workerData as StoreSettings);

parentPort?.on('message', (request: RewriteRequest) => {
  void answer(request).then(reply);
});

async function answer(request: RewriteRequest): Promise<RewriteReply> {
  try {
    if (request.type === 'tenants') {
      return { type: 'tenants', rows: await tenantsOf(store, request.file) };
    }
    const onStoring = (key: string) => reply({ type: 'storing', key });
    return { type: 'rewritten', result: await rewriteFiles(request.task, { store, onStoring }) };
  } catch (error) {
    if (error instanceof TidemarkError) return { type: 'failed', fault: toFault(error) };
    throw error;
  }
}

function reply(message: RewriteReply): void {
  parentPort?.postMessage(message, []);
}
