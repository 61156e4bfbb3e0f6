/** The archiver as a process that is killed (SIGKILL) at random moments, on a real bucket. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { archiveSpoolPrefix, topics } from '../../schemas/archive.ts';
import { mapParallel } from '../../workers/clients/parallel.ts';
import { keysUnder, readCommitted, spoolObject } from '../support/committed.ts';
import { startBucket } from '../support/objects.ts';
import type { Bucket } from '../support/objects.ts';
import { seededRandom } from '../support/random.ts';

const topic = topics.traces;
const startMs = Date.UTC(2026, 10, 22, 13, 30);
const entry = fileURLToPath(new URL('../support/archiver.ts', import.meta.url));
/** KILLS=100 and more by itself. */
const kills = Number(process.env['KILLS'] ?? 20);

let bucket: Bucket;
const children = new Set<Archiver>();

type Archiver = ChildProcessByStdio<Writable, Readable, null>;

beforeAll(async () => {
  bucket = await startBucket();
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await bucket.close();
});

/** An archiver that has loaded and waits for its first byte of input. */
async function loadArchiver(mode = 'forever'): Promise<Archiver> {
  const child = spawn(process.execPath, [entry, bucket.endpoint, mode], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  await once(child.stdout, 'data');
  return child;
}

async function ended(child: Archiver): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

describe('the archiver process', () => {
  it(`loses nothing and writes nothing twice, killed ${kills} times at random moments`, async () => {
    const seed = 20_261_123;
    console.info(`seed ${seed}`);
    const random = seededRandom(seed);
    const names: string[] = [];
    let requests = 0;
    const produce = async (count: number): Promise<void> => {
      const fresh = Array.from({ length: count }, (_, index) => requests + index);
      requests += count;
      await mapParallel(fresh, 4, async (request) => {
        const own = Array.from({ length: 4 }, (_, span) => `marker-${request}-${span}`);
        const { key, body } = spoolObject(topic, startMs + request, `r${request}`, own);
        names.push(...own);
        await bucket.store.put(key, body);
      });
    };
    let killedAtWork = 0;
    let next = loadArchiver();
    await produce(40);
    for (let kill = 0; kill < kills; kill += 1) {
      const archiver = await next;
      archiver.stdin.write('go');
      next = loadArchiver(kill === kills - 1 ? 'once' : 'forever');
      await Promise.all([produce(15), delay(20 + random() * 500)]);
      archiver.kill('SIGKILL');
      await ended(archiver);
      const waiting = await keysUnder(bucket.store, archiveSpoolPrefix(topic));
      if (waiting.length > 0) killedAtWork += 1;
    }
    const last = await next;
    last.stdin.write('go');
    await ended(last);
    expect(last.exitCode).toBe(0);
    const committed = await readCommitted(bucket.store, topic);
    console.info(`${committed.commits.length} commits, ${killedAtWork} kills with work to do`);
    expect(committed.repeated).toBe(0);
    expect(committed.names).toEqual(names.toSorted());
    expect(await keysUnder(bucket.store, archiveSpoolPrefix(topic))).toEqual([]);
    expect(killedAtWork).toBeGreaterThanOrEqual(kills / 2);
  }, 180_000);

  it('ends with exit code 0 on SIGTERM', async () => {
    const archiver = await loadArchiver();
    archiver.stdin.write('go');
    await delay(300);
    archiver.kill('SIGTERM');
    await ended(archiver);
    expect(archiver.exitCode).toBe(0);
  });
});
