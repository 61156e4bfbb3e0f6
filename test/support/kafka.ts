/**
 * A real Kafka for one test file. Where Java or Maven is missing the tests that need it are skipped
 * and a line says so; in CI they fail instead.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { startKafka } from '../../dev/kafka.ts';
import type { RunningKafka } from '../../dev/kafka.ts';
import { readSettings } from '../../schemas/settings.ts';
import type { Settings } from '../../schemas/settings.ts';
import { openKafka } from '../../workers/clients/kafka/kafka.ts';
import type { Kafka } from '../../workers/clients/kafka/kafka.ts';

/** For `describe.skipIf(noKafka)`: what is missing, or `false`. */
export const noKafka: boolean = !hasPrograms();

export interface TestKafka extends RunningKafka {
  readonly settings: Settings;
  readonly client: Kafka;
  /** Its data lie in `data` there. */
  readonly directory: string;
  /** Starts it again, on the same port and data, after `stop` or `kill`. */
  restart(): Promise<void>;
  /** Stops it and removes its data. */
  close(): Promise<void>;
}

export interface TestKafkaOptions {
  /** @default any free port */
  readonly port?: number;
  /** Rows of the broker's `server.properties`, such as other listeners. */
  readonly properties?: Readonly<Record<string, string>>;
  /** For its client: those of the broker itself by default. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts a broker on a free port, empty. Takes about 4 s, the first time on a machine some 20. */
export async function startTestKafka(given: TestKafkaOptions = {}): Promise<TestKafka> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-kafka-'));
  const { properties = {} } = given;
  const place = given.port === undefined ? {} : { port: given.port };
  const options = { directory, environment: process.env, properties, ...place };
  let running = await startKafka(options).catch((error: unknown) => {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  });
  const { port, brokers } = running;
  const settings = readSettings({ KAFKA_BROKERS: brokers, ...given.settings });
  return {
    port,
    brokers,
    settings,
    directory,
    client: openKafka(settings, pino({ level: 'silent' })),
    get pid() {
      return running.pid;
    },
    stop: () => running.stop(),
    kill: () => running.kill(),
    async restart() {
      running = await startKafka({ ...options, port });
    },
    async close() {
      await running.stop();
      rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

function hasPrograms(): boolean {
  const missing = [...(runsJava() ? [] : ['java']), ...(isOnPath('mvn') ? [] : ['mvn'])];
  if (missing.length === 0) return true;
  const names = missing.join(' and ');
  if (process.env['CI']) throw new Error(`Tests on a real Kafka need ${names}, which CI must have`);
  process.stderr.write(`SKIPPED: tests on a real Kafka, because there is no ${names}\n`);
  return false;
}

function runsJava(): boolean {
  try {
    execFileSync('java', ['-version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Maven is a program of Java: asked for its version, it takes half a second in every test file. */
function isOnPath(program: string): boolean {
  const directories = (process.env['PATH'] ?? '').split(path.delimiter);
  return directories.some((directory) => existsSync(path.join(directory, program)));
}
