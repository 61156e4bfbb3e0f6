/**
 * Runs the real OpenTelemetry Collector of `peers.ts` on loopback: OTLP/HTTP in, whatever
 * exporters a test names out.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts } from '../../dev/port.ts';

const readyMs = 30_000;

export interface Collector {
  /** Where it takes OTLP/HTTP, such as `http://127.0.0.1:4318`. */
  readonly endpoint: string;
  /** What it has logged so far: warnings and errors. */
  readonly log: () => string;
  stop(): Promise<void>;
}

/**
 * Starts the Collector at `program`. Every pipeline takes OTLP/HTTP and sends to all `exporters`,
 * which are given as its configuration has them; `receiver` are settings of the HTTP receiver.
 */
export async function startCollector(
  program: string,
  exporters: Readonly<Record<string, object>>,
  receiver: object = {},
): Promise<Collector> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-collector-'));
  const [port = 0] = await freePorts(1);
  const file = path.join(directory, 'collector.yaml');
  const http = { endpoint: `127.0.0.1:${port}`, ...receiver };
  const pipeline = { receivers: ['otlp'], exporters: Object.keys(exporters) };
  // JSON is YAML.
  const config = {
    receivers: { otlp: { protocols: { http } } },
    exporters,
    service: {
      telemetry: { metrics: { level: 'none' }, logs: { level: 'warn' } },
      pipelines: { traces: pipeline, metrics: pipeline, logs: pipeline },
    },
  };
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(program, ['--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const endpoint = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'close');
    }
    rmSync(directory, { recursive: true, force: true });
  };
  for (const until = performance.now() + readyMs; performance.now() < until;) {
    const isUp = await fetch(endpoint).then(
      () => true,
      () => false,
    );
    if (isUp) return { endpoint, log: () => log, stop };
    if (child.exitCode !== null) break;
    await pause(50);
  }
  await stop();
  throw new Error(`the Collector did not start:\n${log}`);
}
