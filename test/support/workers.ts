/**
 * Workers of a batch fleet as processes that a user starts (`tidemark batch worker`), which are killed at
 * will. Reads of them only what they log.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

const entry = path.join(import.meta.dirname, '../../bin/tidemark.js');

/** Log lines that are kept of each process, for the message of a test that fails. */
const linesKept = 40;

export class BatchWorker {
  /** It has been given partitions. */
  hasJoined = false;
  /** Tasks that it has begun, and those of them that have ended. */
  begun = 0;
  ended = 0;
  /** Called when it begins a task. */
  onBegin: () => void = () => undefined;
  readonly lines: string[] = [];
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  #stdout = '';

  constructor(environment: Readonly<Record<string, string>>, args: readonly string[] = []) {
    this.#child = spawn(process.execPath, [entry, 'batch', 'worker', ...args], {
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        TIDEMARK_LOG_LEVEL: 'debug',
        TIDEMARK_METRICS_PORT: '0',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    createInterface({ input: this.#child.stderr }).on('line', (line) => this.#hear(line));
    this.#child.stdout.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString()));
  }

  #hear(line: string): void {
    if (line.includes('"Takes tasks of these partitions"')) this.hasJoined = true;
    if (line.includes('"Ended a task"')) this.ended += 1;
    if (line.includes('"Begins a task"')) {
      this.begun += 1;
      this.onBegin();
    }
    this.lines.push(line);
    if (this.lines.length > linesKept) this.lines.shift();
  }

  get isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** What it wrote to stdout. */
  get stdout(): string {
    return this.#stdout;
  }

  /** Sends the signal, waits for the end, and returns the exit code; `null` after SIGKILL. */
  async end(name: NodeJS.Signals): Promise<number | null> {
    if (!this.isGone) {
      const closed = once(this.#child, 'close');
      this.#child.kill(name);
      await closed;
    }
    return this.#child.exitCode;
  }
}
