/** Tests of the lock on a data directory, with real processes as its owners. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDirectory } from '../../dev/lock.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-lock-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('lockDirectory()', () => {
  it('makes the directory and gives it free again', () => {
    const inside = path.join(directory, 'a', 'b');
    const lock = lockDirectory(inside);
    expect(existsSync(path.join(inside, 'lock'))).toBe(true);
    lock.release();
    expect(existsSync(path.join(inside, 'lock'))).toBe(false);
    lockDirectory(inside).release();
  });

  it('refuses a directory that a living process holds, and names the process', async () => {
    const script = `import { lockDirectory } from ${JSON.stringify(
      path.join(import.meta.dirname, '../../dev/lock.ts'),
    )}; lockDirectory(${JSON.stringify(directory)}); console.log('locked'); setInterval(() => 0, 1000);`;
    const other = spawn(process.execPath, ['--input-type=module', '-e', script]);
    await once(other.stdout, 'data');
    expect(() => lockDirectory(directory)).toThrow(
      expect.objectContaining({
        code: 'DATA_DIRECTORY',
        message: expect.stringContaining(`process ${other.pid}`) as string,
      }),
    );
    other.kill('SIGKILL');
    await once(other, 'exit');
    lockDirectory(directory).release();
  });

  it('takes over the lock of an owner whose process number was given to another since', () => {
    writeFileSync(path.join(directory, 'lock'), '1 another-boot/123\n');
    const lock = lockDirectory(directory);
    expect(readFileSync(path.join(directory, 'lock'), 'utf8')).toMatch(`${process.pid} `);
    lock.release();
  });

  it.runIf(process.platform === 'linux')('says so of a directory that no program can make', () => {
    expect(() => lockDirectory('/proc/tidemark/data')).toThrow(
      expect.objectContaining({ code: 'DATA_DIRECTORY' }),
    );
  });

  it('says clearly that a directory cannot be written', () => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    expect(() => lockDirectory(path.join(file, 'data'))).toThrow(
      expect.objectContaining({
        code: 'DATA_DIRECTORY',
        message: expect.stringContaining('choose another with --data') as string,
      }),
    );
  });
});
