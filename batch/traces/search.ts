/**
 * Searches order statistics among durations that are gone through again and again, because there are too many
 * runs of them to be listed: a bucket that fits into memory is loaded, of a larger one a pass counts the next
 * digits, so that the following pass needs only those that share them. Exact, in bounded memory. Reads nothing.
 */
import { bucketBits, bucketMinNs } from '../../schemas/partials/histogram.ts';
import { runWidth } from '../../schemas/partials/spans.ts';
import type { MergeLimits } from '../merge/ranges.ts';
import { decodeRun, distancesOf, narrowBits, type Distances } from './select.ts';

/** Ranks wanted among the durations of a bucket of a fold. */
export interface Want {
  readonly fold: string;
  readonly bucket: number;
  /** Durations that the bucket has. */
  readonly count: number;
  /** From 0, ascending. */
  readonly ranks: readonly number[];
}

interface Rank {
  /** Place among the ranks of the want. */
  readonly place: number;
  /** Among the durations of the search. */
  readonly rank: number;
}

/** Durations of a want that have the same upper bits, `prefix`; the `bits` below are not known yet. */
interface Search {
  readonly want: Want;
  readonly bits: number;
  readonly prefix: bigint;
  readonly count: number;
  readonly ranks: readonly Rank[];
}

/** A search in a pass: what is loaded, or how many have each digit. */
interface Active extends Search {
  readonly shift: number;
  readonly loaded: Distances | undefined;
  readonly digits: Float64Array | undefined;
  taken: number;
}

export class Searches {
  readonly found = new Map<Want, bigint[]>();
  readonly #limits: MergeLimits;
  #waiting: Search[] = [];
  #active = new Map<string, Active[]>();

  constructor(wants: readonly Want[], limits: MergeLimits) {
    this.#limits = limits;
    for (const want of wants) {
      this.found.set(want, []);
      const ranks = want.ranks.map((rank, place) => ({ place, rank }));
      const { bucket, count } = want;
      this.#add({ want, bits: bucketBits(bucket), prefix: 0n, count, ranks });
    }
  }

  /** Chooses what the next pass searches for, as much as memory allows; false when all is found. */
  begin(): boolean {
    let bytesLeft = this.#limits.windowBytes;
    const later: Search[] = [];
    for (const search of this.#waiting) {
      const isLoaded = search.count * 8 <= this.#limits.runBytes;
      const digitBits = Math.min(narrowBits, search.bits);
      const bytes = isLoaded ? search.count * 8 : 8 * 2 ** digitBits;
      if (bytes > bytesLeft && this.#active.size > 0) {
        later.push(search);
        continue;
      }
      bytesLeft -= bytes;
      const name = nameOf(search.want.fold, search.want.bucket);
      const own = this.#active.get(name) ?? [];
      this.#active.set(name, own);
      own.push({
        ...search,
        shift: search.bits - digitBits,
        loaded: isLoaded ? distancesOf(runWidth(search.want.bucket), search.count) : undefined,
        digits: isLoaded ? undefined : new Float64Array(2 ** digitBits),
        taken: 0,
      });
    }
    this.#waiting = later;
    return this.#active.size > 0;
  }

  /** Whether this pass has to see the durations of the fold in the bucket. */
  wants(fold: string, bucket: number): boolean {
    return this.#active.has(nameOf(fold, bucket));
  }

  /** Takes `count` durations of the fold in the bucket, as a run's bytes. Throws CORRUPT_ARCHIVE. */
  take(fold: string, bucket: number, bytes: Uint8Array, count: number): void {
    const distances = distancesOf(runWidth(bucket), count);
    decodeRun(bytes, bucket, distances);
    for (const search of this.#active.get(nameOf(fold, bucket)) ?? []) takeRun(search, distances);
  }

  /** Ends the pass, in which every run was taken. */
  end(): void {
    for (const search of [...this.#active.values()].flat()) {
      const seen = search.digits?.reduce((sum, count) => sum + count, 0) ?? search.taken;
      if (seen !== search.count)
        throw new Error('Bug: a pass has seen other durations than counted');
      if (search.digits) this.#narrow(search, search.digits);
      if (search.loaded === undefined) continue;
      search.loaded.sort();
      this.#pick(search, search.loaded);
    }
    this.#active = new Map();
  }

  #add(search: Search): void {
    if (search.bits > 0) this.#waiting.push(search);
    else for (const { place } of search.ranks) this.#find(search.want, place, search.prefix);
  }

  #pick({ want, ranks }: Active, sorted: Distances): void {
    for (const { place, rank } of ranks) this.#find(want, place, BigInt(sorted[rank] ?? 0));
  }

  #narrow({ want, prefix, ranks, bits, shift }: Active, digits: Float64Array): void {
    let before = 0;
    for (const [digit, count] of digits.entries()) {
      const end = before + count;
      const own = ranks.filter(({ rank }) => rank >= before && rank < end);
      if (own.length > 0) {
        this.#add({
          want,
          bits: shift,
          prefix: (prefix << BigInt(bits - shift)) + BigInt(digit),
          count,
          ranks: own.map(({ place, rank }) => ({ place, rank: rank - before })),
        });
      }
      before = end;
    }
  }

  #find(want: Want, place: number, distance: bigint): void {
    const durations = this.found.get(want);
    if (durations) durations[place] = bucketMinNs(want.bucket) + distance;
  }
}

function takeRun(search: Active, distances: Distances): void {
  const { bits, shift, loaded, digits } = search;
  const digitOf =
    distances instanceof Float64Array
      ? doubleDigits(bits, shift, search.prefix)
      : longDigits(bits, shift, search.prefix);
  for (const distance of distances) {
    const digit = digitOf(distance);
    if (digit < 0) continue;
    if (digits) digits[digit] = (digits[digit] ?? 0) + 1;
    else if (loaded) loaded[search.taken++] = distance;
  }
}

type DigitOf = (distance: number | bigint) => number;

/** The digit above `shift` of a distance whose bits from `bits` on are `prefix`; of others -1. */
function doubleDigits(bits: number, shift: number, prefix: bigint): DigitOf {
  const [unit, digitUnit, wanted] = [2 ** bits, 2 ** shift, Number(prefix)];
  return (distance) => {
    const value = Number(distance);
    if (Math.floor(value / unit) !== wanted) return -1;
    return Math.floor((value % unit) / digitUnit);
  };
}

function longDigits(bits: number, shift: number, prefix: bigint): DigitOf {
  const [above, below] = [BigInt(bits), BigInt(shift)];
  return (distance) => {
    const value = BigInt(distance);
    if (value >> above !== prefix) return -1;
    return Number((value - (prefix << above)) >> below);
  };
}

function nameOf(fold: string, bucket: number): string {
  return `${bucket} ${fold}`;
}
