/**
 * Holds a process to a part of a processor core, as a quota of a container would: stops it whenever it
 * has used more, and lets it go on when time has caught up. Linux alone tells what a process uses.
 */
import { readFileSync } from 'node:fs';

/** How often it is looked at, and for how long a process may save up what it does not use, ms. */
const lookMs = 10;
const savedMsMax = 100;
/** Of the times in /proc: USER_HZ, which is 100 wherever Node runs. */
const msPerTick = 10;

/** Holds the process to `cores` of a core, all its threads together, until the function returned is called. */
export function hold(pid: number, cores: number): () => void {
  let [atMs, used, creditMs] = [performance.now(), usedMs(pid), 0];
  const timer = setInterval(() => {
    const [nowMs, now] = [performance.now(), usedMs(pid)];
    creditMs = Math.min(savedMsMax, creditMs + cores * (nowMs - atMs) - (now - used));
    [atMs, used] = [nowMs, now];
    signal(pid, creditMs > 0 ? 'SIGCONT' : 'SIGSTOP');
  }, lookMs);
  return () => {
    clearInterval(timer);
    signal(pid, 'SIGCONT');
  };
}

/** Processor time of all threads, ms: utime and stime of proc_pid_stat(5), behind the program's name. */
function usedMs(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [user, system] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13);
    return (Number(user) + Number(system)) * msPerTick;
  } catch {
    // It has ended.
    return 0;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}
