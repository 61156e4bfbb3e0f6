import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { runShards } from '../../../batch/pool/pool.ts';
import type { Shard } from '../../../schemas/shard.ts';
import type { Deed, ThreadPlan } from '../../support/thread.ts';

describe('runShards()', () => {
  it('computes every shard once, on no more threads than allowed', async () => {
    const { startThread, tries, threads } = threadsThat({});
    const heard: number[] = [];
    const reports = await runShards(shards(20), {
      threads: 3,
      startThread,
      onDone: (_, shardCount) => heard.push(shardCount),
    });
    expect(reports.map((report) => report.key)).toEqual(
      Array.from({ length: 20 }, (_, i) => `${i}-0`).toSorted(),
    );
    expect(tries(20)).toEqual(Array.from({ length: 20 }, () => 1));
    expect(heard).toEqual(Array.from({ length: 20 }, () => 20));
    expect(threads.length).toBe(3);
    expect(await Promise.all(threads.map(isGone))).toEqual([true, true, true]);
  });

  it('gives nothing for no shards, and starts no thread', async () => {
    const { startThread, threads } = threadsThat({});
    expect(await runShards([], { threads: 3, startThread })).toEqual([]);
    expect(threads).toEqual([]);
  });

  it('tries a shard again after a passing fault, an exception and an exit of its thread', async () => {
    const { startThread, tries, threads } = threadsThat({
      1: ['fail', 'fail'],
      2: ['throw', 'exit'],
      3: ['exit'],
    });
    const retries: string[] = [];
    const reports = await runShards(shards(5), {
      threads: 2,
      startThread,
      onRetry: (shard, reason) => retries.push(`${shard.index}: ${reason}`),
    });
    expect(reports).toHaveLength(5);
    expect(tries(5)).toEqual([1, 3, 3, 2, 1]);
    // Three of them died; how many of those had to be replaced depends on who was idle.
    expect(threads.length).toBeGreaterThanOrEqual(4);
    expect(threads.length).toBeLessThanOrEqual(5);
    expect(retries.toSorted()).toEqual([
      '1: a passing fault',
      '1: a passing fault',
      '2: its thread died (exit code 9) over one of file of 2',
      '2: its thread died (unreachable) over one of file of 2',
      '3: its thread died (exit code 9) over one of file of 3',
    ]);
  });

  it('gives up after three tries, and says which shard and why', async () => {
    const { startThread, tries, threads } = threadsThat({ 1: ['fail', 'throw', 'fail'] });
    await expect(runShards(shards(3), { threads: 1, startThread })).rejects.toMatchObject({
      code: 'BATCH_FAILED',
      message:
        'Cannot compute shard 1, ids [00000000000000000000000000000000, ' +
        '00000000000000000000000000000064), try 3 of 3: a passing fault',
    });
    expect(tries(3)[1]).toBe(3);
    expect(await Promise.all(threads.map(isGone))).not.toContain(false);
  });

  it('does not repeat what cannot succeed', async () => {
    const { startThread, tries } = threadsThat({ 0: ['refuse'] });
    await expect(runShards(shards(1), { threads: 1, startThread })).rejects.toThrow(
      'try 1 of 3: a lasting fault',
    );
    expect(tries(1)).toEqual([1]);
  });

  it('replaces a shard that is too large by its parts', async () => {
    const { startThread } = threadsThat({ 1: ['split', 'split'] });
    const counts: number[] = [];
    const reports = await runShards(shards(3), {
      threads: 1,
      startThread,
      onDone: (_, shardCount) => counts.push(shardCount),
    });
    expect(reports.map((report) => report.key)).toEqual(['0-0', '1-0', '1-25', '1-50', '2-0']);
    expect(counts.at(-1)).toBe(5);
  });

  it('stops splitting after eight times', async () => {
    const { startThread } = threadsThat({ 0: Array.from({ length: 99 }, () => 'split' as const) });
    await expect(runShards(shards(1), { threads: 1, startThread })).rejects.toThrow(
      'it is still too large after 8 splits',
    );
  });

  it('ends its threads when it is told to stop', async () => {
    const { startThread, threads } = threadsThat({ 0: ['hang'], 1: ['hang'] });
    const { signal } = { signal: AbortSignal.timeout(300) };
    await expect(runShards(shards(5), { threads: 2, startThread, signal })).rejects.toMatchObject({
      code: 'BATCH_FAILED',
      retryable: true,
    });
    expect(await Promise.all(threads.map(isGone))).toEqual([true, true]);
    const aborted = AbortSignal.abort();
    await expect(
      runShards(shards(1), { threads: 1, startThread, signal: aborted }),
    ).rejects.toThrow('it was told to stop');
    expect(threads.length).toBe(2);
  });
});

function shards(count: number): Shard[] {
  return Array.from({ length: count }, (_, index) => ({
    index,
    idFrom: 0n,
    idTo: 100n,
    files: [],
    estimatedRows: 1,
  }));
}

function threadsThat(deeds: Record<number, readonly Deed[]>) {
  const threads: Worker[] = [];
  const plan: ThreadPlan = { deeds, tries: new SharedArrayBuffer(400) };
  const startThread = () => {
    const entry = new URL('../../support/thread.ts', import.meta.url);
    const worker = new Worker(entry, { workerData: plan });
    threads.push(worker);
    return worker;
  };
  const tries = (count: number) => [...new Int32Array(plan.tries)].slice(0, count);
  return { startThread, threads, tries };
}

async function isGone(worker: Worker): Promise<boolean> {
  await worker.terminate();
  return worker.threadId === -1;
}
