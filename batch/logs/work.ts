/** Computes shards of logs: dedup, counts and distinct bodies by service, severity and hour. */
import { LogKernel, type LogGroupResult } from '../../aggregator-as/logkernel.ts';
import { encodeLogPartial, type LogPartialGroup } from '../../schemas/partials/logs.ts';
import type { RowSlice, ShardRows, WorkOptions } from '../work.ts';
import { LogColumnMap, logColumns, LogNames } from './columns.ts';

export function startLogWork(options: WorkOptions): ShardRows {
  return new LogWork(options);
}

class LogWork implements ShardRows {
  readonly columns = logColumns;
  readonly #kernel: LogKernel;
  #names = new LogNames();
  #map = new LogColumnMap(this.#names);

  constructor({ kernel, memoryBytes, hashSeed }: WorkOptions) {
    this.#kernel = new LogKernel(kernel, { memoryBytesMax: memoryBytes, hashSeed });
  }

  reset(): void {
    this.#kernel.reset();
    this.#names = new LogNames();
    this.#map = new LogColumnMap(this.#names);
  }

  add(rows: RowSlice): void {
    this.#kernel.add(this.#map.columns(rows));
  }

  finish(): Uint8Array {
    return encodeLogPartial(named(this.#kernel.finish(), this.#names));
  }
}

/** The kernel's groups with strings in place of codes. */
function* named(groups: Iterable<LogGroupResult>, names: LogNames): Generator<LogPartialGroup> {
  const tenants = names.tenants.values();
  const services = names.services.values();
  const buckets = names.buckets();
  for (const { tenant, service, bucket, ...counts } of groups) {
    const { severityNumber = 0, severityText = '', hourMs = 0 } = buckets[bucket] ?? {};
    yield {
      tenantId: tenants[tenant] ?? '',
      serviceName: services[service] ?? '',
      severityNumber,
      severityText,
      hourMs,
      ...counts,
    };
  }
}
