/**
 * Cuts a shard that turned out too large into smaller ones, by the ids that are really in it.
 * Statistics only give the ends of a row group, so a plan can be wrong; this looks, and reads one column.
 */
import { splitSamplesMax } from '../../schemas/limits/batch.ts';
import type { Shard, ShardRange } from '../../schemas/shard.ts';

/** Calls back with the sorted ids, 16 bytes each, of each row group of a shard. */
export type IdReader = (shard: ShardRange, onIds: (ids: Uint8Array) => void) => Promise<void>;

const idBytes = 16;

/**
 * Shards of at most about `rowsMax` rows each that together cover `shard`, at least two of them; or
 * `undefined` when it cannot be cut, because all of its rows have one id. They keep the
 * index of the shard. The result depends on the shard and `rowsMax` only.
 */
export async function splitShard(
  readIds: IdReader,
  shard: Shard,
  rowsMax: number,
): Promise<Shard[] | undefined> {
  const step = Math.max(1, Math.ceil(shard.estimatedRows / splitSamplesMax));
  const sampled: bigint[] = [];
  let rows = 0;
  await readIds(shard, (ids) => {
    const count = ids.length / idBytes;
    const view = new DataView(ids.buffer, ids.byteOffset, ids.byteLength);
    // The sampled row is the one in the middle of its step, counted through all row groups.
    for (let row = sampleOffset(rows, step); row < count; row += step) {
      const at = row * idBytes;
      sampled.push((view.getBigUint64(at) << 64n) | view.getBigUint64(at + 8));
    }
    rows += count;
  });
  const parts = Math.max(2, Math.ceil(rows / rowsMax));
  const cuts = cutSamples(sampled, parts);
  if (cuts.length === 0) return undefined;
  return [...cuts, shard.idTo].map((idTo, part) => ({
    ...shard,
    idFrom: cuts[part - 1] ?? shard.idFrom,
    idTo,
    estimatedRows: Math.ceil(rows / (cuts.length + 1)),
  }));
}

/** Rows to skip so that the rows numbered step/2, step/2 + step, … of the whole are taken. */
function sampleOffset(rowsBefore: number, step: number): number {
  const first = step >> 1;
  return (((first - rowsBefore) % step) + step) % step;
}

/** Where the samples change id nearest to each of the `parts - 1` equal divisions. */
function cutSamples(sampled: readonly bigint[], parts: number): bigint[] {
  const sorted = sampled.toSorted((a, b) => (a < b ? -1 : Number(a > b)));
  const first = sorted[0];
  const cuts = new Set<bigint>();
  for (let part = 1; part < parts; part += 1) {
    const id = sorted[Math.floor((part * sorted.length) / parts)];
    if (id === undefined || first === undefined) continue;
    // Cutting before the first sample could leave an empty part and the same shard again.
    if (id > first) cuts.add(id);
  }
  const after = sorted.find((id) => first !== undefined && id > first);
  if (cuts.size === 0 && after !== undefined) cuts.add(after);
  return [...cuts];
}
