/**
 * Every command of README.md and docs/: each is run here, on the embedded stack, or in the test that its comment
 * names, or cannot be run and says why; and whatever stands there, `tidemark` knows it.
 *
 * Before a block of shell commands may stand `<!-- run: name -->` (a test of its own guide takes it by that name),
 * `<!-- run by: test/… -->` (that test runs it), or `<!-- not run: why -->`. A block with none of these is run here,
 * those of one guide in one shell, one after the other; addresses of its examples are replaced by the test's.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { main } from '../../bin/main.ts';
import { freePorts } from '../../dev/port.ts';
import { Traffic } from '../../dev/traffic.ts';
import { up } from '../../dev/up.ts';
import type { Stack } from '../../dev/up.ts';
import { readSettings } from '../../schemas/settings.ts';
import { openStore } from '../../workers/clients/store/objects.ts';
import { archiveStatus } from '../../workers/clients/commits/status.ts';
import { encodeRequest } from '../support/otlp.ts';
import {
  blocksOf,
  commandsIn,
  faultOf,
  guides,
  inlineOf,
  readGuide,
  root,
} from '../support/guides.ts';
import type { Block } from '../support/guides.ts';

const all = guides().map((file) => ({ file, ...blocksOf(file) }));
const blocks = all.flatMap((each) => each.blocks);
const place = ({ file, line }: Block) => `${file}:${line}`;

describe('the commands of the guides', () => {
  it('stand in blocks that say that they are shell', () => {
    expect(all.flatMap(({ unnamed }) => unnamed)).toEqual([]);
    expect(blocks.length).toBeGreaterThan(30);
  });

  it('are known to tidemark and to npm', async () => {
    const faults: string[] = [];
    for (const block of blocks) {
      for (const words of commandsIn(block.text)) {
        // A program that the block itself writes is in the reader's directory, not here.
        if (block.text.includes(` > ${words[1] ?? ''} <<`)) continue;
        const fault = await faultOf(words, true);
        if (fault !== undefined) faults.push(`${place(block)}: ${words.join(' ')}: ${fault}`);
      }
    }
    for (const { file } of all) {
      for (const span of inlineOf(file)) {
        const fault = await faultOf(commandsIn(span)[0] ?? [], false);
        if (fault !== undefined) faults.push(`${file}: ${span}: ${fault}`);
      }
    }
    expect(faults).toEqual([]);
  });

  it('are run by the tests that their comments name', () => {
    const wrong = blocks.filter(({ file, note }) => {
      const [kind, what = ''] = note ?? [];
      if (kind === 'not run') return what.length < 10;
      if (kind === 'run by') return !existsSync(path.join(root, what));
      if (kind !== 'run') return false;
      const name = path.basename(file, '.md').toLowerCase();
      const own = path.join(import.meta.dirname, `${name}.test.ts`);
      return !existsSync(own) || !readFileSync(own, 'utf8').includes(`commandsOf('${what}')`);
    });
    expect(wrong.map(place)).toEqual([]);
  });
});

describe('on the embedded stack', () => {
  let stack: Stack;
  let elsewhere: Server;
  let commands: Server;
  let directory: string;
  let environment: Record<string, string>;
  /** Addresses of the guides' examples, and what stands for them here. */
  let addresses: readonly (readonly [string, string])[];

  beforeAll(async () => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-guides-'));
    const [port, clickhousePort, metricsPort] = await freePorts(3);
    const settings = readSettings({
      TIDEMARK_DATA: path.join(directory, 'data'),
      TIDEMARK_PORT: String(port),
      TIDEMARK_CLICKHOUSE_PORT: String(clickhousePort),
      TIDEMARK_METRICS_PORT: String(metricsPort),
      TIDEMARK_FLUSH_AGE_MS: '500',
      TIDEMARK_SPOOL_FLUSH_AGE_MS: '500',
      TIDEMARK_ARCHIVE_POLL_MS: '100',
      // The guides' days are where they are, whatever day it is.
      TIDEMARK_PAST_MAX_MS: String(20 * 365 * 86_400_000),
      TIDEMARK_BATCH_THREADS: '1',
    });
    stack = await up({
      settings,
      environment: process.env,
      monotonicMs: () => performance.now(),
      onLine: () => undefined,
      schedulesBatch: false,
      metrics: true,
    });
    elsewhere = createServer((request, response) => {
      request.resume().on('end', () => response.writeHead(200).end());
    }).listen(0, '127.0.0.1');
    await once(elsewhere, 'listening');
    const { port: otherPort } = elsewhere.address() as AddressInfo;
    addresses = [
      ['https://tidemark-edge.<account>.workers.dev', `http://127.0.0.1:${port}`],
      ['https://otlp.example.com', `http://127.0.0.1:${otherPort}`],
      ['http://127.0.0.1:8787', `http://127.0.0.1:${port}`],
      ['http://127.0.0.1:8123', stack.settings.CLICKHOUSE_URL],
      ['127.0.0.1:9464', `127.0.0.1:${metricsPort}`],
    ];
    commands = createServer((request, response) => void runCommand(request, response));
    commands.listen(path.join(directory, 'socket'));
    environment = environmentOf(stack, directory);
    await seed();
  }, 400_000);

  afterAll(async () => {
    elsewhere?.close();
    commands?.close();
    await stack?.stop();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  /** The shop on the 21st and 22nd, the trace that the guides look for, a bad span; runs of the 21st. */
  async function seed(): Promise<void> {
    const nowMs = Date.parse('2026-11-22T15:00:00Z');
    const traffic = new Traffic({ endpoint: stack.endpoint, seed: 1, nowMs, spans: 400 });
    await traffic.sendPrompt();
    await traffic.close();
    // That trace is looked for in its hour, and in the last days.
    const times = [Date.parse('2026-11-21T13:30:00Z'), Date.now()];
    const spans = times.flatMap((ms) =>
      ['5b8efff798038103d269b633813fc60c', '4bf92f3577b34da6a3ce929d0e0e4736', '00'].map((id) => ({
        traceId: Buffer.from(id, 'hex'),
        spanId: Buffer.from('eee19b7ec3c1b174', 'hex'),
        name: 'first',
        startTimeUnixNano: String(BigInt(ms) * 1_000_000n),
        endTimeUnixNano: String(BigInt(ms + 250) * 1_000_000n),
      })),
    );
    await fetch(stack.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf' },
      body: encodeRequest('traces', {
        resourceSpans: [{ scopeSpans: [{ spans }] }],
      }) as Uint8Array<ArrayBuffer>,
    });
    await archived();
    // Two runs, so that there is one to go back to.
    const run = 'tidemark batch run --force --date 2026-11-21';
    const { code, out } = await shell(`${run}\n${run} --signal traces`);
    expect(code, out).toBe(0);
  }

  /** Waits until the spool is empty. */
  async function archived(): Promise<void> {
    const store = openStore(stack.settings);
    try {
      for (;;) {
        const { spools } = await archiveStatus(store);
        if (spools.every(({ objects }) => objects === 0)) return;
        await pause(100);
      }
    } finally {
      store.close();
    }
  }

  async function shell(script: string): Promise<{ code: number | null; out: string; err: string }> {
    const own = addresses.reduce((sum, [example, mine]) => sum.replaceAll(example, mine), script);
    const child = spawn('bash', ['-c', `set -e -o pipefail\n${own}`], {
      cwd: directory,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    // What goes on until it is stopped belongs into a block that says so.
    const tooLong = setTimeout(() => child.pid && process.kill(-child.pid, 'SIGKILL'), shellMsMax);
    const closed = once(child, 'close').finally(() => clearTimeout(tooLong));
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    await closed;
    return { code: child.exitCode, out, err };
  }

  // What was run once need not be run again.
  const seen = new Set<string>();
  const mine = all
    .map(({ file, blocks: own }) => ({
      file,
      own: own.filter(({ note, text: script }) => {
        const isNew = note === undefined && !seen.has(script);
        if (isNew) seen.add(script);
        return isNew;
      }),
    }))
    .filter(({ own }) => own.length > 0);

  it.each(mine)('$file does what it says', { timeout: 600_000 }, async ({ file, own }) => {
    const marked = own.map((block) => `echo "### ${place(block)}" >&2\n${block.text}`);
    const { code, out, err } = await shell(marked.join('\n'));
    const [, last = file] =
      err
        .split('### ')
        .at(-1)
        ?.match(/^(\S+)/) ?? [];
    expect(code, `${last} ended with ${code}:\n${err.slice(-3000)}\n${out.slice(-3000)}`).toBe(0);
  });

  it("the edge's metrics have the labels that alerts ask for", async () => {
    await fetch(new URL('/cdn-cgi/local/scheduled', stack.endpoint));
    const metrics = await (await fetch(new URL('/metrics', stack.endpoint))).text();
    const rules = readGuide('deploy/prometheus/edge.yaml');
    const labels: Record<string, string[]> = {
      requests_total: ['status'],
      sink_total: ['sink', 'result'],
      items_accepted_total: ['signal'],
      items_rejected_total: ['signal', 'reason'],
      spool_oldest_age_seconds: ['leg'],
    };
    for (const [name, own] of Object.entries(labels)) {
      expect(rules).toContain(`tidemark_edge_${name}`);
      const [, found = ''] =
        new RegExp(`^tidemark_edge_${name}\\{([^}]*)\\} `, 'm').exec(metrics) ?? [];
      const names = [...found.matchAll(/(\w+)="/g)].map(([, label]) => label);
      expect(names, name).toEqual(expect.arrayContaining(own));
    }
  });
});

/** Longest time of the commands of one guide. */
const shellMsMax = 500_000;

/** What a user's shell has; `tidemark` is this process, because to start it sixty times would take a minute. */
function environmentOf(stack: Stack, directory: string): Record<string, string> {
  const call = `{ echo $#; [ $# = 0 ] || printf '%s\\0' "$@"; env -0; } | curl -sS --fail-with-body \\
  --unix-socket "${directory}/socket" --data-binary @- http://tidemark/`;
  const scripts: Record<string, string> = {
    tidemark: call,
    npx: `[ "$1" = tidemark ] || { echo "npx $1 is not for here" >&2; exit 1; }\nshift\nexec tidemark "$@"`,
    'page-somebody': 'echo "somebody is paged"',
  };
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(path.join(directory, name), `#!/bin/bash\n${script}\n`);
    chmodSync(path.join(directory, name), 0o755);
  }
  const given = Object.entries(stack.settings).map(([name, value]) => [name, String(value)]);
  return {
    ...Object.fromEntries(given),
    PATH: `${directory}:${process.env['PATH'] ?? ''}`,
    HOME: directory,
    TIDEMARK: new URL(stack.endpoint).origin,
    TOKEN: 'a-token',
    // A command that serves metrics takes a port of its own.
    TIDEMARK_METRICS_PORT: '0',
  };
}

/** Runs the command line that a shell sent, with its environment: what it prints is the answer. */
async function runCommand(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = (await buffer(request)).toString();
  const [, count = '0', rest = ''] = /^(\d+)\n([\s\S]*)$/.exec(body) ?? [];
  const parts = rest.split('\0');
  const pairs = parts.slice(Number(count)).filter((pair) => pair.includes('='));
  const environment = Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
  // Files without a folder are the shell's: this process is in another one.
  const args = parts
    .slice(0, Number(count))
    .map((arg) => (/^[\w-]+\.jsonl$/.test(arg) ? path.join(environment['PWD'] ?? '', arg) : arg));
  const [out, err]: [string[], string[]] = [[], []];
  const code = await main(args, {
    environment,
    stdout: { write: (line) => out.push(line) },
    stderr: { write: (line) => err.push(line) },
    now: () => Date.now(),
    signal: new AbortController().signal,
  });
  if (code === 0) response.writeHead(200).end(out.join(''));
  else response.writeHead(500).end(`${args.join(' ')} ended with ${code}:\n${err.join('')}`);
}
