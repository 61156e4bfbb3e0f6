/**
 * What the archive costs in requests, counted: finding the head of a log whatever its history, listing
 * a period whatever the archive's age, and sweeping in proportion to what is there.
 */
import { describe, expect, it } from 'vitest';
import { fileKey, topics } from '../../schemas/archive.ts';
import { commitKey, watermarkKey } from '../../schemas/commit.ts';
import type { Commit, CommitFile } from '../../schemas/commit.ts';
import { listPeriodFiles, readHead, readPartition } from '../../workers/clients/commits/archive.ts';
import { sweep } from '../../workers/sweep.ts';
import { CountingStore } from '../support/objects.ts';
import { Bucket, BucketClient, calm } from './bucket.ts';
import { Machine, World } from './world.ts';

const topic = topics.traces;
const hour = 3_600_000;
const day = 24 * hour;
const periodMs = Date.UTC(2026, 10, 21);

/** A bucket without faults, and its client that counts; `run` lets its time pass. */
class Archive {
  readonly world = new World(1, periodMs + 2 * day);
  readonly bucket = new Bucket(
    { putting: () => undefined, deleting: () => undefined },
    () => this.world.nowMs,
  );
  readonly store = new CountingStore(
    new BucketClient(this.bucket, new Machine('test', this.world, 0), () => calm, 1000),
  );

  async run<T>(task: Promise<T>): Promise<T> {
    const state = { isDone: false };
    void task.then(
      () => (state.isDone = true),
      () => (state.isDone = true),
    );
    await this.world.run(() => state.isDone);
    return task;
  }

  put(key: string, text: string): void {
    this.bucket.put(key, new TextEncoder().encode(text), false, 'test');
  }

  /** A commit with one file in each of the hours. */
  commit(partition: string, firstOffset: number, hours: readonly number[]): void {
    const files = hours.map((hourMs) => fileOf(partition, firstOffset, hourMs, 'good'));
    for (const { key } of files) this.put(key, 'PAR');
    const commit: Commit = {
      version: 1,
      topic,
      partition,
      firstOffset: String(firstOffset),
      nextOffset: String(firstOffset + 1),
      rows: hours.length,
      rejected: {},
      files,
      watermarkMs: periodMs,
      ingestedMaxMs: periodMs,
      spoolKeys: [],
      writer: 'test',
      committedAt: new Date(periodMs).toISOString(),
      codeVersion: 'test',
    };
    this.put(commitKey(topic, partition, BigInt(firstOffset)), JSON.stringify(commit));
  }
}

function fileOf(partition: string, first: number, hourMs: number, attempt: string): CommitFile {
  const parts = { topic, partition, firstOffset: BigInt(first), attempt };
  return {
    key: fileKey('traces', hourMs, parts),
    bytes: 3,
    rows: 1,
    hourMs,
    timeMinNs: '1',
    timeMaxNs: '2',
    quarantined: false,
    rowGroups: [{ rows: 1, idMin: '0'.repeat(32), idMax: 'f'.repeat(32) }],
  };
}

describe('readHead()', () => {
  for (const commits of [10, 1000, 100_000]) {
    it(`takes two requests behind ${commits} commits`, async () => {
      const archive = new Archive();
      for (let first = 0; first < commits - 1; first += 1) {
        archive.put(commitKey(topic, '0', BigInt(first)), '{}');
      }
      archive.commit('0', commits - 1, [periodMs]);
      archive.put(watermarkKey(topic, '0', periodMs), '{}');
      const head = await archive.run(readHead(archive.store, topic, '0'));
      expect(head?.nextOffset).toBe(String(commits));
      expect(archive.store.requests).toEqual({ list: 1, get: 1, head: 0, put: 0, delete: 0 });
      archive.store.reset();
      await archive.run(readPartition(archive.store, topic, '0'));
      expect(archive.store.requests).toEqual({ list: 2, get: 1, head: 0, put: 0, delete: 0 });
    });
  }
});

describe('listPeriodFiles()', () => {
  it('takes as many requests with a year of other days as with one', async () => {
    const costs: unknown[] = [];
    for (const days of [1, 365]) {
      const archive = new Archive();
      let first = 0;
      for (let back = days; back >= 1; back -= 1) {
        for (let at = 0; at < 24; at += 1) {
          archive.commit('0', first++, [periodMs - back * day + at * hour]);
        }
      }
      for (let at = 0; at < 24; at += 1) archive.commit('0', first++, [periodMs + at * hour]);
      const listed = listPeriodFiles(archive.store, 'traces', periodMs, periodMs + day);
      expect((await archive.run(listed)).files).toHaveLength(24);
      costs.push({ ...archive.store.requests });
    }
    expect(costs[1]).toEqual(costs[0]);
    // One for each commit of the day, and its partition's head.
    expect(costs[0]).toMatchObject({ get: 25, put: 0 });
  });

  it('takes one listing more for each thousand files, and one read for each commit', async () => {
    const requests: { list: number; get: number }[] = [];
    for (const files of [100, 4100]) {
      const archive = new Archive();
      for (let first = 0; first < files / 10; first += 1) {
        const hours = Array.from({ length: 10 }, (_, at) => periodMs + at * hour);
        archive.commit('0', first, hours);
      }
      const listed = listPeriodFiles(archive.store, 'traces', periodMs, periodMs + day);
      expect((await archive.run(listed)).files).toHaveLength(files);
      requests.push({ ...archive.store.requests });
    }
    const [few, many] = requests;
    expect((many?.list ?? 0) - (few?.list ?? 0)).toBe(4);
    expect((many?.get ?? 0) - (few?.get ?? 0)).toBe(400);
  });
});

describe('sweep()', () => {
  it('reads each commit once, lists a thousand files at once and deletes them so', async () => {
    const archive = new Archive();
    for (let first = 0; first < 100; first += 1) {
      const hours = Array.from({ length: 10 }, (_, at) => periodMs + at * hour);
      archive.commit('0', first, hours);
      for (const hourMs of hours) archive.put(fileOf('0', first, hourMs, 'killed').key, 'PARTS');
    }
    const { store } = archive;
    const log = { info: () => undefined, warn: () => undefined, debug: () => undefined };
    const options = { store, graceMs: -1, dryRun: false, name: 'test', codeVersion: 'test', log };
    const report = await archive.run(sweep({ ...options, signals: ['traces'] }));
    expect(report.deleted).toEqual({ files: 1000, bytes: 5000 });
    // The clock's listing, two (and an empty end) of 2,000 files, one of no replacements; a delete
    // for each hour and one for the clock's object.
    expect(store.requests).toMatchObject({ get: 100, head: 0, put: 1, delete: 11 });
    expect(store.requests.list).toBeLessThanOrEqual(5);
  });
});
