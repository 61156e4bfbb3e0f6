/**
 * Keeps one program of the embedded stack running: starts it in a process group of its own, waits
 * until it says that it is ready, restarts it with growing pauses, stops it. Never decides what a
 * program's end means to the others.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { TidemarkError } from '../schemas/errors.ts';
import * as limits from '../schemas/limits/dev.ts';

export interface ChildOptions {
  /** For messages: `clickhouse`, `edge`, `archive`. */
  readonly name: string;
  /** Arguments of Node: a script and its arguments. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Gets every line that the program writes, but for the one that says it is ready. */
  readonly onLine: (line: string) => void;
  /** The program is ready when it has written a line of JSON to stdout that has this field. */
  readonly readyField?: string;
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonicMs: () => number;
  /** How far it gives way to programs that must answer at once: 0, not at all, to 19. @default 0 */
  readonly nice?: number;
  /** The first pause before a restart. @default childBackoffMs */
  readonly backoffMs?: number;
}

/** One supervised program. */
export class Child {
  /** Resolves with the reason when the program has ended for good without being told to. */
  readonly died: Promise<TidemarkError>;
  readonly #options: ChildOptions;
  readonly #die: (reason: TidemarkError) => void;
  #program: ChildProcess | undefined;
  #lastLines: string[] = [];
  readonly #stopping = new AbortController();
  #supervision: Promise<void> = Promise.resolve();

  constructor(options: ChildOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<TidemarkError>();
    this.died = promise;
    this.#die = resolve;
  }

  get pid(): number | undefined {
    return this.#program?.pid;
  }

  /** Starts it and waits until it is ready. Throws PROGRAM_ENDED when it ends or takes too long. */
  async start(): Promise<void> {
    const { program, ready } = this.#spawn();
    await ready;
    this.#supervision = this.#supervise(program);
  }

  /** SIGTERM, then SIGKILL after a while; resolves when no process of its group is left. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#program) await end(this.#program);
    await this.#supervision;
  }

  #spawn(): { program: ChildProcess; ready: Promise<void> } {
    const { args, environment, readyField, nice = 0 } = this.#options;
    // Its own group: Ctrl-C in the terminal reaches only us, and we stop everything in order. The
    // IPC channel tells the program when we are gone.
    const program = spawn(process.execPath, [...args], {
      env: { ...environment },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    });
    // Now, while it has one thread: threads have the priority of the one that starts them.
    if (nice > 0 && program.pid !== undefined) setPriority(program.pid, nice);
    this.#program = program;
    this.#lastLines = [];
    const ready = new Promise<void>((resolve, reject) => {
      if (readyField === undefined) program.once('spawn', () => resolve());
      this.#readLines(program, (line) => {
        const isReady = readyField !== undefined && hasField(line, readyField);
        if (isReady) resolve();
        return isReady;
      });
      program.once('exit', () => reject(this.#ended(program)));
      program.once('error', reject);
      const late = setTimeout(() => reject(this.#tooSlow()), limits.childReadyMs);
      program.once('exit', () => clearTimeout(late));
      if (readyField === undefined) clearTimeout(late);
      else late.unref();
    });
    return { program, ready };
  }

  async #supervise(first: ChildProcess): Promise<void> {
    let current = first;
    let restarts = 0;
    let sinceMs = this.#options.monotonicMs();
    const firstMs = this.#options.backoffMs ?? limits.childBackoffMs;
    for (;;) {
      await exited(current);
      killGroup(current, 'SIGKILL');
      if (this.#stopping.signal.aborted) return;
      const ranMs = this.#options.monotonicMs() - sinceMs;
      restarts = ranMs > limits.childSteadyMs ? 1 : restarts + 1;
      if (restarts > limits.childRestartsMax) return this.#die(this.#ended(current));
      const pauseMs = Math.min(firstMs * 2 ** (restarts - 1), limits.childBackoffMsMax);
      this.#options.onLine(`${this.#ended(current).message}; starts again in ${pauseMs} ms`);
      await pause(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      if (this.#stopping.signal.aborted) return;
      sinceMs = this.#options.monotonicMs();
      const next = this.#spawn();
      next.ready.catch(() => killGroup(next.program, 'SIGKILL'));
      current = next.program;
    }
  }

  #readLines(program: ChildProcess, isConsumed: (line: string) => boolean): void {
    for (const stream of [program.stdout, program.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream }).on('line', (line) => {
        if (isConsumed(line)) return;
        this.#lastLines = [...this.#lastLines, line].slice(-limits.childLinesKept);
        this.#options.onLine(line);
      });
    }
  }

  #ended(program: ChildProcess): TidemarkError {
    const how = program.signalCode ?? `exit code ${program.exitCode ?? 'unknown'}`;
    const lines = this.#lastLines.map((line) => `\n  ${line}`).join('');
    return new TidemarkError(
      'PROGRAM_ENDED',
      `Program ${this.#options.name} ended, ${how}${lines}`,
    );
  }

  #tooSlow(): TidemarkError {
    const { name } = this.#options;
    const message = `Program ${name} was not ready within ${limits.childReadyMs} ms`;
    return new TidemarkError('PROGRAM_ENDED', message);
  }
}

export interface RunOptions {
  /** Arguments of Node: a script and its arguments. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly onLine: (line: string) => void;
  /** Ends the program. */
  readonly signal: AbortSignal;
}

/** Runs a program to its end; returns its exit code, 1 when it was killed or could not start. */
export async function runProgram(options: RunOptions): Promise<number> {
  const program = spawn(process.execPath, [...options.args], {
    env: { ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  for (const stream of [program.stdout, program.stderr]) {
    if (stream) createInterface({ input: stream }).on('line', options.onLine);
  }
  const stop = (): void => void end(program);
  options.signal.addEventListener('abort', stop, { once: true });
  if (options.signal.aborted) stop();
  await once(program, 'close').catch((error: unknown) => options.onLine(String(error)));
  options.signal.removeEventListener('abort', stop);
  return program.exitCode ?? 1;
}

async function end(program: ChildProcess): Promise<void> {
  if (isRunning(program)) {
    program.kill('SIGTERM');
    const late = setTimeout(() => killGroup(program, 'SIGKILL'), limits.childStopMs);
    await exited(program);
    clearTimeout(late);
  }
  killGroup(program, 'SIGKILL');
}

async function exited(program: ChildProcess): Promise<void> {
  if (isRunning(program)) await once(program, 'exit');
}

function isRunning(program: ChildProcess): boolean {
  return program.pid !== undefined && program.exitCode === null && program.signalCode === null;
}

/** Also reaches what the program itself has started, such as workerd. */
function killGroup(program: ChildProcess, signal: NodeJS.Signals): void {
  if (program.pid === undefined) return;
  try {
    process.kill(-program.pid, signal);
  } catch {
    // The group has no process left: what was wanted.
  }
}

function hasField(line: string, field: string): boolean {
  if (!line.startsWith('{')) return false;
  try {
    return field in (JSON.parse(line) as object);
  } catch {
    return false;
  }
}
