/**
 * The batch kernel once more, plainly: the oracle of `aggregator-as/spankernel.ts`. Rows are objects,
 * identities are strings, nothing is clever.
 */

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
