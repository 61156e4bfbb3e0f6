/** Tests of supervised programs, with real Node processes. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Child, runProgram } from '../../dev/child.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-child-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function childOf(script: string, lines: string[] = []): Child {
  return new Child({
    name: 'probe',
    args: ['-e', script],
    environment: process.env,
    readyField: 'ready',
    onLine: (line) => void lines.push(line),
    monotonicMs: () => performance.now(),
  });
}

const ready = `console.log(JSON.stringify({ ready: true }));`;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('Child', () => {
  it('is ready when it says so, hands on its other lines, and stops at SIGTERM', async () => {
    const lines: string[] = [];
    const child = childOf(`console.log('hello'); ${ready} setInterval(() => 0, 1000);`, lines);
    await child.start();
    const { pid } = child;
    expect(pid && isAlive(pid)).toBe(true);
    await child.stop();
    expect(lines).toEqual(['hello']);
    expect(pid && isAlive(pid)).toBe(false);
  });

  it('start() fails with the last lines of a program that ends before it is ready', async () => {
    const child = childOf(`console.error('no disk'); process.exitCode = 3;`);
    await expect(child.start()).rejects.toMatchObject({
      code: 'PROGRAM_ENDED',
      message: expect.stringMatching(/probe ended, exit code 3(\n {2}no disk)?/) as string,
    });
  });

  it('starts a program again that was killed', async () => {
    const child = childOf(`${ready} setInterval(() => 0, 1000);`);
    await child.start();
    const first = child.pid;
    process.kill(first ?? 0, 'SIGKILL');
    while (child.pid === first) await pause(20);
    expect(child.pid).not.toBe(first);
    await child.stop();
  });

  it('dies for good, with the reason, when it ends again and again', async () => {
    const log = path.join(directory, 'starts');
    const script = `require('fs').appendFileSync(${JSON.stringify(log)}, 'x'); ${ready}
      setTimeout(() => process.exit(7), 10);`;
    const child = new Child({
      name: 'probe',
      args: ['-e', script],
      environment: process.env,
      readyField: 'ready',
      onLine: () => undefined,
      // A clock that stands still: every end counts as an early one.
      monotonicMs: () => 0,
      backoffMs: 1,
    });
    await child.start();
    const reason = await child.died;
    expect(reason).toMatchObject({ code: 'PROGRAM_ENDED' });
    expect(reason.message).toContain('exit code 7');
    expect(readFileSync(log, 'utf8')).toBe('x'.repeat(6));
    await child.stop();
  });

  it('leaves nothing of its process group behind', async () => {
    const script = `const child = require('child_process').spawn('sleep', ['600']);
      console.log(JSON.stringify({ pid: child.pid })); ${ready} setInterval(() => 0, 1000);`;
    const lines: string[] = [];
    const child = childOf(script, lines);
    await child.start();
    await child.stop();
    const { pid } = JSON.parse(lines[0] ?? '{}') as { pid: number };
    for (let turn = 0; turn < 50 && isAlive(pid); turn += 1) await pause(20);
    const state = isAlive(pid) ? readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] : 'gone';
    // A killed orphan may stay in the table until whoever adopted it looks.
    expect(['gone', 'Z']).toContain(state);
  });
});

describe('runProgram()', () => {
  const base = { environment: process.env, onLine: () => undefined };

  it('returns the exit code', async () => {
    const { signal } = new AbortController();
    expect(await runProgram({ ...base, args: ['-e', 'process.exit(4)'], signal })).toBe(4);
    expect(await runProgram({ ...base, args: ['-e', '0'], signal })).toBe(0);
  });

  it('ends the program when it is told to', async () => {
    const controller = new AbortController();
    const args = ['-e', 'setInterval(() => 0, 1000)'];
    const running = runProgram({ ...base, args, signal: controller.signal });
    controller.abort();
    expect(await running).toBe(1);
  });
});
