/** Starts the real embedded ClickHouse in a process of its own, for tests. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(new URL('../../dev/clickhouse/main.ts', import.meta.url));

export interface TestClickHouse {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly dataDir: string;
  readonly process: ChildProcess;
  /** What the process wrote to its standard error so far. */
  stderr(): string;
  /** Ends it as an operator would and removes the data directory (unless it was given). */
  stop(): Promise<void>;
  /** Ends it at once (SIGKILL); the data directory stays. */
  kill(): Promise<void>;
}

/** Starts ClickHouse on a free port, on a new data directory or on `dataDir`. */
export async function startClickHouse(
  options: { dataDir?: string; port?: number; configPath?: string } = {},
): Promise<TestClickHouse> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'tidemark-clickhouse-')));
  const config = options.configPath === undefined ? [] : ['--config', options.configPath];
  const child = spawn(
    process.execPath,
    [entry, '--data', dataDir, '--port', String(options.port ?? 0), ...config],
    // The channel ends it with this process, should a test run be cut short.
    { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
  );
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const exited = once(child, 'exit');
  const isOurs = options.dataDir === undefined;
  const removeData = () => rm(dataDir, { recursive: true, force: true });
  const port = await readyPort(child, () => errors).catch(async (error: unknown) => {
    if (isOurs) await removeData();
    throw error;
  });
  return {
    url: `http://127.0.0.1:${port}`,
    dataDir,
    process: child,
    stderr: () => errors,
    async stop() {
      child.kill('SIGTERM');
      await exited;
      if (isOurs) await removeData();
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function readyPort(child: ChildProcess, stderr: () => string): Promise<number> {
  let output = '';
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => {
      reject(new Error(`ClickHouse did not start (exit ${code}): ${stderr()}`));
    });
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const line = /^(\{.*\})\n/m.exec(output)?.[1];
      if (line !== undefined) resolve((JSON.parse(line) as { port: number }).port);
    });
  });
}
