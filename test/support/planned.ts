/** The memory that makes the planner want shards of so many rows. */
import { signalBatches } from '../../batch/signals.ts';
import type { Signal } from '../../schemas/archive.ts';

/** TIDEMARK_BATCH_MEMORY_BYTES for shards of `rows` rows of the signal, on so many threads. */
export function memoryOf(of: Signal, rows: number, threads = 1): number {
  const { baseBytes, rowBytes } = signalBatches[of].memory;
  // The planner leaves half of the memory for what statistics do not show.
  return threads * (baseBytes + 2 * Math.ceil(rows) * rowBytes);
}
