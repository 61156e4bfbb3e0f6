/**
 * Archivers as processes that a user starts (`tidemark archive`), which are killed, stopped and put
 * to sleep at will. Reads of them only what they log.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

const entry = path.join(import.meta.dirname, '../../bin/tidemark.js');

/** Log lines that are kept of each process, for the message of a test that fails. */
const linesKept = 30;

const patienceMs = 120_000;

export class Archiver {
  readonly name: string;
  readonly startedMs = performance.now();
  /** Flushes that it has logged as committed. */
  commits = 0;
  /** Flushes that it gave up because another archiver had committed first. */
  conflicts = 0;
  /** It has been given partitions: before that it may not have loaded, and dies of any signal. */
  hasJoined = false;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #lines: string[] = [];
  #stdout = '';

  constructor(name: string, environment: Readonly<Record<string, string>>, args: string[] = []) {
    this.name = name;
    this.#child = spawn(process.execPath, [entry, 'archive', ...args], {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    createInterface({ input: this.#child.stderr }).on('line', (line) => this.#hear(line));
    this.#child.stdout.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString()));
  }

  #hear(line: string): void {
    if (line.includes('"Reads these partitions"')) this.hasJoined = true;
    if (line.includes('"Committed a flush"')) this.commits += 1;
    else if (line.includes('"Another archiver committed first"')) this.conflicts += 1;
    else this.#lines.push(line);
    if (this.#lines.length > linesKept) this.#lines.shift();
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** What it wrote to stdout, once it has ended. */
  get stdout(): string {
    return this.#stdout;
  }

  /** The last lines of its log that are not commits. */
  get log(): string {
    return [`${this.name}:`, ...this.#lines].join('\n');
  }

  signal(name: NodeJS.Signals): void {
    if (!this.ended) this.#child.kill(name);
  }

  /** Sends the signal, waits for the end, and returns the exit code; `null` after SIGKILL. */
  async end(name: NodeJS.Signals): Promise<number | null> {
    this.signal(name);
    return this.exit();
  }

  async exit(): Promise<number | null> {
    if (!this.ended) await once(this.#child, 'close');
    return this.#child.exitCode;
  }
}

/** Archivers in one group, any of which may go at any time. */
export class Fleet {
  /** Also those that are no more. */
  readonly all: Archiver[] = [];
  readonly members: Archiver[] = [];
  kills = 0;
  /** Kills of archivers that had committed something. */
  killsAtWork = 0;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #startedMs = performance.now();

  constructor(environment: Readonly<Record<string, string>>) {
    this.#environment = environment;
  }

  get commits(): number {
    return this.all.reduce((sum, archiver) => sum + archiver.commits, 0);
  }

  get conflicts(): number {
    return this.all.reduce((sum, archiver) => sum + archiver.conflicts, 0);
  }

  /** Starts an archiver, with other settings perhaps, that is no member. */
  start(args: string[] = [], more: Readonly<Record<string, string>> = {}): Archiver {
    const name = `archiver ${this.all.length + 1}`;
    const archiver = new Archiver(name, { ...this.#environment, ...more }, args);
    this.all.push(archiver);
    return archiver;
  }

  join(): void {
    this.members.push(this.start());
  }

  /** Kills the member at `index`, and starts another one in its place. */
  kill(index: number): void {
    const [victim] = this.members.splice(index, 1);
    if (!victim) throw new Error(`there is no member ${index}`);
    if (victim.commits > 0) this.killsAtWork += 1;
    victim.signal('SIGKILL');
    this.kills += 1;
    this.join();
  }

  /** Waits for something that comes soon, unless other programs have the machine. */
  async until(isSo: () => boolean): Promise<boolean> {
    for (const untilMs = performance.now() + patienceMs; performance.now() < untilMs;) {
      if (isSo()) return true;
      await delay(20);
    }
    return false;
  }

  /** Waits until anybody commits. */
  atWork(): Promise<boolean> {
    const before = this.commits;
    return this.until(() => this.commits > before);
  }

  /** Says on stdout what happened, and when. */
  note(what: string): void {
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(1);
    console.info(`${seconds} s: ${what}; ${this.kills} kills, ${this.commits} commits`);
  }
}
