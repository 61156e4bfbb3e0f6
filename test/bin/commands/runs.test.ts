/** `batch run`, `batch runs` and `batch rollback` as users call them, of days and of hours. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { main } from '../../../bin/main.ts';
import { archiveSpans } from '../../support/day.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans } from '../../support/spans.ts';
import { startStack, type Stack } from '../../support/stack.ts';

let stack: Stack;
let offset = 0n;
let nowMs = Date.parse('2026-11-22T04:00:00Z');

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.close());

async function tidemark(...args: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const environment = Object.fromEntries(
    Object.entries(stack.settings).map(([name, value]) => [name, String(value)]),
  );
  const code = await main(args, {
    environment,
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
    now: () => (nowMs += 1),
    signal: new AbortController().signal,
  });
  return { code, stdout: out.join(''), stderr: err.join('') };
}

async function archive(rows: number): Promise<void> {
  const hourMs = Date.parse('2026-11-21T13:00:00Z');
  const spans = randomSpans(seededRandom(rows), rows, { hourMs, offset });
  await archiveSpans(stack.store, spans, { firstOffset: offset });
  offset += BigInt(rows);
}

it.each([
  ['2026-11-21', ['--date', '2026-11-21']],
  ['2026-11-21T13', ['--date', '2026-11-21', '--hour', '13']],
])('tidemark batch runs and rollback know the runs of %s', async (name, period) => {
  const runId = async () => {
    await archive(50);
    const only = ['--signal', 'traces', '--json'];
    const { code, stdout } = await tidemark('batch', 'run', ...period, ...only);
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as { outcome: string; run: { runId: string } };
    expect(report).toMatchObject({ period: name, outcome: 'published', run: { period: name } });
    return report.run.runId;
  };
  const first = await runId();
  const second = await runId();
  const list = async () => {
    const { stdout } = await tidemark('batch', 'runs', '--date', name, '--json');
    const lines = stdout.split('\n').slice(0, -1);
    const runs = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    return runs.filter((run) => run['period'] === name).map((run) => [run['runId'], run['state']]);
  };
  expect(await list()).toEqual([
    [second, 'current'],
    [first, 'kept'],
  ]);

  const back = await tidemark('batch', 'rollback', ...period, '--json');
  expect(back.code).toBe(0);
  expect(JSON.parse(back.stdout)).toMatchObject({
    period: name,
    outcome: 'restored',
    from: second,
    run: { runId: first, cause: 'restored' },
  });
  expect(await list()).toEqual([
    [first, 'current'],
    [second, 'kept'],
  ]);
  const text = await tidemark('batch', 'runs', '--date', name);
  expect(text.stdout).toMatch(
    new RegExp(`${name} +traces +${first} +current, restored +provisional`),
  );

  const again = await tidemark('batch', 'rollback', ...period);
  expect(again).toMatchObject({ code: 1, stdout: '' });
  expect(again.stderr).toContain('no earlier run is kept');
  const forth = await tidemark('batch', 'rollback', ...period, '--run', second);
  expect(forth.stdout).toContain(
    `${name} (traces) is rolled back from run ${first} to run ${second}`,
  );
});

it('tidemark batch runs says when there is none; hours are of traces only', async () => {
  const none = await tidemark('batch', 'runs', '--date', '2026-10-01');
  expect(none).toMatchObject({ code: 0, stdout: 'No run is published for this range\n' });
  const hour = ['--date', '2026-11-21', '--hour', '1'];
  const logs = await tidemark('batch', 'run', ...hour, '--signal', 'logs');
  expect(logs).toMatchObject({ stdout: '' });
  expect(logs.stderr).toContain('Cannot run hours of logs');
});
