/**
 * Runs one Kafka broker that is its own controller (KRaft), on loopback, as a child process. What it
 * stores outlives it. Never restarts it.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { TidemarkError } from '../../schemas/errors.ts';
import {
  childLinesKept,
  kafkaHeapMib,
  kafkaReadyMs,
  kafkaStopMs,
} from '../../schemas/limits/dev.ts';
import { steadyPorts } from '../port.ts';
import { javaOf } from './jars.ts';

export interface BrokerOptions {
  /** Data and configuration. */
  readonly directory: string;
  readonly port: number;
  /** Directory of Kafka's jars. */
  readonly jars: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Rows of `server.properties` that are added or replace ours, such as listeners. */
  readonly properties?: Readonly<Record<string, string>>;
  /** A file that the classes which it loads are kept in, at its end. */
  readonly recordsClasses?: string;
  /** Gets what the broker logs: warnings and errors. */
  readonly onLine: (line: string) => void;
}

export interface Broker {
  readonly process: ChildProcess;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  /** SIGTERM, then SIGKILL after a while. */
  stop(): Promise<void>;
}

/** The cluster's id: sixteen bytes in base64, as `kafka-storage random-uuid` makes them. */
export const clusterId = Buffer.from('TidemarkEmbedded').toString('base64url');

/** Where the classes of these jars are kept, if they are. */
export function classesOf(jars: string): string {
  return `${jars}.jsa`;
}

/** Starts the broker and waits until it takes requests. Throws PROGRAM_ENDED with its last lines. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const { directory } = options;
  mkdirSync(directory, { recursive: true });
  const [controllerPort = 0] = await steadyPorts(1);
  const configuration = path.join(directory, 'server.properties');
  writeFileSync(configuration, properties(options, controllerPort));
  if (!existsSync(path.join(directory, 'data', 'meta.properties'))) {
    const format = ['format', '--cluster-id', clusterId, '--config', configuration];
    const storage = java(options, 'kafka.tools.StorageTool', format);
    const lines = keepLines(storage, () => undefined);
    const [code] = (await once(storage, 'close')) as [number | null];
    if (code !== 0) throw ended(`exit code ${code} while its directory was prepared`, lines);
  }
  const { recordsClasses } = options;
  const flags =
    recordsClasses === undefined ? undefined : [`-XX:ArchiveClassesAtExit=${recordsClasses}`];
  const process = java(options, 'kafka.Kafka', [configuration], flags);
  const hasEnded = once(process, 'close').then(() => undefined);
  const broker = { process, ended: hasEnded, stop: () => stop(process, hasEnded) };
  await ready(process, options).catch(async (error: unknown) => {
    await broker.stop();
    throw error;
  });
  return broker;
}

/** Resolves when Kafka says that it has started, which is after its listener was opened. */
async function ready(process: ChildProcess, { onLine }: BrokerOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const lines = keepLines(process, (line) => {
      if (line.includes('Kafka Server started')) resolve();
      else if (!line.startsWith('INFO')) onLine(line);
    });
    const late = setTimeout(
      () => reject(ended(`nothing ready after ${kafkaReadyMs} ms`, lines)),
      kafkaReadyMs,
    );
    late.unref();
    process.once('error', reject);
    process.once('close', (code, signal) => {
      clearTimeout(late);
      reject(ended(signal ?? `exit code ${code ?? 'unknown'}`, lines));
    });
  });
}

async function stop(process: ChildProcess, hasEnded: Promise<void>): Promise<void> {
  process.kill('SIGTERM');
  const late = setTimeout(() => process.kill('SIGKILL'), kafkaStopMs);
  await hasEnded;
  clearTimeout(late);
}

function java(
  { jars, environment, directory }: BrokerOptions,
  main: string,
  args: readonly string[],
  flags: readonly string[] = kept(jars),
): ChildProcess {
  const logging = path.join(import.meta.dirname, 'log4j2.xml');
  const memory = ['-Xms64m', `-Xmx${kafkaHeapMib}m`, '-XX:+UseSerialGC'];
  const quickStart = ['-XX:TieredStopAtLevel=1', '-Xshare:auto'];
  const classes = ['-cp', path.join(jars, '*'), `-Dlog4j2.configurationFile=${logging}`];
  const all = [...memory, ...quickStart, ...flags, ...classes, main, ...args];
  return spawn(javaOf(environment), all, {
    cwd: directory,
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Another Java than the one that made the file goes on without it. */
function kept(jars: string): string[] {
  return existsSync(classesOf(jars)) ? [`-XX:SharedArchiveFile=${classesOf(jars)}`] : [];
}

/** Its last lines, kept for the message of an error; each also goes to `onLine`. */
function keepLines(process: ChildProcess, onLine: (line: string) => void): string[] {
  const lines: string[] = [];
  for (const stream of [process.stdout, process.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > childLinesKept) lines.shift();
      onLine(line);
    });
  }
  return lines;
}

function ended(how: string, lines: readonly string[]): TidemarkError {
  const text = lines.map((line) => `\n  ${line}`).join('');
  return new TidemarkError('PROGRAM_ENDED', `Program kafka ended, ${how}${text}`);
}

/**
 * One node, so that every internal topic has one replica. Topics are created by name only: a
 * misspelt topic must fail, as it does in a well-kept cluster.
 */
function properties(
  { directory, port, properties: given }: BrokerOptions,
  controllerPort: number,
): string {
  const rows = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': path.join(directory, 'data').replaceAll('\\', '/'),
    'auto.create.topics.enable': false,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    // The least that a member may choose: tests kill members and wait for others to take over.
    'group.min.session.timeout.ms': 1000,
    // A broker that was killed has to wait this long before it may come back.
    'broker.session.timeout.ms': 3000,
    'broker.heartbeat.interval.ms': 500,
    'num.network.threads': 2,
    'num.io.threads': 2,
    'log.cleaner.dedupe.buffer.size': 8_388_608,
    'log.index.size.max.bytes': 1_048_576,
    ...given,
  };
  return Object.entries(rows)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}
