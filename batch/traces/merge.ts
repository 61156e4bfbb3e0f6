/**
 * Merges the partials of a period's shards into exact results per group. It reads the headers, adds
 * the histograms, and then fetches only the runs that hold wanted ranks. It writes nothing.
 */
import assert from 'node:assert/strict';
import { bucketCount } from '../../schemas/histogram.ts';
import { mergeRunsWaitingMax } from '../../schemas/limits/batch.ts';
import {
  compareKeys,
  runRange,
  type GroupTotals,
  type PartialHeaderGroup,
} from '../../schemas/partial.ts';
import { interpolate, mean, quantileRank, toMs } from '../quantile.ts';
import { mergeLimits, type MergeLimits, type PartialReader } from '../ranges.ts';
import { Folds, selectFolded } from './fold.ts';
import { PartialGroups, type GroupLimit, type MergedGroup, type Source } from './groups.ts';
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

/** The names of a group. */
export type GroupKey = Pick<GroupTotals, 'tenantId' | 'serviceName' | 'operationName' | 'spanKind'>;

/**
 * Results of all groups, ascending by tenant, service, operation and kind, whatever the order of the
 * partials. The shards must not share a trace id. Quantiles are from 0 to 1. Groups past `limit` are
 * folded into others; their distinct traces are added up then, as if each group had traces of its own. Holds
 * the results, and of the partials no more than `limits` say. Throws what the readers throw, and
 * `TidemarkError` CORRUPT_ARCHIVE for a partial that is damaged.
 */
export async function mergePartials(
  readers: readonly PartialReader[],
  quantiles: readonly number[],
  limits: MergeLimits = mergeLimits,
  limit: GroupLimit = noLimit,
): Promise<GroupStats[]> {
  const partials = await PartialGroups.open(readers, limits);
  const whole = await mergeAll(partials, quantiles, limits, limit);
  if (whole !== undefined) return whole;
  const { results, folds } = await mergeFolding(partials, quantiles, limits, limit);
  const folded = await foldedStats(partials, quantiles, limits, { folds, limit });
  return [...results, ...folded].toSorted(compareKeys);
}

const noLimit: GroupLimit = {
  isPassed: false,
  see: () => undefined,
  end: () => undefined,
  foldOf: () => undefined,
};

/** The results, if there are not too many groups; the limit has seen them all then. */
async function mergeAll(
  partials: PartialGroups,
  quantiles: readonly number[],
  limits: MergeLimits,
  limit: GroupLimit,
): Promise<GroupStats[] | undefined> {
  const pending = new Pending(quantiles, limits);
  for await (const sources of partials.byKey()) {
    const [first] = sources;
    assert(first, 'A group has a source');
    limit.see(
      first.group,
      sources.reduce((sum, { group }) => sum + group.count, 0),
    );
    // Whoever is past the limit begins anew, with all that is known by then.
    if (!limit.isPassed) await pending.add(sources);
  }
  limit.end();
  return limit.isPassed ? undefined : pending.finish();
}

async function mergeFolding(
  partials: PartialGroups,
  quantiles: readonly number[],
  limits: MergeLimits,
  limit: GroupLimit,
): Promise<{ readonly results: GroupStats[]; readonly folds: Folds }> {
  const folds = new Folds();
  const pending = new Pending(quantiles, limits);
  for await (const sources of partials.byKey()) {
    const [first] = sources;
    const key = first && limit.foldOf(first.group);
    if (key === undefined) await pending.add(sources);
    else folds.add(key, mergeGroup(sources));
  }
  return { results: await pending.finish(), folds };
}

/** Groups whose durations are still to be looked up, so many that neighbours are read together. */
class Pending {
  readonly #quantiles: readonly number[];
  readonly #limits: MergeLimits;
  readonly #results: GroupStats[] = [];
  #groups: { readonly group: MergedGroup; readonly selections: PlacedSelection[] }[] = [];
  #runs = 0;

  constructor(quantiles: readonly number[], limits: MergeLimits) {
    this.#quantiles = quantiles;
    this.#limits = limits;
  }

  async add(sources: readonly Source[]): Promise<void> {
    const group = mergeGroup(sources);
    const selections = planRanks(group, this.#quantiles).map((planned) => {
      return { ...planned, runs: runsOf(sources, planned.bucket) };
    });
    this.#groups.push({ group, selections });
    for (const { runs } of selections) this.#runs += runs.length;
    if (this.#runs >= mergeRunsWaitingMax) await this.#flush();
  }

  /** The results of all groups, in the order in which they came. */
  async finish(): Promise<GroupStats[]> {
    await this.#flush();
    return this.#results;
  }

  async #flush(): Promise<void> {
    const groups = this.#groups;
    [this.#groups, this.#runs] = [[], 0];
    const found = await selectDurations(
      groups.flatMap(({ selections }) => selections),
      this.#limits,
    );
    let next = 0;
    for (const { group, selections } of groups) {
      const ranks = new Map<number, bigint>();
      for (const selection of selections) placeRanks(ranks, selection, found[next++] ?? []);
      this.#results.push(groupStats(group, this.#quantiles, ranks));
    }
  }
}

async function foldedStats(
  partials: PartialGroups,
  quantiles: readonly number[],
  limits: MergeLimits,
  { folds, limit }: { readonly folds: Folds; readonly limit: GroupLimit },
): Promise<GroupStats[]> {
  const planned = folds.merged().map(({ name, group }) => {
    return { group, wants: planRanks(group, quantiles).map((want) => ({ ...want, fold: name })) };
  });
  const wants = planned.flatMap((each) => each.wants);
  const found = await selectFolded(partials, wants, (key) => limit.foldOf(key), limits);
  return planned.map(({ group, wants: own }) => {
    const ranks = new Map<number, bigint>();
    for (const want of own) placeRanks(ranks, want, found.get(want) ?? []);
    return groupStats(group, quantiles, ranks);
  });
}

function placeRanks(
  ranks: Map<number, bigint>,
  planned: Pick<PlannedRanks, 'before' | 'ranks'>,
  durations: readonly bigint[],
): void {
  for (const [at, duration] of durations.entries()) {
    ranks.set(planned.before + (planned.ranks[at] ?? 0), duration);
  }
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

/** Ranks that are wanted of a bucket, counted from `before`, the rank of its first duration. */
interface PlannedRanks {
  readonly bucket: number;
  readonly count: number;
  readonly ranks: readonly number[];
  readonly before: number;
}

type PlacedSelection = PlannedRanks & Selection;

/** One for each bucket that a wanted rank falls into. */
function planRanks(group: MergedGroup, quantiles: readonly number[]): PlannedRanks[] {
  const wanted = group.count === 0 ? [] : wantedRanks(group.count, quantiles);
  const planned: PlannedRanks[] = [];
  const { buckets, bucketCounts } = group;
  let before = 0;
  let next = 0;
  for (let i = 0; i < buckets.length && next < wanted.length; i += 1) {
    const count = bucketCounts[i] ?? 0;
    const end = before + count;
    if ((wanted[next] ?? Infinity) < end) {
      const ranks: number[] = [];
      for (; (wanted[next] ?? Infinity) < end; next++) ranks.push((wanted[next] ?? 0) - before);
      planned.push({ bucket: buckets[i] ?? 0, count, ranks, before });
    }
    before = end;
  }
  return planned;
}

/** The ranks, ascending and without repeats. */
function wantedRanks(count: number, quantiles: readonly number[]): number[] {
  const ranks = quantiles.flatMap((quantile) => {
    const { lower, upper } = quantileRank(count, quantile);
    return [lower, upper];
  });
  return [...new Set(ranks)].toSorted((a, b) => a - b);
}

function runsOf(sources: readonly Source[], bucket: number): Run[] {
  return sources.flatMap((source) => {
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
