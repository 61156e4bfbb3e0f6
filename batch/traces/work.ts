/**
 * Computes shards of spans: dedup, groups and sorted durations, and for days the service graph, whose
 * partial follows that of the groups.
 */
import { SpanKernel } from '../../aggregator-as/spankernel.ts';
import { joinSections } from '../../schemas/partials/section.ts';
import type { ShardRange } from '../../schemas/shard.ts';
import type { ReadRange } from '../../workers/clients/parquet/remote.ts';
import { roomsKept } from '../../schemas/limits/batch.ts';
import type { OnFile } from '../shard/read.ts';
import { Rooms } from '../shard/rooms.ts';
import type { ShardMerge, WorkOptions } from '../work.ts';
import { Footers, mergeShard } from './compute.ts';
import { encodeGroups } from './encode.ts';
import { encodeGraph, graphWords } from './graph.ts';

export function startSpanWork(options: WorkOptions): ShardMerge {
  return new SpanWork(options);
}

class SpanWork implements ShardMerge {
  readonly #kernel: SpanKernel;
  readonly #edgesMax: number;
  readonly #footers = new Footers();
  readonly #rooms = new Rooms(roomsKept);

  constructor({ kernel, memoryBytes, kind, edgesMax }: WorkOptions) {
    this.#kernel = new SpanKernel(kernel, {
      memoryBytesMax: memoryBytes,
      ...(kind === 'day' && { graph: graphWords }),
    });
    this.#edgesMax = edgesMax;
  }

  merge(shard: ShardRange, read: ReadRange, onFile: OnFile): Promise<void> {
    const [kernel, footers, rooms] = [this.#kernel, this.#footers, this.#rooms];
    return mergeShard(shard, { kernel, footers, rooms, read, onFile });
  }

  finish(): Uint8Array<ArrayBuffer> {
    const groups = encodeGroups(this.#kernel);
    const { graph } = this.#kernel;
    const edges = graph ? encodeGraph(this.#kernel, graph, this.#edgesMax) : [];
    return joinSections([groups, ...edges]);
  }
}
