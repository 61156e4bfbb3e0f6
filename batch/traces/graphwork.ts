/** Computes the service graph of shards: what `encodeGraph` says of their rows. */
import { GraphKernel } from '../../aggregator-as/graphkernel.ts';
import type { RowSlice, ShardWork, WorkOptions } from '../work.ts';
import { encodeGraph } from './graph.ts';
import { graphColumns, GraphMap } from './graphcolumns.ts';

export class GraphWork implements ShardWork {
  readonly columns = graphColumns;
  readonly #kernel: GraphKernel;
  readonly #edgesMax: number;
  #map = new GraphMap();

  /** Throws `TidemarkError` CAPACITY when the memory leaves no room to begin. */
  constructor({
    kernel,
    memoryBytes,
    hashSeed,
    edgesMax,
  }: Pick<WorkOptions, 'kernel' | 'memoryBytes' | 'hashSeed' | 'edgesMax'>) {
    this.#kernel = new GraphKernel(kernel, { memoryBytesMax: memoryBytes, hashSeed });
    this.#edgesMax = edgesMax;
  }

  reset(): void {
    this.#kernel.reset();
    this.#map = new GraphMap();
  }

  add(rows: RowSlice): void {
    this.#kernel.add(this.#map.columns(rows));
  }

  finish(): Uint8Array {
    const { tenants, nodes } = this.#map;
    const names = { tenants: tenants.values(), nodes: nodes.values() };
    return encodeGraph(this.#kernel, names, this.#edgesMax);
  }
}
