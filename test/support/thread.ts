/**
 * A worker thread for tests of the pool: does with each shard what the plan in `workerData` says
 * for that index, one entry a try. `tries` is shared by all threads.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { Shard, WorkerReply } from '../../schemas/shard.ts';

export type Deed = 'done' | 'fail' | 'refuse' | 'throw' | 'exit' | 'split' | 'hang';

export interface ThreadPlan {
  readonly deeds: Record<number, readonly Deed[]>;
  readonly tries: SharedArrayBuffer;
}

const { deeds, tries } = workerData as ThreadPlan;
const counts = new Int32Array(tries);

parentPort?.on('message', (shard: Shard) => {
  const attempt = Atomics.add(counts, shard.index, 1);
  const deed = deeds[shard.index]?.[attempt] ?? 'done';
  reply({ type: 'file', key: `file of ${shard.index}` });
  const key = `${shard.index}-${shard.idFrom}`;
  if (deed === 'done') reply({ type: 'done', report: { key, bytes: 1 } });
  if (deed === 'fail') reply({ type: 'failed', message: 'a passing fault', retryable: true });
  if (deed === 'refuse') reply({ type: 'failed', message: 'a lasting fault', retryable: false });
  if (deed === 'throw') throw new Error('unreachable');
  if (deed === 'exit') process.exit(9);
  if (deed === 'split') reply({ type: 'split', shards: halves(shard) });
});

function halves(shard: Shard): Shard[] {
  const middle = (shard.idFrom + shard.idTo) / 2n;
  return [
    { ...shard, idTo: middle },
    { ...shard, idFrom: middle },
  ];
}

function reply(message: WorkerReply): void {
  parentPort?.postMessage(message, []);
}
