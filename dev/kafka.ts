/**
 * A real Apache Kafka on loopback, for tests and benchmarks: fetches its jars if need be, starts it
 * and stops it. The embedded stack runs the same broker under its own supervision. Never restarts it.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { TidemarkError } from '../schemas/errors.ts';
import { keepClasses } from './kafka/classes.ts';
import { assertJava, kafkaJars } from './kafka/jars.ts';
import type { JarOptions } from './kafka/jars.ts';
import { steadyPorts } from './port.ts';

export interface KafkaOptions extends Partial<JarOptions> {
  /** Data and configuration; they outlive the broker. */
  readonly directory: string;
  /** @default any free port */
  readonly port?: number;
  /** PATH, HOME, JAVA_HOME and the like. */
  readonly environment: JarOptions['environment'];
  /** Rows of its `server.properties` that are added or replace ours. */
  readonly properties?: Readonly<Record<string, string>>;
}

export interface RunningKafka {
  readonly port: number;
  /** `127.0.0.1:<port>`, for KAFKA_BROKERS. */
  readonly brokers: string;
  /** The broker's own process id. */
  readonly pid: number;
  /** Ends it as an operator would; what it stored stays. */
  stop(): Promise<void>;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
}

/**
 * Starts Kafka and waits until it takes requests: about 3 s, and once some 20 s more for Maven. Throws
 * PROGRAM_MISSING without Java 17 or Maven, PROGRAM_ENDED when it does not come up.
 */
export async function startKafka(options: KafkaOptions): Promise<RunningKafka> {
  const { environment, onLine = () => undefined, cache } = options;
  await assertJava(environment);
  const kept = { environment, onLine, ...(cache !== undefined && { cache }) };
  const jars = await kafkaJars(kept);
  await keepClasses(jars, kept);
  const port = options.port ?? (await steadyPorts(1))[0] ?? 0;
  const entry = path.join(import.meta.dirname, 'kafka', 'main.ts');
  const directory = path.resolve(options.directory);
  const args = [entry, '--directory', directory, '--port', String(port), '--jars', jars];
  if (options.properties) args.push('--properties', JSON.stringify(options.properties));
  const keeper = spawn(process.execPath, args, {
    env: { ...environment },
    // The channel ends it with this process.
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const ended = once(keeper, 'close').then(() => undefined);
  const pid = await readyPid(keeper, onLine);
  const end = async (signal: NodeJS.Signals, target: number | undefined): Promise<void> => {
    if (target !== undefined && keeper.exitCode === null) process.kill(target, signal);
    await ended;
  };
  return {
    port,
    brokers: `127.0.0.1:${port}`,
    pid,
    stop: () => end('SIGTERM', keeper.pid),
    kill: () => end('SIGKILL', pid),
  };
}

async function readyPid(keeper: ChildProcess, onLine: (line: string) => void): Promise<number> {
  const { stdout, stderr } = keeper;
  if (!stdout || !stderr) throw new Error('Bug: the broker was started without pipes');
  const errors: string[] = [];
  createInterface({ input: stderr }).on('line', (line) => {
    errors.push(line);
    onLine(line);
  });
  return new Promise((resolve, reject) => {
    createInterface({ input: stdout }).once('line', (line) => {
      errors.length = 0;
      resolve((JSON.parse(line) as { pid: number }).pid);
    });
    keeper.once('close', () => {
      reject(new TidemarkError('PROGRAM_ENDED', `Cannot start Kafka: ${errors.join('\n')}`));
    });
  });
}
