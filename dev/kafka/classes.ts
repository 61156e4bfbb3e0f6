/**
 * Keeps Kafka's classes, parsed and checked, in a file beside its jars (class data sharing, JEP 350): a broker that
 * has it starts in half the time. Makes the file once on a machine; without it everything works as well.
 */
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { TidemarkError } from '../../schemas/errors.ts';
import { kafkaFetchMsMax } from '../../schemas/limits/dev.ts';
import { steadyPorts } from '../port.ts';
import { classesOf, startBroker } from './broker.ts';
import { lockCache } from './jars.ts';
import type { JarOptions } from './jars.ts';

/**
 * Makes the file of these jars unless it is there: starts a broker and stops it, some ten seconds. Safe for
 * several processes at once. A fault is only told to `onLine`.
 */
export async function keepClasses(jars: string, options: JarOptions): Promise<void> {
  const file = classesOf(jars);
  if (existsSync(file)) return;
  try {
    const lock = await lockCache(`${jars}.lock`);
    try {
      // Another process may have made it while this one waited.
      if (!existsSync(file)) await record(jars, file, options);
    } finally {
      lock.release();
    }
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    options.onLine(`Kafka starts without its classes kept: ${error.message}`);
  }
}

async function record(
  jars: string,
  file: string,
  { environment, onLine }: JarOptions,
): Promise<void> {
  onLine('Keeping the classes of Kafka, so that it starts faster (once) …');
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-kafka-classes-'));
  const [port = 0] = await steadyPorts(1);
  const own = `${file}.${path.basename(directory)}`;
  const given = { directory, port, jars, environment, onLine: ignore };
  const over = new AbortController();
  try {
    const broker = await startBroker({ ...given, recordsClasses: own });
    // The file is written at the end, which takes longer than a broker may else take to stop.
    broker.process.kill('SIGTERM');
    const late = pause(kafkaFetchMsMax, undefined, { signal: over.signal }).catch(ignore);
    await Promise.race([broker.ended, late]);
    await broker.stop();
    if (existsSync(own)) renameSync(own, file);
  } finally {
    over.abort();
    rmSync(own, { force: true });
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

function ignore(): void {}
