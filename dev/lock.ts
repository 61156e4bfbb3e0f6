/**
 * Lets one instance use a data directory at a time: a file that names its owner. The lock of a
 * process that is no more is taken over. Never deletes the lock of a living owner.
 */
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { TidemarkError } from '../schemas/errors.ts';
import { lockTriesMax } from '../schemas/limits/dev.ts';

export interface Lock {
  /** Gives the directory free. */
  release(): void;
}

/**
 * Makes `directory` if there is none and locks it for this process. Throws DATA_DIRECTORY when it
 * cannot be written, and when another living process holds it.
 */
export function lockDirectory(directory: string): Lock {
  const file = path.join(directory, 'lock');
  const owner = `${process.pid} ${birthOf(process.pid) ?? ''}\n`;
  prepare(directory);
  for (let attempt = 0; attempt < lockTriesMax; attempt += 1) {
    if (create(file, owner)) return { release: () => release(file, owner) };
    removeStale(file, directory);
  }
  throw inUse(directory, 'another program that starts at the same time');
}

function prepare(directory: string): void {
  try {
    make(directory);
    const probe = path.join(directory, `probe-${process.pid}`);
    writeFileSync(probe, '');
    rmSync(probe);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TidemarkError(
      'DATA_DIRECTORY',
      `Cannot write to the data directory "${directory}": ${reason}; choose another with --data`,
      { cause },
    );
  }
}

/** Node's recursive way never ends where a file system says ENOENT of what it does not want, as /proc does. */
function make(directory: string): void {
  if (existsSync(directory)) return;
  make(path.dirname(directory));
  try {
    mkdirSync(directory);
  } catch (error) {
    // Another program that starts at the same time was first.
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

function create(file: string, owner: string): boolean {
  try {
    writeFileSync(file, owner, { flag: 'wx' });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Moves the lock of a dead owner away; throws when the owner lives. */
function removeStale(file: string, directory: string): void {
  const owner = read(file);
  if (owner === undefined) return;
  const pid = Number(owner.split(' ')[0]);
  if (isAlive(owner)) throw inUse(directory, `process ${pid}`);
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  // Between reading and moving, a third process may have taken the lock: it gets it back.
  if (read(aside) !== owner) linkSync(aside, file);
  rmSync(aside);
}

function isAlive(owner: string): boolean {
  const [pid = '', birth = ''] = owner.trim().split(' ');
  const current = birthOf(Number(pid));
  if (current === undefined || Number(pid) === process.pid) return false;
  return birth === '' || current === '' || birth === current;
}

/**
 * When a process began, in a form that only serves comparison, so that a number that was given
 * out again (in a container it always is) is not taken for the old owner. Empty where the system
 * does not tell, `undefined` for no such process.
 */
function birthOf(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) !== 'EPERM') return undefined;
  }
  try {
    // proc(5): field 22 is the start time in ticks since boot; names may hold spaces and brackets.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}/${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''}`;
  } catch {
    return '';
  }
}

function release(file: string, owner: string): void {
  if (read(file) === owner) rmSync(file);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function inUse(directory: string, owner: string): TidemarkError {
  return new TidemarkError(
    'DATA_DIRECTORY',
    `Cannot use the data directory "${directory}": ${owner} uses it; choose another with --data`,
    { retryable: true },
  );
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
