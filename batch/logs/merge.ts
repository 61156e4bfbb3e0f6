/**
 * Merges the partials of a period's shards of logs into exact counts per group. A group that several
 * shards have is rare (shards are ranges of services and times): only of those the hashes of bodies are
 * read, in pages, so memory is bounded however many there are.
 */
import {
  bodyHashBytes,
  compareLogKeys,
  decodeLogHeader,
  logPreamble,
  type LogGroupKey,
  type LogHeaderGroup,
} from '../../schemas/partials/logs.ts';
import {
  mapBounded,
  mergeLimits,
  readExactly,
  readHeader,
  type PartialReader,
} from '../merge/ranges.ts';
import { mergeHashesAtOnce } from '../../schemas/limits/batch.ts';

/** Exact results of one group of the period. */
export interface LogStats extends LogGroupKey {
  /** Distinct records. */
  readonly totalRecords: number;
  readonly duplicateRecords: number;
  readonly bodyBytes: bigint;
  readonly uniqueBodies: number;
}

interface Source {
  readonly reader: PartialReader;
  readonly group: LogHeaderGroup;
}

/**
 * Results of all groups, ascending by their keys, whatever the order of the partials. The shards must
 * not share an identity. Throws what the readers throw, and `TidemarkError` CORRUPT_ARCHIVE for a
 * partial that is damaged.
 */
export async function mergeLogPartials(readers: readonly PartialReader[]): Promise<LogStats[]> {
  const { readsInFlight } = mergeLimits;
  const sources = await mapBounded(readers, readsInFlight, async (reader): Promise<Source[]> => {
    const groups = decodeLogHeader(await readHeader(reader, logPreamble));
    return groups.map((group) => ({ reader, group }));
  });
  const byKey = Map.groupBy(sources.flat(), ({ group }) =>
    JSON.stringify([
      group.tenantId,
      group.serviceName,
      group.hourMs,
      group.severityNumber,
      group.severityText,
    ]),
  );
  const stats = await mapBounded([...byKey.values()], readsInFlight, mergeGroup);
  return stats.toSorted(compareLogKeys);
}

async function mergeGroup(sources: readonly Source[]): Promise<LogStats> {
  const groups = sources.map(({ group }) => group);
  const [first] = groups;
  if (first === undefined) throw new Error('Bug: a group without a source');
  const { tenantId, serviceName, severityNumber, severityText, hourMs } = first;
  const totalRecords = groups.reduce((sum, { count }) => sum + count, 0);
  const rawCount = groups.reduce((sum, group) => sum + group.rawCount, 0);
  return {
    tenantId,
    serviceName,
    severityNumber,
    severityText,
    hourMs,
    totalRecords,
    duplicateRecords: rawCount - totalRecords,
    bodyBytes: groups.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0n),
    uniqueBodies: groups.length === 1 ? first.uniqueBodies : await countDistinct(sources),
  };
}

/** Distinct hashes among the sorted ones of all sources. */
async function countDistinct(sources: readonly Source[]): Promise<number> {
  const runs = sources.map((source) => new Run(source));
  for (const run of runs) await run.next();
  let distinct = 0;
  for (;;) {
    const least = leastOf(runs);
    if (least === undefined) return distinct;
    distinct += 1;
    const [a, b] = [least.high, least.low];
    for (const run of runs) {
      while (run.isAt(a, b)) if (!run.advance()) await run.next();
    }
  }
}

function leastOf(runs: readonly Run[]): Run | undefined {
  let least: Run | undefined;
  for (const run of runs) {
    if (run.isDone) continue;
    if (least === undefined || run.isBefore(least)) least = run;
  }
  return least;
}

/** The sorted hashes of one source, a page at a time. */
class Run {
  readonly #reader: PartialReader;
  #at: number;
  readonly #end: number;
  #words = new BigUint64Array();
  #word = 0;
  high = 0n;
  low = 0n;
  isDone = false;

  constructor({ reader, group }: Source) {
    this.#reader = reader;
    this.#at = group.hashesStart;
    this.#end = group.hashesStart + group.uniqueBodies * bodyHashBytes;
  }

  /** Goes to the first hash of the next page, or is done. */
  async next(): Promise<void> {
    const end = Math.min(this.#end, this.#at + mergeHashesAtOnce * bodyHashBytes);
    if (this.#at === end) {
      this.isDone = true;
      return;
    }
    const bytes = await readExactly(this.#reader, this.#at, end);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#words = BigUint64Array.from({ length: bytes.length / 8 }, (_, i) =>
      view.getBigUint64(i * 8),
    );
    this.#at = end;
    this.#word = -2;
    this.advance();
  }

  /** Goes to the next hash of the page; false at its end. */
  advance(): boolean {
    this.#word += 2;
    if (this.#word >= this.#words.length) return false;
    this.high = this.#words[this.#word] ?? 0n;
    this.low = this.#words[this.#word + 1] ?? 0n;
    return true;
  }

  isAt(high: bigint, low: bigint): boolean {
    return !this.isDone && this.high === high && this.low === low;
  }

  isBefore(other: Run): boolean {
    return this.high === other.high ? this.low < other.low : this.high < other.high;
  }
}
