/**
 * Tests of `tidemark check` over real HTTP: against the embedded stack, the real Collector, and
 * servers that are no OTLP endpoint. Single rows are tested in workerd (test/edge/conformance.test.ts).
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { conforms } from '../../bin/check/report.ts';
import { rows } from '../../bin/check/rows.ts';
import type { Outcome } from '../../bin/check/run.ts';
import { main } from '../../bin/main.ts';
import type { Context } from '../../bin/context.ts';
import { startCollector } from '../support/collector.ts';
import type { Collector } from '../support/collector.ts';
import { collector, peerBuildMs } from '../support/peers.ts';
import { startReceived } from '../support/received.ts';
import type { Received } from '../support/received.ts';
import { checkAll, scorecardsDirectory, verdictsOf } from '../support/scorecards.ts';

const root = path.join(import.meta.dirname, '../..');

/** All rows are 300 requests, and each that is taken waits for ClickHouse. */
const checkMs = 300_000;

async function run(args: readonly string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const context: Context = {
    environment: {},
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
    now: () => Date.now(),
    signal: new AbortController().signal,
  };
  const code = await main(args, context);
  return { code, stdout: out.join(''), stderr: err.join('') };
}

/** Rows whose verdict is not `pass`, by verdict. */
function exceptions(outcomes: readonly Outcome[], verdict: string): number[] {
  return outcomes.filter((outcome) => outcome.verdict === verdict).map(({ row }) => row);
}

/** The verdicts that docs/conformance shows. */
function kept(name: string): [number, string][] {
  const text = readFileSync(path.join(scorecardsDirectory, `${name}.txt`), 'utf8');
  return [...verdictsOf(text)];
}

function verdicts(outcomes: readonly Outcome[]): [number, string][] {
  return outcomes.map(({ row, verdict }) => [row, verdict]);
}

describe('rows', () => {
  it('are 80, in the order of their numbers', () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 80 }, (_, at) => at + 1));
  });

  it('that no answer can decide have a test of their own that names them', () => {
    const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'test'], {
      cwd: root,
    });
    const names = files
      .toString()
      .split('\n')
      .filter((name) => name.endsWith('.test.ts'))
      .flatMap((name) =>
        Array.from(
          readFileSync(path.join(root, name), 'utf8').matchAll(/['"`]rows? ((?:\d+(?:, )?)+)/g),
          ([, numbers = '']) => numbers.split(', ').map(Number),
        ),
      )
      .flat();
    // Row 6 is a default of the caller's; row 7 is the matter of who terminates TLS.
    for (const number of [38, 43, 44, 45, 47, 48]) expect(names).toContain(number);
  });
});

describe('tidemark check', () => {
  let received: Received;
  beforeAll(async () => {
    received = await startReceived();
  });
  afterAll(() => received.close());

  it(
    'finds no broken rule in the embedded stack; docs/conformance/tidemark.txt is true',
    async () => {
      const outcomes = await checkAll(received.endpoint);
      expect(outcomes.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
      expect(exceptions(outcomes, 'differs')).toEqual([]);
      expect(exceptions(outcomes, 'n/a')).toEqual([6, 7, 38, 43, 44, 45, 47, 48, 50]);
      expect(conforms(outcomes)).toBe(true);
      expect(verdicts(outcomes)).toEqual(kept('tidemark'));
    },
    checkMs,
  );

  it('prints a scorecard and progress: exit code 0', async () => {
    const outcome = await run(['check', received.endpoint, '--only', '1-3,31,69']);
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toContain('OTLP/HTTP 1.11 scorecard of http://127.0.0.1:');
    expect(outcome.stdout).toMatch(
      /^31 {2}pass {5}MUST .*\n +seen: traces protobuf, metrics protobuf, logs protobuf: 200 /m,
    );
    expect(outcome.stdout).toMatch(/^32 {2}skipped/m);
    expect(outcome.stdout).toMatch(/^MUST +4 /m);
    expect(outcome.stderr.match(/^row /gm)).toHaveLength(5);
    expect(verdictsOf(outcome.stdout).size).toBe(80);
  });

  it('--json prints one line with every row', async () => {
    const outcome = await run(['check', received.endpoint, '--only', '34', '--json']);
    const report = JSON.parse(outcome.stdout) as { conforms: boolean; rows: Outcome[] };
    expect(report.conforms).toBe(true);
    expect(report.rows).toHaveLength(80);
    expect(report.rows[33]).toMatchObject({ row: 34, level: 'MUST', verdict: 'pass' });
  });
});

describe('tidemark check against others', () => {
  let plain: http.Server;
  let url: string;
  let respond: http.RequestListener;
  beforeAll(async () => {
    plain = http.createServer((request, response) => respond(request, response));
    await once(plain.listen(0, '127.0.0.1'), 'listening');
    url = `http://127.0.0.1:${(plain.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    plain.closeAllConnections();
    plain.close();
  });

  it('says that nothing answers: exit code 1', async () => {
    const outcome = await run(['check', 'http://127.0.0.1:1']);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expect(outcome.stderr).toContain('no answer (ECONNREFUSED)');
  });

  it('says that a page of 200 is no OTLP: exit code 1', async () => {
    respond = (_request, response) => {
      response.setHeader('content-type', 'text/html').end('<h1>hello</h1>');
    };
    const outcome = await run(['check', url]);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expect(outcome.stderr).toContain('takes no signal');
    expect(outcome.stderr).toContain('[NOT_FOUND]');
  });

  it('asks for --header where credentials are wanted, and sends them', async () => {
    respond = (request, response) => {
      request.resume();
      const isKnown = request.headers['x-api-key'] === 'secret';
      response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/x-protobuf' }).end();
    };
    const without = await run(['check', url]);
    expect(without.code).toBe(1);
    expect(without.stderr).toContain('--header');
    expect(without.stderr).toContain('[UNAUTHENTICATED]');
    const given = await run([
      'check',
      url,
      '--header',
      'X-Api-Key=secret',
      '--only',
      '1',
      '--json',
    ]);
    expect(given.code).toBe(0);
    expect(given.stdout).not.toContain('secret');
  });

  it.each([
    [['check'], "missing required argument 'url'"],
    [['check', 'nonsense'], 'It is not an address'],
    [['check', 'http://a', '--only', '81'], 'They are not rows from 1 to 80'],
    [['check', 'http://a', '--only', '5-3'], 'They are not rows from 1 to 80'],
    [['check', 'http://a', '--header', 'x'], 'It is not a header'],
    [['check', 'http://a', '--timeout', '0'], 'It is not a number'],
  ])('%j is a usage error: exit code 2', async (args, message) => {
    const outcome = await run(args);
    expect(outcome.stderr).toContain(message);
    expect(outcome.code).toBe(2);
  });
});

const peer = await collector();

describe.skipIf('missing' in peer)('tidemark check against the real Collector', () => {
  let running: Collector;
  beforeAll(async () => {
    running = await startCollector('path' in peer ? peer.path : '', { nop: {} });
  }, peerBuildMs);
  afterAll(() => running.stop());

  it(
    'finds the rules that it is known to break; docs/conformance/collector.txt is true',
    async () => {
      const outcomes = await checkAll(running.endpoint);
      const broken = outcomes.filter(
        ({ verdict, level }) => verdict === 'fail' && level === 'MUST',
      );
      // 11, 40: 404, 405 and 415 in plain text. 26: 400 past the limit. 31: partial_success is set.
      // 42: 500 when the error would quote bytes that are no UTF-8.
      expect(broken.map(({ row }) => row)).toEqual([11, 26, 31, 40, 42]);
      expect(exceptions(outcomes, 'pass')).toEqual(
        expect.arrayContaining([1, 2, 3, 8, 15, 17, 18, 25, 32, 53, 57, 59]),
      );
      // Rows that say what the Collector does are passed by it.
      const collectors = outcomes.filter(({ level }) => level === 'collector');
      expect(collectors.filter(({ verdict }) => verdict === 'differs')).toEqual([]);
      expect(verdicts(outcomes)).toEqual(kept('collector'));
    },
    checkMs,
  );

  it('exits with 1, and the last line says why', async () => {
    const outcome = await run(['check', running.endpoint, '--only', '31']);
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toContain('Broken: row 31.');
    expect(outcome.stderr).toContain('breaks a MUST');
  });
});
