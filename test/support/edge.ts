/** Starts the Worker as the embedded stack does, in workerd, on a ClickHouse that is there already. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePorts } from '../../dev/port.ts';

const entry = join(import.meta.dirname, '../../dev/edge.ts');

export interface TestEdge {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  stop(): Promise<void>;
}

/** `settings` are environment variables of the edge. */
export async function startEdge(settings: Readonly<Record<string, string>>): Promise<TestEdge> {
  const directory = await mkdtemp(join(os.tmpdir(), 'tidemark-edge-'));
  const [port = 0] = await freePorts(1);
  const program = spawn(process.execPath, [entry, '--port', String(port), '--persist', directory], {
    env: { ...process.env, ...settings },
    // The channel ends it with this process, should a test run be cut short.
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  for await (const line of createInterface({ input: program.stdout as NodeJS.ReadableStream })) {
    if (line.includes('"ready"')) break;
  }
  return {
    origin: `http://127.0.0.1:${port}`,
    async stop() {
      const exited = once(program, 'exit');
      program.kill('SIGTERM');
      await exited;
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
