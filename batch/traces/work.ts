/**
 * Computes shards of spans: dedup, groups and sorted durations, and for days the service graph, whose
 * partial follows that of the groups.
 */
import { SpanKernel } from '../../aggregator-as/spankernel.ts';
import {
  kernelBaseBytes,
  kernelGraphBaseBytes,
  kernelGraphRowBytes,
  kernelRowBytes,
} from '../../schemas/limits/batch.ts';
import type { ShardRange } from '../../schemas/shard.ts';
import type { ReadRange } from '../../workers/clients/remote.ts';
import type { OnFile } from '../read.ts';
import type { RowSlice, ShardWork, WorkOptions } from '../work.ts';
import { Footers, mergeShard } from './compute.ts';
import { encodeGroups } from './encode.ts';
import { graphColumns } from './graphcolumns.ts';
import { GraphWork } from './graphwork.ts';

/** The service graph's part of the memory. */
function graphMemory(memoryBytes: number): number {
  const share = kernelGraphRowBytes / (kernelGraphRowBytes + kernelRowBytes);
  const shared = memoryBytes - kernelBaseBytes - kernelGraphBaseBytes;
  return kernelGraphBaseBytes + Math.floor(Math.max(0, shared) * share);
}

export function startSpanWork(options: WorkOptions): ShardWork {
  return new SpanWork(options);
}

class SpanWork implements ShardWork {
  /** Those of the service graph: the rest reads its own. */
  readonly columns: readonly string[];
  readonly #kernel: SpanKernel;
  readonly #graph: GraphWork | undefined;
  readonly #footers = new Footers();

  constructor(options: WorkOptions) {
    const { kernel, memoryBytes, kind } = options;
    const graphBytes = kind === 'day' ? graphMemory(memoryBytes) : 0;
    this.#kernel = new SpanKernel(kernel, { memoryBytesMax: memoryBytes - graphBytes });
    this.#graph =
      kind === 'day' ? new GraphWork({ ...options, memoryBytes: graphBytes }) : undefined;
    this.columns = kind === 'day' ? graphColumns : [];
  }

  reset(): void {
    this.#graph?.reset();
  }

  merge(shard: ShardRange, read: ReadRange, onFile: OnFile): Promise<void> {
    return mergeShard(shard, { kernel: this.#kernel, footers: this.#footers, read, onFile });
  }

  add(rows: RowSlice): void {
    this.#graph?.add(rows);
  }

  finish(): Uint8Array {
    const groups = encodeGroups(this.#kernel);
    return this.#graph === undefined ? groups : Buffer.concat([groups, this.#graph.finish()]);
  }
}
