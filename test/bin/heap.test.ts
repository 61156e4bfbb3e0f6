/** Garbage outside the heap, in a process of its own: flags of V8 are for good. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const heap = new URL('../../bin/heap.ts', import.meta.url).href;
const megabyte = 1024 * 1024;
const [liveBuffers, buffers] = [100, 600];

/** Makes buffers of 1 MiB, of which the last hundred live. Prints the most bytes that there were. */
const program = `
import { setTimeout as pause } from 'node:timers/promises';
const { collectBuffers, collectLess } = await import('${heap}');
collectLess();
collectBuffers();
const live = [];
let most = 0;
for (let made = 0; made < ${buffers}; made += 1) {
  live[made % ${liveBuffers}] = new Uint8Array(${megabyte});
  if (made % 50 === 49) await pause(105);
  most = Math.max(most, process.memoryUsage().arrayBuffers);
}
process.stdout.write(String(most));
`;

describe('collectBuffers()', () => {
  it('bounds what waits to be collected where few objects are made', async () => {
    const options = ['--input-type=module', '--eval', program];
    const { stdout } = await promisify(execFile)(process.execPath, options);
    // What lives, what may wait, and what is made between two looks, twice at the worst.
    expect(Number(stdout) / megabyte).toBeLessThan(liveBuffers + 128 + 2 * 50 + 20);
  });
});
