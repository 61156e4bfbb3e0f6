/** Computes shards of spans: dedup, groups and sorted durations. */
import { ShardKernel, type GroupResult } from '../../aggregator-as/kernel.ts';
import { encodePartial, type PartialGroup } from '../../schemas/partial.ts';
import type { RowSlice, ShardWork, WorkOptions } from '../work.ts';
import { ColumnMap, spanColumns, spanNames, type SpanNames } from './columns.ts';

export function startSpanWork(options: WorkOptions): ShardWork {
  return new SpanWork(options);
}

class SpanWork implements ShardWork {
  readonly columns = spanColumns;
  readonly #kernel: ShardKernel;
  #names = spanNames();
  #map = new ColumnMap(this.#names);

  constructor({ kernel, memoryBytes, hashSeed }: WorkOptions) {
    this.#kernel = new ShardKernel(kernel, { memoryBytesMax: memoryBytes, hashSeed });
  }

  reset(): void {
    this.#kernel.reset();
    this.#names = spanNames();
    this.#map = new ColumnMap(this.#names);
  }

  add(rows: RowSlice): void {
    this.#kernel.add(this.#map.columns(rows));
  }

  finish(): Uint8Array {
    return encodePartial(named(this.#kernel.finish(), this.#names));
  }
}

/** The kernel's groups with strings in place of codes. */
function* named(groups: Iterable<GroupResult>, names: SpanNames): Generator<PartialGroup> {
  const tenants = names.tenants.values();
  const services = names.services.values();
  const operations = names.operations.values();
  const kinds = names.kinds.values();
  for (const group of groups) {
    yield {
      ...group,
      tenantId: tenants[group.tenant] ?? '',
      serviceName: services[group.service] ?? '',
      operationName: operations[group.operation] ?? '',
      spanKind: kinds[group.kind] ?? '',
    };
  }
}
