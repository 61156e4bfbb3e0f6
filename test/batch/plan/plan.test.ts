import { describe, expect, it } from 'vitest';
import { planShards, shardRowsMax, type PlanOptions } from '../../../batch/plan/plan.ts';
import type { CommitFile } from '../../../schemas/commit.ts';
import { idEnd, type Shard } from '../../../schemas/shard.ts';
import { seededRandom } from '../../support/random.ts';

const small: PlanOptions = { rowsMax: 1000, shardsWanted: 1, rowsMin: 1 };

describe('shardRowsMax()', () => {
  it('leaves half of the kernel memory free', () => {
    expect(shardRowsMax(2000 + 160 * 1000, { baseBytes: 2000, rowBytes: 80 })).toBe(1000);
    expect(shardRowsMax(1024, { baseBytes: 2000, rowBytes: 80 })).toBe(1);
  });
});

describe('planShards()', () => {
  it('gives no shards to no files', () => {
    expect(planShards([], small)).toEqual([]);
  });

  it('keeps a small period in one shard that covers every trace id', () => {
    const shards = planShards([file('a', [group(10, 1n, 9n)])], small);
    expect(shards).toEqual([
      {
        index: 0,
        idFrom: 0n,
        idTo: idEnd,
        files: [{ key: 'a', bytes: 1, hourMs: 0, rowGroups: [0] }],
        estimatedRows: 10,
      },
    ]);
  });

  it('leaves quarantined files out', () => {
    const quarantined = { ...file('q', [group(5, 0n, 9n)]), quarantined: true };
    expect(planShards([quarantined], small)).toEqual([]);
  });

  it('cuts for threads only while shards keep rowsMin rows', () => {
    const files = [file('a', [group(1000, 0n, idEnd - 1n)])];
    const roomy = { ...small, rowsMax: 1e9, shardsWanted: 8 };
    expect(planShards(files, { ...roomy, rowsMin: 100 })).toHaveLength(8);
    expect(planShards(files, { ...roomy, rowsMin: 400 })).toHaveLength(2);
    expect(planShards(files, { ...roomy, rowsMin: 5000 })).toHaveLength(1);
  });

  it('balances evenly spread ids to within a sample', () => {
    const files = Array.from({ length: 40 }, (_, i) =>
      file(`f${i}`, [group(1000, 0n, idEnd - 1n)]),
    );
    const shards = planShards(files, small);
    expect(shards).toHaveLength(40);
    for (const shard of shards) expect(Math.abs(shard.estimatedRows - 1000)).toBeLessThan(700);
  });

  it('balances ids that begin with a time, as AWS X-Ray makes them', () => {
    const files = Array.from({ length: 100 }, (_, minute) => {
      const from = BigInt(0x69_21_00_00 + minute * 60) << 96n;
      return file(`f${minute}`, [group(1000, from, from + (60n << 96n))]);
    });
    const shards = planShards(files, { ...small, rowsMax: 10_000 });
    expect(shards).toHaveLength(10);
    for (const shard of shards) expect(Math.abs(shard.estimatedRows - 10_000)).toBeLessThan(1500);
    // A shard of a time range reads only the files of that time.
    for (const shard of shards) expect(shard.files.length).toBeLessThanOrEqual(12);
  });

  it('balances ids whose high bits are constant', () => {
    const files = Array.from({ length: 20 }, (_, i) => file(`f${i}`, [group(1000, 0n, 1n << 60n)]));
    const shards = planShards(files, small);
    expect(shards).toHaveLength(20);
    expect(Math.max(...shards.map((s) => s.estimatedRows))).toBeLessThan(1700);
  });

  it('gives one giant trace a shard of its own and cuts the rest as usual', () => {
    const giant = 0x77n << 120n;
    const groups = Array.from({ length: 50 }, () => group(1000, giant, giant));
    const files = [file('a', [group(1000, 0n, giant - 1n), ...groups])];
    files.push(file('b', [group(1000, giant + 1n, idEnd - 1n)]));
    const shards = planShards(files, small);
    const alone = shards.find((s) => s.idFrom === giant);
    expect(alone?.idTo).toBe(giant + 1n);
    expect(alone?.estimatedRows).toBe(50_000);
    expectPartition(shards);
  });

  it('handles ids at both ends of the space', () => {
    const last = idEnd - 1n;
    const files = [file('a', [group(5000, 0n, 0n)]), file('b', [group(5000, last, last)])];
    const shards = planShards(files, small);
    expectPartition(shards);
    expect(shards.map((s) => s.estimatedRows)).toEqual([5000, 5000]);
  });

  it('partitions the id space and gives each shard every row group it overlaps, for any input', () => {
    const seed = Number(process.env['TEST_SEED'] ?? 20261122);
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    for (let round = 0; round < 60; round += 1) {
      const files = randomFiles(random);
      const options = {
        rowsMax: 50 + Math.floor(random() * 5000),
        shardsWanted: 1 + Math.floor(random() * 16),
        rowsMin: 1 + Math.floor(random() * 1000),
      };
      const shards = planShards(files, options);
      expectPartition(shards);
      expectOverlaps(files, shards);
      expect(planShards(shuffle(files, random), options)).toEqual(shards);
      expect(shards.every((s) => s.files.length > 0)).toBe(true);
      const rows = files.flatMap((f) => f.rowGroups).reduce((sum, g) => sum + g.rows, 0);
      const estimated = shards.reduce((sum, s) => sum + s.estimatedRows, 0);
      expect(Math.abs(estimated - rows)).toBeLessThanOrEqual(shards.length);
    }
  });
});

function expectPartition(shards: readonly Shard[]): void {
  expect(shards[0]?.idFrom).toBe(0n);
  expect(shards.at(-1)?.idTo).toBe(idEnd);
  for (const [i, shard] of shards.entries()) {
    expect(shard.index).toBe(i);
    expect(shard.idFrom < shard.idTo).toBe(true);
    if (i > 0) expect(shard.idFrom).toBe(shards[i - 1]?.idTo);
  }
}

function expectOverlaps(files: readonly CommitFile[], shards: readonly Shard[]): void {
  for (const shard of shards) {
    const wanted = files
      .map((f) => ({
        key: f.key,
        rowGroups: f.rowGroups.flatMap((g, i) =>
          BigInt(`0x${g.idMin}`) < shard.idTo && BigInt(`0x${g.idMax}`) >= shard.idFrom ? [i] : [],
        ),
      }))
      .filter((f) => f.rowGroups.length > 0)
      .toSorted((a, b) => (a.key < b.key ? -1 : 1));
    expect(shard.files.map(({ key, rowGroups }) => ({ key, rowGroups }))).toEqual(wanted);
  }
}

function randomFiles(random: () => number): CommitFile[] {
  const shape = Math.floor(random() * 4);
  return Array.from({ length: 1 + Math.floor(random() * 12) }, (_, i) => {
    let from = 0n;
    const groups = Array.from({ length: 1 + Math.floor(random() * 5) }, () => {
      const bits = BigInt([120, 8, 64, 0][shape] ?? 0);
      const step = () => BigInt(Math.floor(random() * 256)) << bits;
      const min = from + step() / 4n;
      const max = min + step() / 4n;
      from = max;
      return group(1 + Math.floor(random() * 5000), clamp(min), clamp(max));
    });
    return file(`f${i}`, groups);
  });
}

function shuffle<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

function group(rows: number, min: bigint, max: bigint): CommitFile['rowGroups'][number] {
  return { rows, idMin: hex(min), idMax: hex(max) };
}

function clamp(id: bigint): bigint {
  return id < idEnd ? id : idEnd - 1n;
}

function hex(id: bigint): string {
  return id.toString(16).padStart(32, '0');
}

function file(key: string, rowGroups: CommitFile['rowGroups']): CommitFile {
  const rows = rowGroups.reduce((sum, g) => sum + g.rows, 0);
  return {
    key,
    bytes: 1,
    rows,
    hourMs: 0,
    timeMinNs: '0',
    timeMaxNs: '0',
    quarantined: false,
    rowGroups,
  };
}
