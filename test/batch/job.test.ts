/** Jobs of several processes: what their merge says while some of it is missing, and what it publishes. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mergeJob, runShare } from '../../batch/job.ts';
import { jobShareKey, parseJobShare } from '../../schemas/job.ts';
import { parsePeriod } from '../../schemas/period.ts';
import { archiveSpans } from '../support/day.ts';
import { memoryOf } from '../support/planned.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans } from '../support/spans.ts';
import { startStack, type Stack } from '../support/stack.ts';
import { keysBelow } from '../support/tasks.ts';

const day = '2026-11-21';
let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.close());

it('mergeJob() names each missing shard, whose it is, and why there is nothing of it', async () => {
  const { store, clickhouse, settings } = stack;
  const hourMs = Date.parse(`${day}T07:00:00Z`);
  const spans = randomSpans(seededRandom(7), 1000, { hourMs });
  const [file] = await archiveSpans(store, spans, { firstOffset: 0n, rowGroupRows: 100 });
  const memory = memoryOf('traces', 150);
  const options = {
    store,
    clickhouse,
    random: Math.random,
    of: 'traces' as const,
    job: 'nightly-17',
    settings: { ...settings, TIDEMARK_BATCH_MEMORY_BYTES: memory, TIDEMARK_BATCH_THREADS: 1 },
    clock: () => Date.parse('2026-11-22T04:00:00Z'),
    log: { info: () => undefined, warn: () => undefined },
    period: parsePeriod(day),
  };
  const share = (index: number) =>
    runShare({ ...options, index, processes: 3, name: `pod-${index}` });
  const whole = await store.get(file?.key ?? '');
  const merging = () => mergeJob(options).then(String, (error: Error) => error.message);

  const { shards, own } = await share(0);
  expect(shards).toBeGreaterThanOrEqual(4);
  // Process 1 finds a file that is damaged, and process 2 has not begun.
  await store.put(file?.key ?? '', (whole ?? new Uint8Array()).slice().fill(0xa5, 1000, 20_000));
  const failure = await share(1).then(String, (error: Error) => error.message);
  expect(failure).toMatch(
    /^Cannot compute shard 1, ids \[[0-9a-f]{32}, [0-9a-f]{32,33}\), try 1 of 3: /,
  );
  const told = await merging();
  const count = shards - own;
  expect(told).toMatch(
    new RegExp(
      `^Cannot merge job nightly-17: ${count} of ${shards} shards are missing: shard 1, ids \\[`,
    ),
  );
  const at = '2026-11-22T04:00:00.000Z';
  expect(told).toContain(
    `(process 1 of 3, pod-1, has begun at ${at} and failed at ${at}: ${failure})`,
  );
  expect(told).toMatch(
    /shard 2, ids \[[0-9a-f]{32}, [0-9a-f]{32,33}\) \(process 2 of 3 has not begun\)/,
  );

  // Killed in the middle: it says that it is at it, and no more.
  const [name = ''] = (await keysBelow(store, '_tasks/')).map((key) => key.split('/')[1]);
  const key = jobShareKey(name, 1);
  const { failed, ...begun } = parseJobShare(
    key,
    Buffer.from((await store.get(key)) ?? []).toString(),
  );
  expect(failed?.reason).toBe(failure);
  await store.put(key, JSON.stringify(begun));
  expect(await merging()).toContain(`(process 1 of 3, pod-1, has begun at ${at} and not ended)`);

  if (whole) await store.put(file?.key ?? '', whole);
  await Promise.all([share(1), share(2)]);
  const { outcome, run } = await mergeJob(options);
  expect(outcome).toBe('published');
  const ids = spans.map(({ tenant, traceId, spanId, kind }) =>
    [tenant, traceId, spanId, kind].join(),
  );
  expect(run?.rowsRead).toBe(1000);
  expect(run?.shards).toBe(shards);
  expect(run?.totalSpans).toBe(new Set(ids).size);
  expect(await keysBelow(store, '_tasks/')).toEqual([]);
  expect(await keysBelow(store, '_jobs/')).toEqual([]);
}, 180_000);
