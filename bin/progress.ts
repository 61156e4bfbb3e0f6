/** Says on stderr now and then how far a command is that takes long, and nothing of one that is quick. */
import type { BatchProgress } from '../batch/run.ts';
import type { Context } from './context.ts';
import { describeMs } from './duration.ts';

/** Pause between two lines. */
const everyMs = 5000;

/** Takes where the command is now, in a few words. */
export type See = (where: string) => void;

/** Runs `task`, and writes what it said last, and since when it runs, every five seconds. */
export async function withProgress<T>(
  { stderr, now }: Context,
  task: (see: See) => Promise<T>,
): Promise<T> {
  const startedMs = now();
  let last: string | undefined;
  const timer = setInterval(() => {
    if (last !== undefined) stderr.write(`${last} (${describeMs(now() - startedMs)})\n`);
  }, everyMs);
  timer.unref();
  try {
    return await task((where) => {
      last = where;
    });
  } finally {
    clearInterval(timer);
  }
}

/** Where a run of the batch is. */
export function stageOf(progress: BatchProgress): string {
  const { period, of, phase, shardsDone, shardCount, rows } = progress;
  const size = rows > 0 ? ` of ${rows} rows` : '';
  const stages: Readonly<Record<BatchProgress['phase'], string>> = {
    list: 'listing its files',
    compute: `${shardsDone} of ${shardCount} shards${size} computed`,
    merge: `merging ${shardCount} shards${size}`,
    publish: 'publishing',
  };
  return `${period.name} (${of}): ${stages[phase]}`;
}
