/** `tidemark verify` and `tidemark drift` as users call them, on real engines. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Context } from '../../../bin/context.ts';
import { main } from '../../../bin/main.ts';
import { archiveSpans } from '../../support/day.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans, type SpanRow } from '../../support/spans.ts';
import { startStack, type Stack } from '../../support/stack.ts';

const date = '2026-11-20';
/** Most of it are requests to the store, which a loaded machine answers slowly. */
const patient = { timeout: 300_000 };
let nowMs = Date.parse('2026-11-21T05:00:00Z');
let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
}, patient.timeout);
afterAll(() => stack.close());

async function run(args: readonly string[], settings: Record<string, string> = {}) {
  const [out, err]: [string[], string[]] = [[], []];
  const context: Context = {
    environment: {
      S3_ENDPOINT: stack.settings.S3_ENDPOINT,
      CLICKHOUSE_URL: stack.settings.CLICKHOUSE_URL,
      TIDEMARK_LOG_LEVEL: 'warn',
      TIDEMARK_BATCH_THREADS: '1',
      ...settings,
    },
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
    now: () => nowMs,
    signal: new AbortController().signal,
  };
  const code = await main(args, context);
  return { code, stdout: out.join(''), stderr: err.join('') };
}

const keyOf = ({ tenant, traceId, spanId, kind }: SpanRow) =>
  JSON.stringify([tenant, traceId, spanId, kind]);

/** Rows of `otel_traces`. */
const speedRows = (rows: readonly SpanRow[]) =>
  rows.map((row) => ({
    Timestamp: new Date(Number(row.timestampNs / 1_000_000n)).toISOString(),
    TraceId: row.traceId,
    SpanId: row.spanId,
    SpanKind: row.kind,
    SpanName: row.operation,
    ServiceName: row.service,
    Duration: row.durationNs,
    StatusCode: row.status,
    TenantId: row.tenant,
  }));

it('verify and drift say what they found, by exit code and in slices too', patient, async () => {
  expect(await run(['verify', '--date', date])).toMatchObject({ code: 1, stdout: '' });
  const hourMs = Date.parse(`${date}T10:00:00Z`);
  const all = randomSpans(seededRandom(3), 2600, { hourMs });
  const spans = [...new Map(all.map((row) => [keyOf(row), row])).values()];
  await archiveSpans(stack.store, spans, { firstOffset: 0n });
  const lost = spans.slice(0, 20);
  await stack.clickhouse.insertRows('otel_traces', speedRows(spans.slice(20)));
  expect((await run(['batch', 'run', '--date', date])).code).toBe(0);

  const verified = await run(['verify', '--date', date]);
  expect(verified.code).toBe(0);
  expect(verified.stdout).toMatch(
    /^2026-11-20 \(traces\) is proved: \d+ rows, \d+ figures, 0 diff/,
  );
  const sliced = await run(['verify', '--date', date, '--json'], { TIDEMARK_VERIFY_ROWS: '1000' });
  expect(JSON.parse(sliced.stdout)).toMatchObject({ period: date, signal: 'traces', equal: true });
  expect(sliced.stderr).toContain('service_stats_batch: 1 of 3 slices\n');

  const shown = await run(['drift', '--date', date]);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toContain('2026-11-20 (traces): the speed layer against run 2026-11-20-');
  const limits = { TIDEMARK_DRIFT_ALERT: 'missing=0.01' };
  const alarmed = await run(['drift', '--date', date, '--json'], limits);
  expect(alarmed.code).toBe(1);
  const result = JSON.parse(alarmed.stdout) as {
    services: { missing: number; duplicated: number }[];
    alerts: string[];
  };
  const sum = (name: 'missing' | 'duplicated') =>
    result.services.reduce((total, service) => total + service[name], 0);
  expect([sum('missing'), sum('duplicated')]).toEqual([lost.length, 0]);
  expect(result.alerts[0]).toMatch(/% missing, limit 0.01 %$/);
  expect(alarmed.stderr).toContain('Beyond the limit: traces: ');
  const flags = ['--max-missing', '100', '--service', lost[0]?.service ?? ''];
  expect((await run(['drift', '--date', date, ...flags], limits)).code).toBe(0);
  const wrong = await run(['drift', '--date', date], { TIDEMARK_DRIFT_ALERT: 'lost=1' });
  expect(wrong).toMatchObject({ code: 2, stdout: '' });
  const [stored] = await stack.clickhouse.query<{ missing: string }>(
    'SELECT toString(sum(missing_items)) AS missing FROM layer_drift_current',
  );
  expect(stored?.missing).toBe(String(lost.length));

  await archiveSpans(stack.store, all.slice(0, 5), { firstOffset: 10_000n });
  nowMs += 1000;
  for (const command of ['verify', 'drift']) {
    const late = await run([command, '--date', date]);
    expect(late).toMatchObject({ code: 1, stdout: '' });
    expect(late.stderr).toContain('data came after its run; run the batch first');
  }
});
