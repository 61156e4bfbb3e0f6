/** Tests of the command line as users call it: help, exit codes, messages; with real processes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allCommands, main, program } from '../../bin/main.ts';
import type { Context } from '../../bin/context.ts';
import { CommandFailed } from '../../bin/outcome.ts';
import { freePorts } from '../../dev/port.ts';

const entry = path.join(import.meta.dirname, '../../bin/tidemark.js');

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `tidemark` in a process of its own. */
async function tidemark(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  nodeArgs: readonly string[] = [],
): Promise<Outcome> {
  const child = spawn(process.execPath, [...nodeArgs, entry, ...args], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  return { code: child.exitCode, stdout, stderr };
}

/** Runs a command in this process, without a process's start-up time. */
async function run(
  args: readonly string[],
  environment: Record<string, string> = {},
  signal = new AbortController().signal,
) {
  const [out, err]: string[][] = [[], []];
  const context: Context = {
    environment,
    stdout: { write: (line: string) => out?.push(line) },
    stderr: { write: (line: string) => err?.push(line) },
    now: () => Date.now(),
    signal,
  };
  const code = await main(args, context);
  return { code, stdout: out?.join('') ?? '', stderr: err?.join('') ?? '' };
}

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-bin-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const silent: Context = {
  environment: {},
  stdout: { write: () => undefined },
  stderr: { write: () => undefined },
  now: () => 0,
  signal: new AbortController().signal,
};

describe('tidemark', () => {
  const paths = allCommands(program(silent)).map((command) => {
    const names: string[] = [];
    for (let at = command; at.parent; at = at.parent) names.unshift(at.name());
    return names;
  });

  it('has the commands that its documents name', () => {
    const names = paths.map((names_) => names_.join(' ')).toSorted();
    expect(names).toEqual([
      '',
      'archive',
      'batch',
      'batch backfill',
      'batch merge',
      'batch rollback',
      'batch run',
      'batch runs',
      'batch schedule',
      'batch shard',
      'batch worker',
      'check',
      'compact',
      'cost',
      'demo',
      'drift',
      'import',
      'kafka-rest',
      'key',
      'key create',
      'key list',
      'key revoke',
      'ledger',
      'lookup',
      'migrate',
      'repair',
      'replay',
      'retain',
      'start',
      'status',
      'sweep',
      'trace',
      'verify',
    ]);
  });

  it.each(paths.map((names) => [names.join(' ')]))('"%s --help" explains itself', async (name) => {
    const outcome = await run([...name.split(' ').filter(Boolean), '--help']);
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toContain('Usage: tidemark');
    expect(outcome.stdout).toContain('Exit codes:');
    expect(outcome.stderr).toBe('');
  });

  it.each([
    [['nonsense'], 'unknown command'],
    [['start', '--nonsense'], 'unknown option'],
    [['batch', 'run'], 'give either --date or --due'],
    [['batch', 'run', '--date', '2026-11-31'], 'wanted one such as'],
    [['batch', 'run', '--date', 'yesterday'], 'wanted one such as'],
    [['batch', 'run', '--due', '--hour', '3'], 'cannot be used with option'],
    [['batch', 'run', '--date', '2026-11-21', '--hour', '24'], 'from 0 to 23'],
    [['batch', 'run', '--date', '2026-11-21T03', '--hour', '3'], 'is an hour already'],
    [['batch', 'run', '--date', '2026-11-21', '--kind', 'hour'], 'cannot be used with option'],
    [['batch', 'run', '--date', '2026-11-21T03', '--signal', 'logs'], 'Cannot run hours of logs'],
    [['batch', 'run', '--due', '--kind', 'hour', '--signal', 'logs'], 'Cannot run hours of logs'],
    [
      [
        'batch',
        'shard',
        '--date',
        '2026-11-21T03',
        '--signal',
        'logs',
        '--index',
        '0',
        '--of',
        '2',
      ],
      'Cannot run hours of logs',
    ],
    [['batch', 'merge', '--date', '2026-11-21T03', '--signal', 'metrics'], 'Cannot run hours of'],
    [['verify'], 'required option'],
    [['trace', '\u001b[2J'], 'Cannot search for "\ufffd[2J"'],
    [['drift', '--date', '2026-11-21', '--max-missing', 'many'], 'It is not a percentage'],
    [['demo', '--spans', 'many'], 'It is not a whole number'],
    [['start', '--port', '99999'], 'TIDEMARK_PORT'],
  ])('%j is a usage error: exit code 2', async (args, message) => {
    const outcome = await run(args);
    expect(outcome.stderr).toContain(message);
    expect(outcome.code).toBe(2);
    expect(outcome.stdout).toBe('');
  });

  it('refuses a TIDEMARK_ variable that no setting has: exit code 2, and its name', async () => {
    const outcome = await tidemark(['status'], { TIDEMARK_PROT: '1' });
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toContain('TIDEMARK_PROT');
    expect(outcome.stderr).not.toContain('    at ');
  });

  it('shows a stack only when TIDEMARK_LOG_LEVEL is debug', async () => {
    const outcome = await run(['status'], { TIDEMARK_PROT: '1', TIDEMARK_LOG_LEVEL: 'debug' });
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toContain('    at ');
  });

  it('prints its version', async () => {
    const outcome = await tidemark(['--version']);
    expect(outcome).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  it('ends as ever when nobody reads on, as behind a pipe to head', async () => {
    const child = spawn(process.execPath, [entry, 'cost', '--assumptions'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    const closed = once(child, 'close');
    expect(await text(child.stderr)).toBe('');
    await closed;
    expect(child.exitCode).toBe(0);
  });

  it('tells an old Node clearly what it needs: exit code 1', async () => {
    // The preloaded module makes this Node say that it is an old one.
    const preload = path.join(directory, 'old.cjs');
    writeFileSync(
      preload,
      `Object.defineProperty(process.versions, 'node', { value: '20.11.1' });`,
    );
    const outcome = await tidemark(['--version'], {}, ['--require', preload]);
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toBe('');
    expect(outcome.stderr).toContain('needs Node 22.18 or newer, this is Node 20.11.1');
    expect(outcome.stderr).toContain('npx tidemark');
  });
});

describe('tidemark start', () => {
  it('names a taken port and the flag that changes it: exit code 1', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const outcome = await run(['start', '--port', String(port), '--data', directory]);
    server.close();
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain(`Cannot use port ${port}`);
    expect(outcome.stderr).toContain('--port');
    expect(outcome.stderr).toContain('[PORT_TAKEN]');
  });

  it('names a data directory that cannot be written: exit code 1', async () => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    const outcome = await run(['start', '--data', path.join(file, 'data')]);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain('Cannot write to the data directory');
    expect(outcome.stderr).toContain('[DATA_DIRECTORY]');
  });
});

describe('tidemark status', () => {
  it('says what cannot be reached: exit code 1, and the rest as JSON', async () => {
    const [edge, clickhouse] = await freePorts(2);
    const outcome = await run(['status', '--json'], {
      TIDEMARK_PORT: String(edge),
      S3_ENDPOINT: `http://127.0.0.1:${edge}/cdn-cgi/local/r2/s3`,
      CLICKHOUSE_URL: `http://127.0.0.1:${clickhouse}`,
    });
    expect(outcome.code).toBe(1);
    const report = JSON.parse(outcome.stdout) as { services: { name: string; error?: string }[] };
    expect(report.services.map(({ name }) => name)).toEqual(['edge', 'ClickHouse', 'object store']);
    expect(report.services.every(({ error }) => error !== undefined)).toBe(true);
    expect(outcome.stderr).toContain('Cannot reach edge');
  });
});

describe('tidemark archive', () => {
  it('ends when npx is stopped, whose shell passes no signal on', async () => {
    const [port, metricsPort] = await freePorts(2);
    const child = spawn('sh', ['-c', `"${process.execPath}" "${entry}" archive; true`], {
      env: {
        PATH: process.env['PATH'],
        npm_command: 'exec',
        S3_ENDPOINT: `http://127.0.0.1:${port}`,
        TIDEMARK_METRICS_PORT: String(metricsPort),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = text(child.stdout);
    // It has begun: it says where it serves its metrics.
    await once(child.stderr, 'data');
    child.kill('SIGTERM');
    // Ends with the archiver itself, which holds the pipe.
    expect(await said).toMatch(/^Archived 0 spans/);
    expect(child.signalCode).toBe('SIGTERM');
  });

  it.each([
    [['--once'], 1, 'Stopped by SIGTERM'],
    [[], 0, ''],
  ])('told to stop with %j has ended with exit code %i', async (flags, code, message) => {
    // Nobody listens there: it is stopped before anything was archived.
    const [port] = await freePorts(1);
    const environment = { S3_ENDPOINT: `http://127.0.0.1:${port}`, TIDEMARK_METRICS_PORT: '0' };
    const stopped = AbortSignal.abort(new CommandFailed('Stopped by SIGTERM'));
    const outcome = await run(['archive', ...flags], environment, stopped);
    expect(outcome.code).toBe(code);
    expect(outcome.stderr).toContain(message);
    expect(outcome.stdout).toMatch(/^Archived 0 spans/);
  });
});
