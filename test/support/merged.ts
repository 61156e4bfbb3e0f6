/** Partials of spans as a shard makes them, from files in memory; and files of rows dealt out by chance. */
import { SpanKernel } from '../../aggregator-as/spankernel.ts';
import { Rooms } from '../../batch/shard/rooms.ts';
import { Footers, mergeShard } from '../../batch/traces/compute.ts';
import { encodeGroups } from '../../batch/traces/encode.ts';
import { encodeGraph, graphWords } from '../../batch/traces/graph.ts';
import { joinSections } from '../../schemas/partials/section.ts';
import { idEnd, type ShardRange } from '../../schemas/shard.ts';
import { writeSpanFile, type SpanFile, type SpanRow } from './spans.ts';

export interface MergeCost {
  requests: number;
  bytes: number;
  memoryBytes: number;
}

export interface MergedOptions {
  readonly idFrom?: bigint;
  readonly idTo?: bigint;
  readonly memoryBytes?: number;
  readonly kindInIdentity?: boolean;
  /** With a service graph, of so many edges of a tenant. */
  readonly edgesMax?: number;
}

/** The partial of the rows of these files within [idFrom, idTo), and what it cost. */
export async function mergedPartial(
  module: WebAssembly.Module,
  files: readonly Pick<SpanFile, 'bytes' | 'rowGroups'>[],
  options: MergedOptions = {},
): Promise<{ partial: Buffer; cost: MergeCost }> {
  const { idFrom = 0n, idTo = idEnd, memoryBytes = 64 * 1024 * 1024 } = options;
  const { kindInIdentity = true, edgesMax } = options;
  const cost = { requests: 0, bytes: 0, memoryBytes: 0 };
  const shard: ShardRange = {
    idFrom,
    idTo,
    files: files.map(({ bytes, rowGroups }, index) => ({
      key: `file ${index}`,
      bytes: bytes.length,
      hourMs: 0,
      rowGroups: rowGroups.map((_, rowGroup) => rowGroup),
    })),
  };
  const kernel = new SpanKernel(module, {
    memoryBytesMax: memoryBytes,
    kindInIdentity,
    ...(edgesMax !== undefined && { graph: graphWords }),
  });
  const read = (key: string, start: number, end: number) => {
    const bytes = files[Number(key.slice(5))]?.bytes.slice(start, end) ?? new Uint8Array();
    cost.requests += 1;
    cost.bytes += bytes.length;
    return Promise.resolve(bytes);
  };
  await mergeShard(shard, { kernel, footers: new Footers(), rooms: new Rooms(1), read });
  const parts = [encodeGroups(kernel)];
  const { graph } = kernel;
  if (graph !== undefined) parts.push(...encodeGraph(kernel, graph, edgesMax ?? 0));
  const partial = Buffer.from(joinSections(parts).buffer);
  cost.memoryBytes = kernel.memoryBytes;
  return { partial, cost };
}

/** The rows dealt out to files by chance, each sorted. */
export function dealt(
  rows: readonly SpanRow[],
  count: number,
  random: () => number,
  rowGroupRows = 50_000,
): SpanFile[] {
  const parts = Array.from({ length: count }, (): SpanRow[] => []);
  for (const row of rows) parts[Math.floor(random() * count)]?.push(row);
  return parts.filter((part) => part.length > 0).map((part) => writeSpanFile(part, rowGroupRows));
}
