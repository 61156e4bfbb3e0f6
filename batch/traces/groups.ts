/**
 * Goes through the groups of many partials: those of one key together, in the order of keys, or partial by
 * partial. Headers that are long are read piece by piece, so memory does not grow with the number of groups.
 * Adds nothing up.
 */
import { mergeHeaderPieceBytesMin, partialHeaderBytesGuess } from '../../schemas/limits/batch.ts';
import {
  compareKeys,
  spanPreamble,
  type GroupNames,
  type GroupTotals,
  type PartialHeaderGroup,
} from '../../schemas/partials/spans.ts';
import { GroupStream } from '../../schemas/partials/stream.ts';
import { mapBounded, readExactly, type MergeLimits, type PartialReader } from '../merge/ranges.ts';

/** A group as one partial has it. */
export interface Source {
  readonly reader: PartialReader;
  readonly group: PartialHeaderGroup;
}

/** What all partials together know of a group. */
export interface MergedGroup extends GroupTotals {
  readonly buckets: Uint16Array;
  readonly bucketCounts: Float64Array;
}

/** A guard against too many groups: says which of them become one. */
export interface GroupLimit {
  /** Whether there are too many, once all were seen. */
  readonly isPassed: boolean;
  /** Is told of every group, ascending by key, and how many spans it has; then of the end. */
  see(key: GroupNames, count: number): void;
  end(): void;
  /** The key of the group that this one is folded into; `undefined` when it stands for itself. */
  foldOf(key: GroupNames): GroupNames | undefined;
}

/** A partial, and as much of its header as is kept. */
interface Head {
  readonly reader: PartialReader;
  readonly first: Uint8Array;
}

/** The partials of a period. */
export class PartialGroups {
  readonly #heads: readonly Head[];
  readonly #pieceBytes: number;
  readonly #limits: MergeLimits;

  private constructor(heads: readonly Head[], pieceBytes: number, limits: MergeLimits) {
    this.#heads = heads;
    this.#pieceBytes = pieceBytes;
    this.#limits = limits;
  }

  /** Reads how they begin; what is short enough is read whole, and kept. Throws as `byKey` does. */
  static async open(
    readers: readonly PartialReader[],
    limits: MergeLimits,
  ): Promise<PartialGroups> {
    const share = Math.floor(limits.headerBytes / Math.max(1, readers.length));
    const pieceBytes = Math.max(mergeHeaderPieceBytesMin, share);
    const heads = await mapBounded(readers, limits.readsInFlight, (reader) =>
      readHead(reader, pieceBytes),
    );
    return new PartialGroups(heads, pieceBytes, limits);
  }

  /**
   * The groups of each key, ascending, from the first each time it is called. Throws what the readers throw, and
   * `TidemarkError` CORRUPT_ARCHIVE for a partial that is damaged, perhaps only after its last group.
   */
  async *byKey(): AsyncGenerator<readonly Source[]> {
    const cursors = this.#heads.map((head) => new Cursor(head, this.#pieceBytes));
    await mapBounded(cursors, this.#limits.readsInFlight, async (cursor) => cursor.advance());
    const heap = new Heap(cursors.filter(({ current }) => current !== undefined));
    for (let next = heap.first; next !== undefined; next = heap.first) {
      const key = groupOf(next);
      const sources: Source[] = [];
      for (let same: Cursor | undefined = next; same; same = sameKey(heap.first, key)) {
        sources.push({ reader: same.reader, group: groupOf(same) });
        const waiting = same.advance();
        if (waiting !== undefined) await waiting;
        heap.settle();
      }
      yield sources;
    }
  }

  /**
   * Gives a visitor of each partial its groups in their order, a few partials at a time. Throws as `byKey`
   * does, and what visitors throw.
   */
  async visit(visitorOf: (reader: PartialReader) => GroupVisitor): Promise<void> {
    await mapBounded(this.#heads, this.#limits.readsInFlight, async (head) => {
      const visitor = visitorOf(head.reader);
      const cursor = new Cursor(head, this.#pieceBytes);
      for (;;) {
        const waiting = cursor.advance();
        if (waiting !== undefined) await waiting;
        if (cursor.current === undefined) break;
        const busy = visitor.group(cursor.current);
        if (busy !== undefined) await busy;
      }
      await visitor.end();
    });
  }
}

/** What is done with the groups of one partial. */
export interface GroupVisitor {
  /** Takes the next group; a promise is waited for. */
  group(group: PartialHeaderGroup): Promise<void> | undefined;
  end(): Promise<void>;
}

async function readHead(reader: PartialReader, pieceBytes: number): Promise<Head> {
  const guess = Math.min(partialHeaderBytesGuess, pieceBytes, reader.byteLength ?? Infinity);
  const first = await reader.read(0, guess);
  const headerBytes = spanPreamble.headerBytes(first);
  if (headerBytes <= first.length) return { reader, first: first.subarray(0, headerBytes) };
  if (headerBytes > pieceBytes) return { reader, first };
  const rest = await readExactly(reader, first.length, headerBytes);
  return { reader, first: Buffer.concat([first, rest]) };
}

/** The place in one partial. */
class Cursor {
  readonly reader: PartialReader;
  /** The group that it is at; `undefined` before the first and after the last. */
  current: PartialHeaderGroup | undefined;
  readonly #stream: GroupStream;
  readonly #pieceBytes: number;

  constructor({ reader, first }: Head, pieceBytes: number) {
    this.reader = reader;
    this.#stream = new GroupStream(first);
    this.#pieceBytes = pieceBytes;
  }

  /** Goes on to the next group; only when bytes must be read first, a promise is to be waited for. */
  advance(): Promise<void> | undefined {
    this.current = this.#stream.next();
    return this.current !== undefined || this.#stream.isDone ? undefined : this.#more();
  }

  async #more(): Promise<void> {
    const stream = this.#stream;
    while (this.current === undefined && !stream.isDone) {
      const start = stream.given;
      const end = Math.min(stream.headerBytes, start + this.#pieceBytes);
      stream.push(await readExactly(this.reader, start, end));
      this.current = stream.next();
    }
  }
}

function groupOf({ current }: Cursor): PartialHeaderGroup {
  if (current === undefined) throw new Error('Bug: a partial at its end is among those to merge');
  return current;
}

function sameKey(cursor: Cursor | undefined, key: PartialHeaderGroup): Cursor | undefined {
  return cursor?.current && compareKeys(cursor.current, key) === 0 ? cursor : undefined;
}

/** A binary heap: the cursor with the least key is first. */
class Heap {
  readonly #cursors: Cursor[];

  constructor(cursors: readonly Cursor[]) {
    this.#cursors = cursors.toSorted((a, b) => compareKeys(groupOf(a), groupOf(b)));
  }

  get first(): Cursor | undefined {
    return this.#cursors[0];
  }

  /** To be called after the first cursor has gone on. */
  settle(): void {
    const cursors = this.#cursors;
    if (cursors[0]?.current === undefined) {
      const last = cursors.pop();
      if (last === undefined || cursors.length === 0) return;
      cursors[0] = last;
    }
    const [sinking] = cursors;
    if (sinking === undefined) return;
    let at = 0;
    for (;;) {
      const child = this.#lesserChild(at);
      const other = cursors[child];
      if (other === undefined || compareKeys(groupOf(sinking), groupOf(other)) <= 0) break;
      cursors[at] = other;
      at = child;
    }
    cursors[at] = sinking;
  }

  #lesserChild(at: number): number {
    const [left, right] = [this.#cursors[2 * at + 1], this.#cursors[2 * at + 2]];
    if (left === undefined || right === undefined) return 2 * at + 1;
    return compareKeys(groupOf(left), groupOf(right)) <= 0 ? 2 * at + 1 : 2 * at + 2;
  }
}
