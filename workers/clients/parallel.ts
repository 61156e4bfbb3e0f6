/** Runs many small asynchronous tasks, a bounded number at a time. Never queues without bound. */

/**
 * Results of `task` over `items`, in their order, with at most `parallelMax` under way. After a
 * failure no further task starts; those under way end before the first error is thrown.
 */
export async function mapParallel<T, R>(
  items: readonly T[],
  parallelMax: number,
  task: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  let failed = false;
  const run = async (): Promise<void> => {
    for (const [index, item] of queue) {
      if (failed) return;
      try {
        results[index] = await task(item, index);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const runners = Array.from({ length: Math.min(parallelMax, items.length) }, run);
  const settled = await Promise.allSettled(runners);
  const fault = settled.find((outcome) => outcome.status === 'rejected');
  if (fault) throw fault.reason;
  return results;
}
