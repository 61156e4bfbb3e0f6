/** `tidemark compact` and `tidemark retain` as users call them, on a bucket with real files. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Context } from '../../../bin/context.ts';
import { main } from '../../../bin/main.ts';
import { listLiveFiles } from '../../../workers/clients/commits/archive.ts';
import { archiveSpans, hourMs } from '../../support/day.ts';
import { startBucket, type Bucket } from '../../support/objects.ts';
import { seededRandom } from '../../support/random.ts';
import { randomSpans } from '../../support/spans.ts';

const startMs = Date.UTC(2026, 10, 21, 13);
let bucket: Bucket;
let nowMs = startMs + 24 * hourMs;

beforeAll(async () => {
  bucket = await startBucket();
  const random = seededRandom(20_261_122);
  for (let file = 0; file < 5; file += 1) {
    const offset = BigInt(file * 100);
    const spans = randomSpans(random, 100, { hourMs: startMs, offset });
    await archiveSpans(bucket.store, spans, { firstOffset: offset });
  }
});
afterAll(() => bucket.close());

async function run(args: readonly string[], settings: Record<string, string> = {}) {
  const [out, err]: [string[], string[]] = [[], []];
  const context: Context = {
    environment: { S3_ENDPOINT: bucket.endpoint, TIDEMARK_LOG_LEVEL: 'warn', ...settings },
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
    now: () => nowMs,
    signal: new AbortController().signal,
  };
  const code = await main(args, context);
  return { code, stdout: out.join(''), stderr: err.join('') };
}

async function live() {
  return listLiveFiles(bucket.store, 'traces', startMs, startMs + hourMs);
}

it('compact and retain say what they would do, do it, and then have nothing to do', async () => {
  const planned = await run(['compact', '--dry-run']);
  expect(planned).toMatchObject({ code: 0, stdout: 'Would merge 5 files of 1 hours\n' });
  expect((await live()).files).toHaveLength(5);

  const merged = await run(['compact', '--date', '2026-11-21', '--json']);
  expect(merged.code).toBe(0);
  expect(merged.stderr).toMatch(/^2026-11-21T13 traces: 5 files of .* → 1 of .*, 500 rows\n$/);
  const expected = { signal: 'traces', rows: 500, filesBefore: 5, filesAfter: 1 };
  expect(JSON.parse(merged.stdout)).toMatchObject({ hours: [expected], failures: [] });
  expect((await live()).files).toHaveLength(1);
  expect(await run(['compact'])).toMatchObject({ stdout: 'Merged 0 files of 0 hours into 0\n' });

  nowMs += 20 * 24 * hourMs;
  const rules = { TIDEMARK_RETENTION: 'traces=7d,tenant:default/traces=forever' };
  const shown = await run(['retain', '--dry-run'], rules);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toMatch(
    /^2026-11-21 traces of acme: \d+ rows in 1 files, .* MB\nWould take/,
  );
  const gone = JSON.parse((await run(['retain', '--json'], rules)).stdout) as {
    removed: readonly { readonly rows: number }[];
  };
  const rows = gone.removed[0]?.rows ?? 0;
  expect(shown.stdout).toContain(` ${rows} rows in 1 files`);
  const { files, rowsRemoved } = await live();
  expect(files).toMatchObject([{ rows: 500 - rows, tenants: ['default'] }]);
  expect(rowsRemoved).toBe(rows);
  expect(await run(['retain'], rules)).toMatchObject({ code: 0, stdout: 'Took 0 rows away\n' });
});

it('compact and retain refuse what they do not understand', async () => {
  expect((await run(['compact', '--every', 'soon'])).code).toBe(2);
  expect((await run(['compact', '--date', 'x'])).code).toBe(2);
  expect((await run(['retain'], { TIDEMARK_RETENTION: 'traces' })).code).toBe(2);
});
