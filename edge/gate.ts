/**
 * Lets so many tasks run at once and no more: a Worker may hold six connections open, over all
 * sinks of a request. The rest wait in order; the gate itself never fails and never times out.
 */

/**
 * Returns when all are settled, so that nothing goes on behind an answer. Throws what the first that
 * failed threw.
 */
export async function settle(promises: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(promises)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

/** Runs a task as soon as there is room, and settles as the task does. */
export type Gate = <T>(task: () => Promise<T>) => Promise<T>;

/**
 * Makes a gate for `tasksMax` tasks at once. A task must not wait for another task of its own gate.
 */
export function gateOf(tasksMax: number): Gate {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (task) => {
    if (running < tasksMax) running += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await task();
    } finally {
      // The place goes to the next in line, or is given up.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
