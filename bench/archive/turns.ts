/**
 * Lets processes run one after the other, a slice of time each, as if each had a machine of its own:
 * what one gets done does not depend on whether another takes its cores, caches and memory bus
 * meanwhile. Whoever is not given a slice, such as a broker, runs all the time.
 */

/** How long a turn is, ms, and how many there are until it is the first process's again. */
const sliceMs = 20;
const slices = 3;

/** Holds each process to its slice until the function returned is called. At most as many as there are slices. */
export function takeTurns(pids: readonly number[]): () => void {
  if (pids.length > slices) throw new Error(`Bug: ${pids.length} processes in ${slices} slices`);
  let at = 0;
  for (const pid of pids) signal(pid, 'SIGSTOP');
  const timer = setInterval(() => {
    signal(pids[at], 'SIGSTOP');
    at = (at + 1) % slices;
    signal(pids[at], 'SIGCONT');
  }, sliceMs);
  return () => {
    clearInterval(timer);
    for (const pid of pids) signal(pid, 'SIGCONT');
  };
}

function signal(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}
