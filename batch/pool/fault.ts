/** The faults of a run as errors: which shard, and why. Decides nothing. */
import { TidemarkError } from '../../schemas/errors.ts';
import { shardTriesMax } from '../../schemas/limits/batch.ts';
import type { Shard } from '../../schemas/shard.ts';
import { idText } from '../../schemas/task.ts';

/** A shard that cannot be computed, at the last of its tries. */
export function shardFailed(
  { shard, tries }: { readonly shard: Shard; readonly tries: number },
  reason: string,
): TidemarkError {
  const name = shardName(shard);
  const message = `Cannot compute ${name}, try ${tries} of ${shardTriesMax}: ${reason}`;
  return new TidemarkError('BATCH_FAILED', message);
}

/** A shard, for people. */
export function shardName({ index, idFrom, idTo }: Shard): string {
  return `shard ${index}, ids [${idText(idFrom)}, ${idText(idTo)})`;
}

/** The end of a run that was told to stop; the next one goes on where it was. */
export function stopped(cause: unknown): TidemarkError {
  return new TidemarkError('BATCH_FAILED', 'Cannot finish the batch: it was told to stop', {
    cause,
    retryable: true,
  });
}
