/**
 * Merges the partials of a period's shards into exact results per group. It reads the headers, adds
 * the histograms, and then fetches only the runs that hold wanted ranks. It writes nothing.
 */
import assert from 'node:assert/strict';
import { bucketCount } from '../../schemas/histogram.ts';
import {
  compareKeys,
  decodePartialHeader,
  runRange,
  type GroupTotals,
  spanPreamble,
  type PartialHeader,
  type PartialHeaderGroup,
} from '../../schemas/partial.ts';
import { interpolate, mean, quantileRank, toMs } from '../quantile.ts';
import {
  mapBounded,
  mergeLimits,
  readHeader,
  type MergeLimits,
  type PartialReader,
} from '../ranges.ts';
import { selectDurations, type Run, type Selection } from './select.ts';

/** Exact results of one group of the period. */
export interface GroupStats {
  readonly tenantId: string;
  readonly serviceName: string;
  readonly operationName: string;
  readonly spanKind: string;
  /** Distinct spans. */
  readonly totalSpans: number;
  readonly duplicateSpans: number;
  readonly errorCount: number;
  readonly uniqueTraces: number;
  /** Duplicates that differed from the copy that was kept. */
  readonly conflicts: number;
  /** Milliseconds; these and the quantiles are NaN when `totalSpans` is 0. */
  readonly minMs: number;
  readonly maxMs: number;
  readonly meanMs: number;
  /** In the order of the quantiles that were asked for. */
  readonly quantilesMs: readonly number[];
  /** See `schemas/histogram.ts`: buckets that are not empty, ascending, and their counts. */
  readonly buckets: Uint16Array;
  readonly bucketCounts: Float64Array;
}

interface Source {
  readonly reader: PartialReader;
  readonly group: PartialHeaderGroup;
}

interface MergedGroup extends GroupTotals {
  readonly sources: readonly Source[];
  readonly buckets: Uint16Array;
  readonly bucketCounts: Float64Array;
}

/** The names of a group. */
export type GroupKey = Pick<GroupTotals, 'tenantId' | 'serviceName' | 'operationName' | 'spanKind'>;

/**
 * Results of all groups, ascending by tenant, service, operation and kind, whatever the order of the
 * partials. The shards must not share a trace id. Quantiles are from 0 to 1. `renames` is given all keys
 * and may rename some of them; groups of one name are one then. Throws what the readers throw, and `TidemarkError` CORRUPT_ARCHIVE for a partial that is damaged.
 */
export async function mergePartials(
  readers: readonly PartialReader[],
  quantiles: readonly number[],
  limits: MergeLimits = mergeLimits,
  renames: (keys: readonly GroupKey[]) => (key: GroupKey) => GroupKey = keepNames,
): Promise<GroupStats[]> {
  const headers = await mapBounded(readers, limits.readsInFlight, async (reader) =>
    decodePartialHeader(await readHeader(reader, spanPreamble)),
  );
  const groups = mergeGroups(readers, headers, renames);
  const selections = groups.map((group) => planSelections(group, quantiles));
  const found = await selectDurations(selections.flat(), limits);
  let next = 0;
  return groups.map((group, i) => {
    const ranks = new Map<number, bigint>();
    for (const selection of selections[i] ?? []) {
      const durations = found[next++] ?? [];
      for (const [at, duration] of durations.entries()) {
        ranks.set(selection.before + (selection.ranks[at] ?? 0), duration);
      }
    }
    return groupStats(group, quantiles, ranks);
  });
}

function keepNames() {
  return (key: GroupKey) => key;
}

function mergeGroups(
  readers: readonly PartialReader[],
  headers: readonly PartialHeader[],
  renames: (keys: readonly GroupKey[]) => (key: GroupKey) => GroupKey,
) {
  const rename = renames(headers.flatMap(({ groups }) => groups));
  const sources = headers.flatMap(({ groups }, i) => {
    const reader = readers[i];
    return reader === undefined
      ? []
      : groups.map((group) => ({ reader, group: renamed(group, rename(group)) }));
  });
  const byKey = Map.groupBy(sources, ({ group }) =>
    JSON.stringify([group.tenantId, group.serviceName, group.operationName, group.spanKind]),
  );
  return Array.from(byKey.values(), mergeGroup).toSorted(compareKeys);
}

function renamed(group: PartialHeaderGroup, key: GroupKey): PartialHeaderGroup {
  if (key === group) return group;
  const { tenantId, serviceName, operationName, spanKind } = key;
  return { ...group, tenantId, serviceName, operationName, spanKind };
}

function mergeGroup(sources: readonly Source[]): MergedGroup {
  const groups = sources.map(({ group }) => group);
  const filled = groups.filter((group) => group.count > 0);
  const [first] = groups;
  assert(first, 'A group has a source');
  const sum = (of: (group: GroupTotals) => number): number =>
    groups.reduce((total, group) => total + of(group), 0);
  return {
    tenantId: first.tenantId,
    serviceName: first.serviceName,
    operationName: first.operationName,
    spanKind: first.spanKind,
    rawCount: sum((group) => group.rawCount),
    count: sum((group) => group.count),
    errorCount: sum((group) => group.errorCount),
    uniqueTraces: sum((group) => group.uniqueTraces),
    conflicts: sum((group) => group.conflicts),
    durationMinNs: least(filled.map((group) => group.durationMinNs)),
    durationMaxNs: -least(filled.map((group) => -group.durationMaxNs)),
    durationSumNs: groups.reduce((total, group) => total + group.durationSumNs, 0n),
    sources,
    ...addHistograms(groups),
  };
}

function least(values: readonly bigint[]): bigint {
  return values.reduce((found, value) => (value < found ? value : found), values[0] ?? 0n);
}

/** Counts by bucket while histograms are added; all 0 in between. */
const addedCounts = new Float64Array(bucketCount);

function addHistograms(groups: readonly PartialHeaderGroup[]) {
  let [first, last] = [bucketCount, -1];
  for (const group of groups) {
    const { buckets, bucketCounts } = group;
    for (let i = 0; i < buckets.length; i += 1) {
      const bucket = buckets[i] ?? 0;
      addedCounts[bucket] = (addedCounts[bucket] ?? 0) + (bucketCounts[i] ?? 0);
    }
    first = Math.min(first, buckets[0] ?? first);
    last = Math.max(last, buckets.at(-1) ?? last);
  }
  const buckets: number[] = [];
  const bucketCounts: number[] = [];
  for (let bucket = first; bucket <= last; bucket += 1) {
    const count = addedCounts[bucket] ?? 0;
    if (count === 0) continue;
    buckets.push(bucket);
    bucketCounts.push(count);
  }
  addedCounts.fill(0, first, last + 1);
  return { buckets: Uint16Array.from(buckets), bucketCounts: Float64Array.from(bucketCounts) };
}

/** A selection whose ranks count from `before`, the rank of the bucket's first duration. */
interface PlacedSelection extends Selection {
  readonly before: number;
}

/** One selection for each bucket that a wanted rank falls into. */
function planSelections(group: MergedGroup, quantiles: readonly number[]): PlacedSelection[] {
  const wanted = group.count === 0 ? [] : wantedRanks(group.count, quantiles);
  const selections: PlacedSelection[] = [];
  let before = 0;
  let next = 0;
  for (const [i, bucket] of group.buckets.entries()) {
    const end = before + (group.bucketCounts[i] ?? 0);
    const ranks: number[] = [];
    for (; (wanted[next] ?? Infinity) < end; next++) ranks.push((wanted[next] ?? 0) - before);
    if (ranks.length > 0) selections.push({ bucket, ranks, runs: runsOf(group, bucket), before });
    before = end;
  }
  return selections;
}

/** The ranks, ascending and without repeats. */
function wantedRanks(count: number, quantiles: readonly number[]): number[] {
  const ranks = quantiles.flatMap((quantile) => {
    const { lower, upper } = quantileRank(count, quantile);
    return [lower, upper];
  });
  return [...new Set(ranks)].toSorted((a, b) => a - b);
}

function runsOf(group: MergedGroup, bucket: number): Run[] {
  return group.sources.flatMap((source) => {
    const count = source.group.bucketCounts[source.group.buckets.indexOf(bucket)] ?? 0;
    if (count === 0) return [];
    return [{ reader: source.reader, start: runRange(source.group, bucket).start, count }];
  });
}

function groupStats(
  group: MergedGroup,
  quantiles: readonly number[],
  ranks: ReadonlyMap<number, bigint>,
): GroupStats {
  const { count } = group;
  const ifAny = (ns: number): number => (count === 0 ? Number.NaN : toMs(ns));
  return {
    tenantId: group.tenantId,
    serviceName: group.serviceName,
    operationName: group.operationName,
    spanKind: group.spanKind,
    totalSpans: count,
    duplicateSpans: group.rawCount - count,
    errorCount: group.errorCount,
    uniqueTraces: group.uniqueTraces,
    conflicts: group.conflicts,
    minMs: ifAny(Number(group.durationMinNs)),
    maxMs: ifAny(Number(group.durationMaxNs)),
    meanMs: ifAny(mean(group.durationSumNs, count)),
    quantilesMs: quantiles.map((quantile) => ifAny(quantileOf(count, quantile, ranks))),
    buckets: group.buckets,
    bucketCounts: group.bucketCounts,
  };
}

function quantileOf(count: number, quantile: number, ranks: ReadonlyMap<number, bigint>): number {
  const { lower, upper, fraction } = quantileRank(count, quantile);
  return interpolate(ranks.get(lower) ?? 0n, ranks.get(upper) ?? 0n, fraction);
}
