/**
 * Computes shards of spans: dedup, groups and sorted durations, and for days the service graph, whose
 * partial follows that of the groups.
 */
import { SpanKernel } from '../../aggregator-as/spankernel.ts';
import type { ShardRange } from '../../schemas/shard.ts';
import type { ReadRange } from '../../workers/clients/remote.ts';
import type { OnFile } from '../read.ts';
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

  constructor({ kernel, memoryBytes, kind, edgesMax }: WorkOptions) {
    this.#kernel = new SpanKernel(kernel, {
      memoryBytesMax: memoryBytes,
      ...(kind === 'day' && { graph: graphWords }),
    });
    this.#edgesMax = edgesMax;
  }

  merge(shard: ShardRange, read: ReadRange, onFile: OnFile): Promise<void> {
    return mergeShard(shard, { kernel: this.#kernel, footers: this.#footers, read, onFile });
  }

  finish(): Uint8Array {
    const groups = encodeGroups(this.#kernel);
    const { graph } = this.#kernel;
    if (graph === undefined) return groups;
    return Buffer.concat([groups, encodeGraph(this.#kernel, graph, this.#edgesMax)]);
  }
}
