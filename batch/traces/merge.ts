/**
 * Merges the partials of a period's shards into exact results per group. It reads the headers, adds
 * the histograms, and then fetches only the runs that hold wanted ranks. It writes nothing.
 */
import assert from 'node:assert/strict';
import type { BucketPlan, MergeKernel } from '../../aggregator-as/mergekernel.ts';
import { mergeRunsWaitingMax } from '../../schemas/limits/batch.ts';
import { compareKeys, type GroupNames, type GroupTotals } from '../../schemas/partials/spans.ts';
import { startMergeKernel } from '../shard/kernel.ts';
import { interpolate, mean, quantileRank, toMs } from '../merge/quantile.ts';
import { mergeLimits, type MergeLimits, type PartialReader } from '../merge/ranges.ts';
import { Folds, selectFolded } from './fold.ts';
import { PartialGroups, type GroupLimit, type MergedGroup, type Source } from './groups.ts';
import { selectDurations, type Selection } from './select.ts';

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
  /** See `schemas/partials/histogram.ts`: buckets that are not empty, ascending, and their counts. */
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
  const kernel = await startMergeKernel();
  const pending = () => new Pending(kernel, quantiles, limits);
  const whole = await mergeAll(partials, pending(), limit);
  if (whole !== undefined) return whole;
  const folds = new Folds();
  const results = await mergeFolding(partials, pending(), limit, (key, sources) =>
    folds.add(key, mergeGroup(kernel, sources, []).group),
  );
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
  pending: Pending,
  limit: GroupLimit,
): Promise<GroupStats[] | undefined> {
  for await (const sources of partials.byKey()) {
    const [first] = sources;
    assert(first, 'A group has a source');
    limit.see(first.group, countOf(sources));
    // Whoever is past the limit begins anew, with all that is known by then.
    if (!limit.isPassed) await pending.add(sources);
  }
  limit.end();
  return limit.isPassed ? undefined : pending.finish();
}

/** The results of groups that stand for themselves; the others are given to `fold` under their new key. */
async function mergeFolding(
  partials: PartialGroups,
  pending: Pending,
  limit: GroupLimit,
  fold: (key: GroupNames, sources: readonly Source[]) => void,
): Promise<GroupStats[]> {
  for await (const sources of partials.byKey()) {
    const [first] = sources;
    const key = first && limit.foldOf(first.group);
    if (key === undefined) await pending.add(sources);
    else fold(key, sources);
  }
  return pending.finish();
}

/** Groups whose durations are still to be looked up, so many that neighbours are read together. */
class Pending {
  readonly #kernel: MergeKernel;
  readonly #quantiles: readonly number[];
  readonly #limits: MergeLimits;
  readonly #results: GroupStats[] = [];
  #groups: { readonly group: MergedGroup; readonly selections: PlacedSelection[] }[] = [];
  #runs = 0;

  constructor(kernel: MergeKernel, quantiles: readonly number[], limits: MergeLimits) {
    this.#kernel = kernel;
    this.#quantiles = quantiles;
    this.#limits = limits;
  }

  async add(sources: readonly Source[]): Promise<void> {
    const ranks = wantedRanks(countOf(sources), this.#quantiles);
    const { group, plans } = mergeGroup(this.#kernel, sources, ranks);
    const selections = selectionsOf(plans, ranks, sources);
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

function countOf(sources: readonly Source[]): number {
  return sources.reduce((sum, { group }) => sum + group.count, 0);
}

/** A group, and where its durations of these ranks are to be looked for. */
function mergeGroup(
  kernel: MergeKernel,
  sources: readonly Source[],
  ranks: readonly number[],
): { readonly group: MergedGroup; readonly plans: readonly BucketPlan[] } {
  const parts = sources.map(({ group }) => group);
  const { plans, ...histogram } = kernel.merge(parts, ranks);
  return { group: { ...addTotals(parts), ...histogram }, plans };
}

/** Least, greatest and sum are 0 where there is no duration, as in the parts. */
function addTotals(parts: readonly GroupTotals[]): GroupTotals {
  const [first] = parts;
  assert(first, 'A group has a source');
  const { tenantId, serviceName, operationName, spanKind } = first;
  let { rawCount, count, errorCount, uniqueTraces, conflicts } = first;
  let { durationMinNs, durationMaxNs, durationSumNs } = first;
  for (let i = 1; i < parts.length; i += 1) {
    const part = parts[i] ?? first;
    if (part.count > 0) {
      const isLeast = count === 0 || part.durationMinNs < durationMinNs;
      if (isLeast) durationMinNs = part.durationMinNs;
      if (part.durationMaxNs > durationMaxNs) durationMaxNs = part.durationMaxNs;
    }
    rawCount += part.rawCount;
    count += part.count;
    errorCount += part.errorCount;
    uniqueTraces += part.uniqueTraces;
    conflicts += part.conflicts;
    durationSumNs += part.durationSumNs;
  }
  const names = { tenantId, serviceName, operationName, spanKind };
  const counts = { rawCount, count, errorCount, uniqueTraces, conflicts };
  return { ...names, ...counts, durationMinNs, durationMaxNs, durationSumNs };
}

/** One for each bucket that a wanted rank falls into. */
function selectionsOf(
  plans: readonly BucketPlan[],
  ranks: readonly number[],
  sources: readonly Source[],
): PlacedSelection[] {
  let next = 0;
  return plans.map(({ bucket, before, ranks: count, runs }) => {
    const own = ranks.slice(next, next + count);
    next += count;
    return {
      bucket,
      before,
      ranks: own.map((rank) => rank - before),
      runs: runs.map(({ part, start, count: durations }) => {
        const source = sources[part];
        assert(source, 'A run is of a source');
        return { reader: source.reader, start, count: durations };
      }),
    };
  });
}

/** Ranks that are wanted of a bucket, counted from `before`, the rank of its first duration. */
interface PlannedRanks {
  readonly bucket: number;
  readonly ranks: readonly number[];
  readonly before: number;
}

type PlacedSelection = PlannedRanks & Selection;

/** The same of a histogram that no partial has: of a fold. */
function planRanks(
  { count: total, buckets, bucketCounts }: MergedGroup,
  quantiles: readonly number[],
): (PlannedRanks & { readonly count: number })[] {
  const wanted = wantedRanks(total, quantiles);
  const planned: (PlannedRanks & { readonly count: number })[] = [];
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

/** The ranks among `count` durations, ascending and without repeats. */
function wantedRanks(count: number, quantiles: readonly number[]): number[] {
  if (count === 0) return [];
  const ranks = quantiles.flatMap((quantile) => {
    const { lower, upper } = quantileRank(count, quantile);
    return [lower, upper];
  });
  return [...new Set(ranks)].toSorted((a, b) => a - b);
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
