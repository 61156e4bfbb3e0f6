/**
 * Ids that are not spread evenly, as rows and not as statistics: what the planner makes of what commits say of
 * them, and what splitting makes of what the planner could not know.
 */
import { describe, expect, it } from 'vitest';
import { planShards } from '../../../batch/plan/plan.ts';
import { splitShard } from '../../../batch/shard/split.ts';
import type { CommitFile } from '../../../schemas/commit.ts';
import { planSamplesMax, shardSplitsMax } from '../../../schemas/limits/batch.ts';
import { idEnd, type Shard, type ShardRange } from '../../../schemas/shard.ts';
import { seededRandom } from '../../support/random.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
const rowsMax = 2000;
/** Rows that fit into memory: a plan leaves half of it free. */
const rowsFit = 2 * rowsMax;

type Random = () => number;

interface Skew {
  readonly name: string;
  /** Ids of each file's rows, in any order. */
  readonly files: (random: Random) => bigint[][];
  readonly rowGroupRows: number;
  /** Rows of the largest planned shard, as a multiple of `rowsMax`; Infinity where statistics do not show it. */
  readonly factor: number;
  /** Files that a shard reads at most, as a share of all. @default 1 */
  readonly filesShare?: number;
}

function word(random: Random, bits: bigint): bigint {
  let value = 0n;
  for (let i = 0; i < 4; i += 1) value = (value << 32n) | BigInt(Math.floor(random() * 2 ** 32));
  return value >> (128n - bits);
}

function many<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

/** AWS X-Ray: 32 bits of seconds, then 96 of chance. */
function xray(random: Random, second: number): bigint {
  return (BigInt(0x69_21_00_00 + Math.floor(second)) << 96n) | word(random, 96n);
}

const skews: readonly Skew[] = [
  {
    name: 'evenly spread ids in files of several partitions',
    files: (random) => many(40, () => many(1000, () => word(random, 128n))),
    rowGroupRows: 500,
    factor: 1.35,
  },
  {
    name: 'ids that begin with a time, in files of a minute',
    files: (random) =>
      many(60, (minute) => many(700, () => xray(random, minute * 60 + random() * 60))),
    rowGroupRows: 250,
    factor: 1.35,
    filesShare: 0.15,
  },
  {
    name: 'ids that begin with a time, in files of an hour that overlap, with a rush hour',
    files: (random) =>
      many(24, (hour) =>
        many(hour === 9 ? 20_000 : 1000, () => xray(random, (hour + random() * 1.5) * 3600)),
      ),
    rowGroupRows: 500,
    factor: 1.4,
    filesShare: 0.5,
  },
  {
    name: 'ids of 64 bits, padded with zeros',
    files: (random) => many(20, () => many(2000, () => word(random, 64n))),
    rowGroupRows: 1000,
    factor: 1.35,
  },
  {
    name: 'ids of 64 bits behind a constant',
    files: (random) =>
      many(20, () => many(2000, () => (0xabcdn << 112n) | (word(random, 64n) << 8n))),
    rowGroupRows: 1000,
    factor: 1.35,
  },
  {
    name: 'ids of 64 bits and of 128 in the same row groups, which statistics do not show',
    files: (random) => many(20, () => many(2000, (i) => word(random, i % 2 === 0 ? 64n : 128n))),
    rowGroupRows: 2000,
    factor: Infinity,
  },
  {
    name: 'one trace that is larger than all the others, over many files',
    files: (random) =>
      many(30, () => many(1000, (i) => (i < 500 ? 0x77n << 120n : word(random, 128n)))),
    rowGroupRows: 250,
    factor: Infinity,
  },
  {
    name: 'all ids equal',
    files: () => many(10, () => many(1000, () => 5n)),
    rowGroupRows: 300,
    factor: Infinity,
  },
  {
    name: 'a few large traces and nothing else',
    files: (random) =>
      many(10, () => many(3000, () => BigInt(1 + Math.floor(random() * 6)) << 100n)),
    rowGroupRows: 1000,
    factor: Infinity,
  },
  {
    name: 'very many files of three rows',
    files: (random) => many(5000, () => many(3, () => word(random, 128n))),
    rowGroupRows: 3,
    factor: 1.35,
  },
  {
    name: 'row groups that all say they may hold any id',
    files: (random) =>
      many(10, () => [0n, idEnd - 1n, ...many(3000, () => xray(random, random() * 86_400))]),
    rowGroupRows: 1e9,
    factor: Infinity,
  },
];

describe('planShards() of skewed ids', () => {
  it.each(skews)('$name: each row once, in memory (seed ' + String(seed) + ')', async (skew) => {
    const rows = skew.files(seededRandom(seed)).map((ids) => ids.toSorted(ascending));
    const files = rows.map((ids, i) => commitFile(`f${String(i).padStart(5, '0')}`, ids, skew));
    const total = rows.reduce((sum, ids) => sum + ids.length, 0);
    const shards = planShards(files, { rowsMax, shardsWanted: 1, rowsMin: 1 });
    const heaviest = heaviestId(rows.flat());

    // Whole shards: a row is in the one whose range it is in, and that one reads its row group.
    expect([shards[0]?.idFrom, shards.at(-1)?.idTo]).toEqual([0n, idEnd]);
    for (const [i, shard] of shards.entries()) {
      if (i > 0) expect(shard.idFrom).toBe(shards[i - 1]?.idTo);
    }
    const counts = shards.map((shard) => rowsOf(shard, rows, skew.rowGroupRows).length);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(total);
    expect(Math.max(...counts)).toBeLessThanOrEqual(Math.max(skew.factor * rowsMax, heaviest));
    const filesMax = Math.max(...shards.map((shard) => shard.files.length));
    expect(filesMax).toBeLessThanOrEqual(Math.ceil((skew.filesShare ?? 1) * files.length));

    // Shards that are too large by what is really in them are split, but for those of one id.
    let parts: readonly Shard[] = shards;
    for (let round = 0; ; round += 1) {
      const split = await Promise.all(
        parts.map(async (part) => {
          const own = rowsOf(part, rows, skew.rowGroupRows);
          if (own.length <= rowsFit) return [part];
          const smaller = await splitShard(readerOf(rows, skew), part, rowsMax);
          if (smaller === undefined) expect(new Set(own).size).toBe(1);
          return smaller ?? [part];
        }),
      );
      if (split.every((own) => own.length === 1)) break;
      expect(round).toBeLessThan(shardSplitsMax);
      parts = split.flat();
    }
    const sizes = parts.map((part) => rowsOf(part, rows, skew.rowGroupRows).length);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(total);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(Math.max(rowsFit, heaviest));
  });

  it('balances so many files that each has but one sample', () => {
    const random = seededRandom(seed);
    const rows = many(planSamplesMax / 2, () =>
      many(2, () => word(random, 128n)).toSorted(ascending),
    );
    const files = rows.map((ids, i) => commitFile(String(i), ids, { rowGroupRows: 2 }));
    const shards = planShards(files, { rowsMax: planSamplesMax / 4, shardsWanted: 1, rowsMin: 1 });
    const ids = rows.flat();
    const counts = shards.map(
      ({ idFrom, idTo }) => ids.filter((id) => id >= idFrom && id < idTo).length,
    );
    expect(counts).toHaveLength(4);
    expect(Math.max(...counts)).toBeLessThan(1.05 * (planSamplesMax / 4));
  });

  it('plans many tiny files for many shards in the memory of one list', () => {
    const random = seededRandom(seed);
    const files = many(planSamplesMax / 20, (i) =>
      commitFile(String(i), many(3, () => word(random, 128n)).toSorted(ascending), {
        rowGroupRows: 3,
      }),
    );
    const shards = planShards(files, { rowsMax: 1000, shardsWanted: 1, rowsMin: 1 });
    expect(shards).toHaveLength(30);
    const listed = shards.flatMap((shard) => shard.files);
    expect(listed.length).toBeGreaterThan(100_000);
    expect(new Set(listed).size).toBe(files.length);
  });
});

function commitFile(
  key: string,
  ids: readonly bigint[],
  { rowGroupRows }: Pick<Skew, 'rowGroupRows'>,
): CommitFile {
  const rowGroups: CommitFile['rowGroups'] = [];
  for (let from = 0; from < ids.length; from += rowGroupRows) {
    const own = ids.slice(from, from + rowGroupRows);
    rowGroups.push({ rows: own.length, idMin: hex(own[0]), idMax: hex(own.at(-1)) });
  }
  const times = { hourMs: 0, timeMinNs: '0', timeMaxNs: '0' };
  return { key, bytes: 1, rows: ids.length, ...times, quarantined: false, rowGroups };
}

function hex(id = 0n): string {
  return id.toString(16).padStart(32, '0');
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}

/** Ids of the rows that a shard sees: of its row groups, within its range. */
function rowsOf(shard: ShardRange, rows: readonly bigint[][], rowGroupRows: number): bigint[] {
  return shard.files.flatMap(({ key, rowGroups }) => {
    const ids = rows[Number(key.slice(1))] ?? [];
    return rowGroups.flatMap((group) =>
      ids
        .slice(group * rowGroupRows, (group + 1) * rowGroupRows)
        .filter((id) => id >= shard.idFrom && id < shard.idTo),
    );
  });
}

function readerOf(rows: readonly bigint[][], { rowGroupRows }: Skew) {
  return async (shard: ShardRange, onIds: (ids: Uint8Array) => void): Promise<void> => {
    for (const file of shard.files) {
      for (const group of file.rowGroups) {
        const one = { ...shard, files: [{ ...file, rowGroups: [group] }] };
        onIds(
          new Uint8Array(Buffer.from(rowsOf(one, rows, rowGroupRows).map(hex).join(''), 'hex')),
        );
      }
    }
  };
}

function heaviestId(ids: readonly bigint[]): number {
  const counts = new Map<bigint, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return Math.max(...counts.values());
}
