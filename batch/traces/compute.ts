/**
 * Computes the groups of a shard of spans: reads the row groups of its files in the order in which the
 * kernel merges them, and ahead of it. It decides what is read when; it decodes and counts nothing.
 */
import type { IdRange, OpenBlock, SpanKernel } from '../../aggregator-as/spankernel.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { footersKept, rowGroupsAhead } from '../../schemas/limits/batch.ts';
import { idEnd, type ShardFile, type ShardRange } from '../../schemas/shard.ts';
import type { ReadRange } from '../../workers/clients/parquet/remote.ts';
import { readFooter, type Footer } from '../parquet/footer.ts';
import { UnknownLayout } from '../parquet/pages.ts';
import { mapBounded, mergeLimits, readRanges, type RangeRead } from '../merge/ranges.ts';
import type { OnFile } from '../shard/read.ts';
import type { Rooms } from '../shard/rooms.ts';
import { fillFromArrow, placesFromArrow } from './arrowblocks.ts';
import { blockColumns, fillBlock, fillPlaces, placeColumns } from './blocks.ts';
import type { Chunk, Chunks } from './columns.ts';
import { graphColumns } from './graphblocks.ts';

const placeNames = placeColumns.map(({ name }) => name);
const allColumns: ReadonlySet<string> = new Set([...blockColumns, ...graphColumns, ...placeNames]);
/** Once so many blocks had to be asked where their rows were received, all are, as they are read. */
const asksMax = 2;

/** Footers of files, those that were read last. */
export class Footers {
  readonly #known = new Map<string, Footer>();

  async read(read: ReadRange, { key, bytes }: ShardFile): Promise<Footer> {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const footer = await readFooter(read, key, bytes, allColumns);
    if (this.#known.size >= footersKept) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.set(key, footer);
    return footer;
  }
}

export interface ComputeOptions {
  readonly kernel: SpanKernel;
  readonly footers: Footers;
  /** For what is read of row groups. */
  readonly rooms: Rooms;
  readonly read: ReadRange;
  readonly onFile?: OnFile | undefined;
}

/**
 * Merges all rows of the shard in the kernel, which has its groups then. Throws what `read` throws, and
 * `TidemarkError` CAPACITY, CORRUPT_ARCHIVE.
 */
export async function mergeShard(shard: ShardRange, options: ComputeOptions): Promise<void> {
  const { kernel, footers, read } = options;
  const found = await mapBounded(shard.files, rowGroupsAhead, async (file) =>
    named(file.key, async () => runsOf(file, await footers.read(read, file))),
  );
  const runs = found.flat();
  kernel.begin(runs.length);
  const merge = new Merge(shard, runs, options);
  await merge.begin();
  await merge.finish();
}

interface RowGroup {
  readonly file: ShardFile;
  readonly index: number;
  readonly rows: number;
  readonly chunks: Footer['rowGroups'][number]['chunks'];
  /** Greatest trace id, where it is known: tells whose row groups are wanted first. */
  readonly greatest: string;
}

/** Row groups of one file whose trace ids ascend. */
interface Run {
  readonly rowGroups: readonly RowGroup[];
  next: number;
  /** What has been fetched of `next`, or is being. */
  ahead: Promise<Fetched> | undefined;
  /** Blocks of the row group before that are still to come. */
  readonly waiting: (() => Filled)[];
}

/** Chunks of a row group, and the rooms that they are in. */
interface Fetched {
  readonly chunks: Chunks;
  readonly rooms: readonly Uint8Array<ArrayBuffer>[];
}

interface Filled {
  readonly block: OpenBlock;
  /** Fills in the places of the block at this address, once they are wanted. */
  readonly places: (block: number) => Promise<void>;
}

/** The file's row groups as runs: where their ends are not stated to ascend, another one begins. */
function runsOf(file: ShardFile, footer: Footer): Run[] {
  const runs: RowGroup[][] = [];
  let end: string | undefined;
  for (const index of file.rowGroups) {
    const found = footer.rowGroups[index];
    if (found === undefined) throw corrupt(`it has no row group ${index}`);
    const { rows, chunks, least, greatest } = found;
    const group = { file, index, rows, chunks, greatest: greatest ?? '' };
    const follows = end !== undefined && least !== undefined && least >= end;
    if (follows) runs.at(-1)?.push(group);
    else runs.push([group]);
    end = greatest;
  }
  return runs.map((rowGroups) => ({ rowGroups, next: 0, ahead: undefined, waiting: [] }));
}

const nothing: Fetched = { chunks: new Map<string, Chunk>(), rooms: [] };

class Merge {
  readonly #runs: readonly Run[];
  readonly #options: ComputeOptions;
  readonly #range: IdRange;
  readonly #filled: Filled[] = [];
  /** Of each block. */
  readonly #columns: readonly string[];
  /** Runs that something is to be fetched for, the one whose block ends first at the end. */
  readonly #idle: { readonly run: Run; readonly next: number; readonly end: string }[] = [];
  /** Row groups that are fetched ahead, or being fetched. */
  #fetching = 0;
  #asks = 0;

  constructor(shard: ShardRange, runs: readonly Run[], options: ComputeOptions) {
    this.#runs = runs;
    this.#options = options;
    this.#range = rangeOf(shard);
    const withGraph = options.kernel.graph !== undefined;
    this.#columns = withGraph ? [...blockColumns, ...graphColumns] : blockColumns;
  }

  /** Gives every run its first block. */
  async begin(): Promise<void> {
    for (const [number, run] of this.#runs.entries()) {
      for (const soon of this.#runs.slice(number, number + rowGroupsAhead)) this.#request(soon);
      await this.#feed(number, run);
    }
  }

  async finish(): Promise<void> {
    const { kernel } = this.#options;
    for (;;) {
      const wish = kernel.merge();
      if (wish.type === 'nothing') return;
      if (wish.type === 'block') {
        const run = this.#runs[wish.run];
        if (run !== undefined) await this.#feed(wish.run, run);
      } else {
        this.#asks += 1;
        await this.#filled[wish.tag]?.places(wish.block);
      }
    }
  }

  /** Gives a run its next block that has rows of the shard, if there is one. */
  async #feed(number: number, run: Run): Promise<void> {
    const { kernel } = this.#options;
    for (;;) {
      const filled = run.waiting.shift()?.() ?? (await this.#nextOf(run));
      if (filled === undefined) return;
      const { block } = filled;
      if (block.from === block.to) {
        kernel.drop(block);
        continue;
      }
      const tag = this.#filled.push(filled) - 1;
      kernel.feed(number, block, tag);
      if (this.#asks > asksMax) await filled.places(block.at);
      this.#await(run);
      this.#fetchAhead();
      return;
    }
  }

  async #nextOf(run: Run): Promise<Filled | undefined> {
    const group = run.rowGroups[run.next];
    if (group === undefined) return undefined;
    this.#request(run);
    const { ahead } = run;
    run.ahead = undefined;
    this.#fetching -= 1;
    run.next += 1;
    return named(group.file.key, async () => {
      this.#options.onFile?.(group.file.key);
      const fetched = (await ahead) ?? nothing;
      try {
        return this.#fill(group, fetched.chunks);
      } catch (error) {
        if (!(error instanceof UnknownLayout)) throw error;
        return this.#fillFromArrow(group, run);
      } finally {
        this.#giveBack(fetched);
      }
    });
  }

  #fill(group: RowGroup, chunks: Chunks): Filled {
    const { kernel } = this.#options;
    const block = fillBlock(kernel, group.rows, this.#range, chunks);
    const places = (at: number) =>
      named(group.file.key, async () => {
        try {
          const fetched = await this.#read(group, placeNames);
          fillPlaces(kernel, fetched.chunks, block, at);
          this.#giveBack(fetched);
        } catch (error) {
          if (!(error instanceof UnknownLayout)) throw error;
          await this.#placesFromArrow(group, 0, block, at);
        }
      });
    return { block, places };
  }

  /** What is known of a row group by the library that reads any; it may come in several batches. */
  async #fillFromArrow(group: RowGroup, run: Run): Promise<Filled | undefined> {
    const { kernel, read } = this.#options;
    const { readRowGroup } = await import('../shard/read.ts');
    const batches = await readRowGroup(read, group.file, group.index, this.#columns);
    let first = 0;
    for (const batch of batches) {
      const start = first;
      first += batch.rows;
      run.waiting.push(() => {
        const block = batch.use((arrow) => fillFromArrow(kernel, arrow, this.#range));
        const places = (at: number) => this.#placesFromArrow(group, start, block, at);
        return { block, places };
      });
    }
    return run.waiting.shift()?.();
  }

  async #placesFromArrow(
    group: RowGroup,
    start: number,
    rows: { readonly from: number; readonly to: number },
    block: number,
  ): Promise<void> {
    const { kernel, read } = this.#options;
    const { readRowGroup } = await import('../shard/read.ts');
    const batches = await readRowGroup(read, group.file, group.index, placeNames);
    let first = 0;
    for (const batch of batches) {
      const isIt = first === start;
      first += batch.rows;
      batch.use((arrow) => {
        if (isIt) placesFromArrow(kernel, arrow, rows, block);
      });
    }
  }

  /** Begins to fetch what the run needs next. */
  #request(run: Run): void {
    const group = run.rowGroups[run.next];
    if (group === undefined || run.ahead !== undefined) return;
    this.#fetching += 1;
    run.ahead = this.#read(group, this.#columns);
    // It is awaited in its turn; another one may fail first.
    run.ahead.catch(() => undefined);
  }

  /** Fetches ahead for the runs whose blocks end first. */
  #fetchAhead(): void {
    while (this.#fetching < rowGroupsAhead) {
      const soonest = this.#idle.pop();
      if (soonest === undefined) return;
      // It may have been fetched on demand meanwhile.
      if (soonest.run.next === soonest.next) this.#request(soonest.run);
    }
  }

  /** Notes that the run has a block whose end is known, and nothing is fetched for it yet. */
  #await(run: Run): void {
    const { next, rowGroups } = run;
    if (run.ahead !== undefined || next === rowGroups.length) return;
    const end = rowGroups[next - 1]?.greatest ?? '';
    let [low, high] = [0, this.#idle.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#idle[middle]?.end ?? '') > end) low = middle + 1;
      else high = middle;
    }
    this.#idle.splice(low, 0, { run, next, end });
  }

  /** The bytes of the row group's chunks of these columns, those that it has. */
  async #read(group: RowGroup, columns: readonly string[]): Promise<Fetched> {
    const { read, rooms } = this.#options;
    const chunks = new Map<string, Chunk>();
    const taken: Uint8Array<ArrayBuffer>[] = [];
    const reader = {
      read: (start: number, end: number) => {
        const room = rooms.take(end - start);
        taken.push(room);
        return read(group.file.key, start, end, room);
      },
    };
    const reads: RangeRead[] = [];
    for (const name of columns) {
      const place = group.chunks.get(name);
      if (place === undefined) continue;
      const { start, end } = place;
      reads.push({ reader, start, end, take: (bytes) => chunks.set(name, { place, bytes }) });
    }
    await readRanges(reads, mergeLimits);
    return { chunks, rooms: taken };
  }

  #giveBack({ rooms }: Fetched): void {
    for (const room of rooms) this.#options.rooms.give(room);
  }
}

function rangeOf({ idFrom, idTo }: ShardRange): IdRange {
  const to = idTo === idEnd ? 0n : idTo;
  return {
    fromHigh: idFrom >> 64n,
    fromLow: BigInt.asUintN(64, idFrom),
    toHigh: to >> 64n,
    toLow: BigInt.asUintN(64, to),
  };
}

/** Names the file in the faults of what it holds. */
async function named<T>(key: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    if (!(cause instanceof TidemarkError) || cause.code !== 'CORRUPT_ARCHIVE') throw cause;
    if (cause.message.includes(key)) throw cause;
    throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot read "${key}": ${cause.message}`, { cause });
  }
}

function corrupt(reason: string): TidemarkError {
  return new TidemarkError('CORRUPT_ARCHIVE', `Cannot use the file: ${reason}`);
}
