/** How V8 collects garbage in programs that pass much data through and keep little. */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Node 24's, the first that this was tried with. */
const v8WithFlag = 13;

/** What waits to be collected, as a part of what lives, where V8 looks by itself. */
const garbagePercent = 25;
/** Buffers that wait to be collected at most, about, and how often a process looks. */
const garbageBytesMax = 128 * 1024 * 1024;
const lookMs = 100;

/**
 * Lets buffers outside the heap count as part of it. As V8 is, every 64 MiB of them starts a collection
 * of the whole heap, several for each flush: a quarter of an archiver's processor time. For this
 * process and its threads; to be called before anything else. An older V8 is left as it is.
 */
export function collectLess(): void {
  if (!hasFlag()) return;
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}

/**
 * Bounds what waits to be collected. A heap with little in it may grow fourfold before V8 collects it,
 * the buffers that count as part of it too; and it only looks when objects are made, of which large
 * buffers need few: gigabytes of them would wait. So it is told to look sooner, and this thread's buffers
 * are looked at from time to time. To be called after `collectLess`; keeps no process alive.
 */
export function collectBuffers(): void {
  if (!hasFlag()) return;
  setFlagsFromString(`--heap-growing-percent=${garbagePercent}`);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let leastBytes = 0;
  const look = (): void => {
    const bytes = getHeapStatistics().external_memory;
    const isDue = bytes >= leastBytes + garbageBytesMax;
    if (isDue) collect();
    // What was collected is given back a moment later, by another thread: the least counts.
    leastBytes = isDue ? getHeapStatistics().external_memory : Math.min(leastBytes, bytes);
  };
  setInterval(look, lookMs).unref();
}

function hasFlag(): boolean {
  return Number.parseInt(process.versions.v8, 10) >= v8WithFlag;
}
