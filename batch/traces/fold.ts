/**
 * Groups that are folded into others, because there are too many: their figures are added up as they come, and
 * their durations are looked up in the end by going through all of them again. Holds a histogram for each
 * fold, however many groups are in it. Which groups are folded is not decided here.
 */
import { mergeFoldedRunsAtOnce } from '../../schemas/limits/batch.ts';
import { runRange, withBuckets } from '../../schemas/partials/buckets.ts';
import {
  runWidth,
  type GroupNames,
  type PartialHeaderGroup,
} from '../../schemas/partials/spans.ts';
import {
  readRanges,
  type MergeLimits,
  type PartialReader,
  type RangeRead,
} from '../merge/ranges.ts';
import type { GroupVisitor, MergedGroup, PartialGroups } from './groups.ts';
import { Searches, type Want } from './search.ts';

/** The groups of these partials that have another key now. */
export class Folds {
  readonly #folds = new Map<string, Fold>();

  /** Adds a group to the one of this key. */
  add(key: GroupNames, group: MergedGroup): void {
    const text = textOf(key);
    const fold = this.#folds.get(text) ?? new Fold(key);
    this.#folds.set(text, fold);
    fold.add(group);
  }

  /** The folds and what each adds up to. */
  merged(): { readonly name: string; readonly group: MergedGroup }[] {
    return Array.from(this.#folds, ([name, fold]) => ({ name, group: fold.merged() }));
  }
}

class Fold {
  readonly #counts = new Map<number, number>();
  #totals: Omit<MergedGroup, 'buckets' | 'bucketCounts'>;

  constructor({ tenantId, serviceName, operationName, spanKind }: GroupNames) {
    this.#totals = {
      tenantId,
      serviceName,
      operationName,
      spanKind,
      rawCount: 0,
      count: 0,
      errorCount: 0,
      uniqueTraces: 0,
      conflicts: 0,
      durationMinNs: 0n,
      durationMaxNs: 0n,
      durationSumNs: 0n,
    };
  }

  add(group: MergedGroup): void {
    const sum = this.#totals;
    this.#totals = {
      ...sum,
      ...(group.count > 0 && boundsOf(sum, group)),
      rawCount: sum.rawCount + group.rawCount,
      count: sum.count + group.count,
      errorCount: sum.errorCount + group.errorCount,
      uniqueTraces: sum.uniqueTraces + group.uniqueTraces,
      conflicts: sum.conflicts + group.conflicts,
      durationSumNs: sum.durationSumNs + group.durationSumNs,
    };
    for (const [i, bucket] of group.buckets.entries()) {
      this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + (group.bucketCounts[i] ?? 0));
    }
  }

  merged(): MergedGroup {
    const sorted = [...this.#counts].toSorted(([a], [b]) => a - b);
    return {
      ...this.#totals,
      buckets: Uint16Array.from(sorted, ([bucket]) => bucket),
      bucketCounts: Float64Array.from(sorted, ([, count]) => count),
    };
  }
}

type Bounded = Pick<MergedGroup, 'count' | 'durationMinNs' | 'durationMaxNs'>;

function boundsOf(sum: Bounded, { durationMinNs, durationMaxNs }: Bounded) {
  if (sum.count === 0) return { durationMinNs, durationMaxNs };
  return {
    durationMinNs: durationMinNs < sum.durationMinNs ? durationMinNs : sum.durationMinNs,
    durationMaxNs: durationMaxNs > sum.durationMaxNs ? durationMaxNs : sum.durationMaxNs,
  };
}

/**
 * Finds durations of folds by their ranks: goes through all partials as often as it takes, mostly once. `foldOf`
 * gives the key that a group is folded under. Returns the durations of each want, as its ranks are. Throws as
 * `PartialGroups.visit` does.
 */
export async function selectFolded(
  partials: PartialGroups,
  wants: readonly Want[],
  foldOf: (key: GroupNames) => GroupNames | undefined,
  limits: MergeLimits,
): Promise<ReadonlyMap<Want, readonly bigint[]>> {
  const searches = new Searches(wants, limits);
  const oneByOne = { ...limits, readsInFlight: 1 };
  while (searches.begin()) {
    await partials.visit((reader) => new RunReader({ reader, searches, foldOf, limits: oneByOne }));
    searches.end();
  }
  return searches.found;
}

interface RunReaderOptions {
  readonly reader: PartialReader;
  readonly searches: Searches;
  readonly foldOf: (key: GroupNames) => GroupNames | undefined;
  readonly limits: MergeLimits;
}

/** Reads the runs of one partial that are searched, many together. */
class RunReader implements GroupVisitor {
  readonly #options: RunReaderOptions;
  #reads: RangeRead[] = [];
  #bytes = 0;

  constructor(options: RunReaderOptions) {
    this.#options = options;
  }

  group(named: PartialHeaderGroup): Promise<void> | undefined {
    const { reader, searches, foldOf, limits } = this.#options;
    const key = foldOf(named);
    if (key === undefined) return undefined;
    const group = withBuckets(named);
    const name = textOf(key);
    for (const [i, bucket] of group.buckets.entries()) {
      const count = group.bucketCounts[i] ?? 0;
      if (count === 0 || runWidth(bucket) === 0 || !searches.wants(name, bucket)) continue;
      const { start, end } = runRange(group, bucket);
      const take = (bytes: Uint8Array) => searches.take(name, bucket, bytes, count);
      this.#reads.push({ reader, start, end, take });
      this.#bytes += end - start;
    }
    const isFull =
      this.#reads.length >= mergeFoldedRunsAtOnce || this.#bytes >= limits.requestBytes;
    return isFull ? this.end() : undefined;
  }

  async end(): Promise<void> {
    const reads = this.#reads;
    [this.#reads, this.#bytes] = [[], 0];
    await readRanges(reads, this.#options.limits);
  }
}

function textOf({ tenantId, serviceName, operationName, spanKind }: GroupNames): string {
  return JSON.stringify([tenantId, serviceName, operationName, spanKind]);
}
