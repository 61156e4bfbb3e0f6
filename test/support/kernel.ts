/**
 * The batch kernel once more, plainly: the oracle of `aggregator-as/kernel.ts`. Rows are objects,
 * identities are strings, nothing is clever. Also makes columns of rows and rows of chance.
 */
import type { ShardColumns } from '../../aggregator-as/kernel.ts';

export interface KernelRow {
  traceId: bigint;
  spanId: bigint;
  kind: number;
  tenant: number;
  service: number;
  operation: number;
  error: number;
  durationNs: bigint;
  ingestedMs: bigint;
  partition: number;
  offset: bigint;
  itemIndex: number;
}

export interface ReferenceGroup {
  tenant: number;
  service: number;
  operation: number;
  kind: number;
  rawCount: number;
  count: number;
  errorCount: number;
  uniqueTraces: number;
  conflicts: number;
  durationMinNs: bigint;
  durationMaxNs: bigint;
  durationSumNs: bigint;
  durations: bigint[];
}

/** What the kernel has to return for these rows. */
export function referenceGroups(
  rows: readonly KernelRow[],
  kindInIdentity = true,
): ReferenceGroup[] {
  const copies = Map.groupBy(rows, (row) => spanIdentity(row, kindInIdentity));
  const groups = new Map<string, ReferenceGroup>();
  const traces = new Set<string>();
  for (const row of rows) groupOf(groups, row).rawCount++;
  for (const spans of copies.values()) {
    const [kept, ...dropped] = spans.toSorted(compareArrival);
    if (kept === undefined) continue;
    addKept(groupOf(groups, kept), kept, traces);
    for (const row of dropped) {
      const same =
        row.service === kept.service &&
        row.operation === kept.operation &&
        row.kind === kept.kind &&
        row.error === kept.error &&
        row.durationNs === kept.durationNs;
      if (!same) groupOf(groups, row).conflicts++;
    }
  }
  for (const group of groups.values()) finishGroup(group);
  return [...groups.values()].toSorted(
    (a, b) =>
      a.tenant - b.tenant || a.service - b.service || a.operation - b.operation || a.kind - b.kind,
  );
}

function spanIdentity(row: KernelRow, kindInIdentity: boolean): string {
  return [row.tenant, row.traceId, row.spanId, kindInIdentity ? row.kind : ''].join('/');
}

function addKept(group: ReferenceGroup, row: KernelRow, traces: Set<string>): void {
  group.count++;
  group.errorCount += row.error;
  group.durations.push(row.durationNs);
  const trace = [group.tenant, group.service, group.operation, group.kind, row.traceId].join('/');
  if (!traces.has(trace)) group.uniqueTraces++;
  traces.add(trace);
}

function finishGroup(group: ReferenceGroup): void {
  group.durations = group.durations.toSorted(compare);
  group.durationMinNs = group.durations[0] ?? 0n;
  group.durationMaxNs = group.durations.at(-1) ?? 0n;
  group.durationSumNs = group.durations.reduce((sum, duration) => sum + duration, 0n);
}

function groupOf(groups: Map<string, ReferenceGroup>, row: KernelRow): ReferenceGroup {
  const { tenant, service, operation, kind } = row;
  const key = [tenant, service, operation, kind].join('/');
  const made: ReferenceGroup = groups.get(key) ?? {
    tenant,
    service,
    operation,
    kind,
    rawCount: 0,
    count: 0,
    errorCount: 0,
    uniqueTraces: 0,
    conflicts: 0,
    durationMinNs: 0n,
    durationMaxNs: 0n,
    durationSumNs: 0n,
    durations: [],
  };
  groups.set(key, made);
  return made;
}

function compareArrival(a: KernelRow, b: KernelRow): number {
  return (
    compare(a.ingestedMs, b.ingestedMs) ||
    a.partition - b.partition ||
    compare(a.offset, b.offset) ||
    a.itemIndex - b.itemIndex ||
    compare(a.durationNs, b.durationNs) ||
    a.error - b.error ||
    a.service - b.service ||
    a.operation - b.operation ||
    a.kind - b.kind
  );
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}

/** The rows as one batch of columns. */
export function columnsOf(rows: readonly KernelRow[]): ShardColumns {
  const traceIds = new Uint8Array(rows.length * 16);
  const spanIds = new Uint8Array(rows.length * 8);
  const ids = new DataView(traceIds.buffer);
  const spans = new DataView(spanIds.buffer);
  for (const [i, row] of rows.entries()) {
    ids.setBigUint64(i * 16, row.traceId >> 64n);
    ids.setBigUint64(i * 16 + 8, BigInt.asUintN(64, row.traceId));
    spans.setBigUint64(i * 8, row.spanId);
  }
  return {
    rows: rows.length,
    traceIds,
    spanIds,
    kinds: Uint8Array.from(rows, (row) => row.kind),
    tenants: Uint32Array.from(rows, (row) => row.tenant),
    services: Uint32Array.from(rows, (row) => row.service),
    operations: Uint32Array.from(rows, (row) => row.operation),
    errors: Uint8Array.from(rows, (row) => row.error),
    durations: BigUint64Array.from(rows, (row) => row.durationNs),
    ingestedMs: BigInt64Array.from(rows, (row) => row.ingestedMs),
    partitions: Int32Array.from(rows, (row) => row.partition),
    offsets: BigInt64Array.from(rows, (row) => row.offset),
    itemIndexes: Uint32Array.from(rows, (row) => row.itemIndex),
  };
}

/** Rows of chance: few ids, so that there are many duplicates, and values that are often equal. */
export function randomRows(count: number, random: () => number): KernelRow[] {
  const whole = (below: number): number => Math.floor(random() * below);
  const ids = Math.max(2, Math.floor(count / 6));
  return Array.from({ length: count }, () => ({
    traceId: BigInt(whole(ids)) * (random() < 0.5 ? 1n : 1n << 64n) + 1n,
    spanId: BigInt(whole(8)) << BigInt(whole(2) * 56),
    kind: whole(3),
    tenant: whole(2),
    service: whole(3),
    operation: whole(20),
    error: Number(random() < 0.1),
    durationNs: randomDuration(random),
    ingestedMs: BigInt(whole(5)) - 2n,
    partition: whole(3) - 1,
    offset: BigInt(whole(4)) - 1n,
    itemIndex: whole(1000),
  }));
}

function randomDuration(random: () => number): bigint {
  const bits = Math.floor(random() * 65);
  const value = BigInt(Math.floor(random() * 2 ** 32)) * BigInt(Math.floor(random() * 2 ** 32));
  return bits === 64 ? 2n ** 64n - 1n - (value & 3n) : value & ((1n << BigInt(bits)) - 1n);
}
