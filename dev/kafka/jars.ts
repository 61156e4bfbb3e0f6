/**
 * Makes sure that Kafka's jars and a Java that runs them are on this machine: Maven fetches the jars
 * once, into a cache that all stacks and tests of a user share. Starts no Kafka.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { TidemarkError } from '../../schemas/errors.ts';
import { javaVersionMin, kafkaFetchMsMax, kafkaLockPollMs } from '../../schemas/limits/dev.ts';
import { lockDirectory } from '../lock.ts';
import type { Lock } from '../lock.ts';

export interface JarOptions {
  /** Where jars are kept. @default `~/.cache/tidemark` */
  readonly cache?: string;
  /** PATH, HOME, JAVA_HOME and the like. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Called once when something has to be fetched. */
  readonly onLine: (line: string) => void;
}

const run = promisify(execFile);
const pom = path.join(import.meta.dirname, 'pom.xml');

/** The Java to run: that of JAVA_HOME, else the one on the PATH. */
export function javaOf(environment: JarOptions['environment']): string {
  const home = environment['JAVA_HOME'] ?? '';
  return home === '' ? 'java' : path.join(home, 'bin', 'java');
}

/** Throws PROGRAM_MISSING when there is no Java, or one that is too old for Kafka 4. */
export async function assertJava(environment: JarOptions['environment']): Promise<void> {
  const java = javaOf(environment);
  const advice = `install a JRE ${javaVersionMin} or newer, or set JAVA_HOME`;
  const text = await run(java, ['-version'], { env: { ...environment } }).then(
    ({ stdout, stderr }) => `${stderr}${stdout}`,
    (cause: unknown) => {
      const message = `Cannot start Kafka: "${java}" does not run; ${advice}`;
      throw new TidemarkError('PROGRAM_MISSING', message, { cause });
    },
  );
  const version = Number(/version "(?:1\.)?(\d+)/.exec(text)?.[1]);
  if (version >= javaVersionMin) return;
  const found = text.split('\n')[0]?.trim() ?? '';
  const message = `Cannot start Kafka with ${found}: it is too old; ${advice}`;
  throw new TidemarkError('PROGRAM_MISSING', message);
}

/**
 * The directory of the jars; fetches them with Maven if they are not there, which takes a minute
 * the first time. Safe for several processes at once. Throws PROGRAM_MISSING without Maven,
 * PROGRAM_ENDED when Maven fails, DATA_DIRECTORY when the cache cannot be written.
 */
export async function kafkaJars(options: JarOptions): Promise<string> {
  const cache = path.resolve(options.cache ?? path.join(os.homedir(), '.cache', 'tidemark'));
  const contents = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 12);
  const jars = path.join(cache, `kafka-${contents}`);
  if (existsSync(jars)) return jars;
  const lock = await lockCache(path.join(cache, 'kafka.lock'));
  try {
    // Another process may have fetched them while this one waited.
    if (!existsSync(jars)) await fetchJars(jars, options);
    return jars;
  } finally {
    lock.release();
  }
}

async function fetchJars(jars: string, { environment, onLine }: JarOptions): Promise<void> {
  onLine('Fetching Kafka with Maven (43 MB, once) …');
  mkdirSync(path.dirname(jars), { recursive: true });
  // A directory with the final name is always complete: it comes into being by one rename.
  const partial = mkdtempSync(`${jars}.`);
  const plugin = 'org.apache.maven.plugins:maven-dependency-plugin';
  const copy = [`${plugin}:copy-dependencies`, '-DincludeScope=runtime'];
  const quietly = ['--quiet', '--batch-mode', '--no-transfer-progress'];
  try {
    await run('mvn', [...quietly, '-f', pom, ...copy, `-DoutputDirectory=${partial}`], {
      env: { ...environment },
      timeout: kafkaFetchMsMax,
    });
    rename(partial, jars);
  } catch (error) {
    throw mavenFault(error);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

function rename(partial: string, jars: string): void {
  try {
    renameSync(partial, jars);
  } catch (error) {
    if (!existsSync(jars)) throw error;
  }
}

function mavenFault(cause: unknown): TidemarkError {
  if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
    const advice = 'install Maven 3.6 or newer, or put the jars of another machine into its cache';
    const message = `Cannot fetch Kafka: there is no "mvn" on the PATH; ${advice}`;
    return new TidemarkError('PROGRAM_MISSING', message, { cause });
  }
  const output = cause instanceof Error && 'stdout' in cause ? String(cause.stdout) : String(cause);
  const lines = output.trim().split('\n').slice(0, 5).join('\n  ');
  return new TidemarkError('PROGRAM_ENDED', `Cannot fetch Kafka: Maven failed\n  ${lines}`, {
    cause,
  });
}

/** Waits while another process holds the lock: it is making what this one wants. Throws DATA_DIRECTORY. */
export async function lockCache(directory: string): Promise<Lock> {
  for (let waitedMs = 0; ; waitedMs += kafkaLockPollMs) {
    try {
      return lockDirectory(directory);
    } catch (error) {
      const isHeld = error instanceof TidemarkError && error.retryable;
      if (!isHeld || waitedMs >= kafkaFetchMsMax) throw error;
      await pause(kafkaLockPollMs);
    }
  }
}
