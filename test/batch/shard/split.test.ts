import { describe, expect, it } from 'vitest';
import { splitShard } from '../../../batch/shard/split.ts';
import { idEnd, type Shard } from '../../../schemas/shard.ts';

const shard: Shard = {
  index: 3,
  idFrom: 0n,
  idTo: idEnd,
  files: [{ key: 'f', bytes: 9, hourMs: 0, rowGroups: [0, 1] }],
  estimatedRows: 1000,
};

describe('splitShard()', () => {
  it('cuts by the ids that are there, though they crowd in a corner of the range', async () => {
    const ids = Array.from({ length: 1000 }, (_, i) => (0x5fn << 120n) + BigInt(i));
    const parts = await splitShard(reader([ids.slice(0, 400), ids.slice(400)]), shard, 250);
    expect(parts).toHaveLength(4);
    expect(parts?.map((part) => part.index)).toEqual([3, 3, 3, 3]);
    expect(parts?.[0]?.idFrom).toBe(0n);
    expect(parts?.at(-1)?.idTo).toBe(idEnd);
    for (const [i, part] of (parts ?? []).entries()) {
      if (i > 0) expect(part.idFrom).toBe(parts?.[i - 1]?.idTo);
      const inside = ids.filter((id) => id >= part.idFrom && id < part.idTo);
      expect(inside.length).toBe(250);
    }
  });

  it('separates a giant trace from the few rows beside it', async () => {
    const giant = Array.from({ length: 900 }, () => 77n);
    const few = Array.from({ length: 100 }, (_, i) => BigInt(1000 + i));
    const parts = await splitShard(reader([giant, few]), shard, 600);
    expect(parts?.length).toBe(2);
    expect(parts?.[0]?.idTo).toBe(1000n);
  });

  it('gives up on a single trace', async () => {
    const giant = Array.from({ length: 900 }, () => 77n);
    expect(await splitShard(reader([giant, giant]), shard, 600)).toBeUndefined();
    expect(await splitShard(reader([]), shard, 600)).toBeUndefined();
  });

  it('samples when there are many rows, and still cuts evenly', async () => {
    const ids = Array.from({ length: 400_000 }, (_, i) => BigInt(i) << 100n);
    const groups = [ids.slice(0, 33), ids.slice(33, 150_000), ids.slice(150_000)];
    const parts = await splitShard(reader(groups), { ...shard, estimatedRows: 4e6 }, 100_000);
    expect(parts).toHaveLength(4);
    for (const part of parts ?? []) {
      const inside = ids.filter((id) => id >= part.idFrom && id < part.idTo);
      expect(Math.abs(inside.length - 100_000)).toBeLessThan(200);
    }
  });
});

function reader(groups: readonly (readonly bigint[])[]) {
  return async (_: unknown, onTraceIds: (traceIds: Uint8Array) => void): Promise<void> => {
    for (const ids of groups) {
      const hex = ids.map((id) => id.toString(16).padStart(32, '0')).join('');
      onTraceIds(new Uint8Array(Buffer.from(hex, 'hex')));
    }
  };
}
