/** Lets archivers drain a backlog from a real Kafka into a fresh bucket. Stops what it has started. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Signal } from '../../schemas/archive.ts';
import { startBucket } from '../../test/support/objects.ts';
import type { Bucket } from '../../test/support/objects.ts';
import { takeTurns } from './turns.ts';
import type { Measured } from './program.ts';

export interface Drained extends Measured {
  /** The bucket with the archive; whoever asked for it closes it. */
  readonly bucket: Bucket;
}

export interface DrainOptions {
  readonly brokers: string;
  readonly signal: Signal;
  readonly rows: number;
  readonly processes: number;
  /** Encoding threads of each. */
  readonly threads: number;
  /** Whether each runs in slices of time of its own. @default all run at once */
  readonly inTurns?: boolean;
}

/** Sums over the processes; of times on the wall and of memory the greatest. */
export async function drain(options: DrainOptions): Promise<Drained> {
  const { signal, processes, threads, rows, brokers, inTurns } = options;
  const bucket = await startBucket();
  const group = `bench-${signal}-${processes}-${process.hrtime.bigint()}`;
  const { S3_BUCKET, S3_REGION, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY } = bucket.settings;
  const environment = {
    ...process.env,
    S3_ENDPOINT: bucket.endpoint,
    S3_BUCKET,
    S3_REGION,
    S3_ACCESS_KEY_ID,
    S3_SECRET_ACCESS_KEY,
    KAFKA_BROKERS: brokers,
    KAFKA_GROUP: group,
  };
  try {
    const runs = Array.from({ length: processes }, () => start(signal, threads, environment));
    await Promise.all(runs.map(({ ready }) => ready));
    for (const { child } of runs) child.stdin.end('go\n');
    const release = takeTurns(inTurns ? runs.map(({ child }) => child.pid ?? 0) : []);
    const results = Promise.all(runs.map(({ result }) => result));
    const measured = await results.finally(release);
    const drained = measured.reduce(added);
    assert.equal(drained.rows, rows, 'rows archived');
    return { ...drained, bucket };
  } catch (error) {
    await bucket.close();
    throw error;
  }
}

function start(signal: Signal, threads: number, env: NodeJS.ProcessEnv) {
  const file = path.join(import.meta.dirname, 'program.ts');
  const args = [file, signal, String(threads)];
  const child = spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const ready = once(lines, 'line');
  const result = ready.then(async () => {
    const [line] = (await Promise.race([
      once(lines, 'line'),
      once(child, 'exit').then(() => Promise.reject(new Error('an archiver ended early'))),
    ])) as [string];
    return JSON.parse(line) as Measured;
  });
  return { child, ready, result };
}

function added(a: Measured, b: Measured): Measured {
  return {
    rows: a.rows + b.rows,
    files: a.files + b.files,
    commits: a.commits + b.commits,
    wallMs: Math.max(a.wallMs, b.wallMs),
    steadyRate: a.steadyRate + b.steadyRate,
    cpuMs: a.cpuMs + b.cpuMs,
    decodeMs: a.decodeMs + b.decodeMs,
    sortMs: a.sortMs + b.sortMs,
    encodeMs: a.encodeMs + b.encodeMs,
    fetchMs: a.fetchMs + b.fetchMs,
    uploadMs: a.uploadMs + b.uploadMs,
    rssBytesMax: Math.max(a.rssBytesMax, b.rssBytesMax),
  };
}
