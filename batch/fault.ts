/** The faults of a run as errors: which shard, and why. Decides nothing. */
import { TidemarkError } from '../schemas/errors.ts';
import { shardTriesMax } from '../schemas/limits/batch.ts';
import type { Shard } from '../schemas/shard.ts';
import { idText } from '../schemas/task.ts';

/** A shard that cannot be computed, at the last of its tries. */
export function shardFailed(
  { shard, tries }: { readonly shard: Shard; readonly tries: number },
  reason: string,
): TidemarkError {
  const range = `[${idText(shard.idFrom)}, ${idText(shard.idTo)})`;
  return new TidemarkError(
    'BATCH_FAILED',
    `Cannot compute shard ${shard.index}, ids ${range}, try ${tries} of ${shardTriesMax}: ` +
      reason,
  );
}

/** The end of a run that was told to stop; the next one goes on where it was. */
export function stopped(cause: unknown): TidemarkError {
  return new TidemarkError('BATCH_FAILED', 'Cannot finish the batch: it was told to stop', {
    cause,
    retryable: true,
  });
}
