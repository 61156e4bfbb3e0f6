/**
 * Reads byte ranges of partials: neighbouring ones by one request, a bounded number at a time. It
 * checks lengths and never interprets a byte.
 */
import { TidemarkError } from '../../schemas/errors.ts';
import {
  mergeHeaderBytesMax,
  mergeReadsInFlight,
  mergeRequestBytesMax,
  mergeRunBytesMax,
  mergeWindowBytesMax,
  partialHeaderBytesGuess,
  rangeGapBytesMax,
} from '../../schemas/limits/batch.ts';
import type { Preamble } from '../../schemas/partials/preamble.ts';

/** A partial in the object store. */
export interface PartialReader {
  /** Its length, if that is known. */
  readonly byteLength?: number;
  /** Bytes [start, end). Where the object ends before `end`, those that there are. */
  read(start: number, end: number): Promise<Uint8Array>;
}

/** What the merge holds and asks for at once, however large the partials are. */
export interface MergeLimits {
  /** Requests under way. */
  readonly readsInFlight: number;
  /** Ranges closer to each other than this are read by one request... */
  readonly gapBytes: number;
  /** ...that is no longer than this, unless a single range is. */
  readonly requestBytes: number;
  /** Durations, of 8 bytes each, of one bucket of one group that are loaded; more are narrowed. */
  readonly runBytes: number;
  /** Durations, of 8 bytes each, that are loaded together. */
  readonly windowBytes: number;
  /** Bytes of headers that are held of all partials together. */
  readonly headerBytes: number;
}

export const mergeLimits: MergeLimits = {
  readsInFlight: mergeReadsInFlight,
  gapBytes: rangeGapBytesMax,
  requestBytes: mergeRequestBytesMax,
  runBytes: mergeRunBytesMax,
  windowBytes: mergeWindowBytesMax,
  headerBytes: mergeHeaderBytesMax,
};

/** Bytes [start, end) of a reader, and who is to have them; views are valid during the call. */
export interface RangeRead {
  readonly reader: PartialReader;
  readonly start: number;
  readonly end: number;
  take(bytes: Uint8Array): void;
}

/**
 * Reads all ranges. Throws what the readers throw, and `TidemarkError` CORRUPT_ARCHIVE when an
 * object ends too soon.
 */
export async function readRanges(reads: readonly RangeRead[], limits: MergeLimits): Promise<void> {
  const requests: RangeRead[][] = [];
  for (const ofReader of Map.groupBy(reads, (read) => read.reader).values()) {
    requests.push(...joinNeighbours(ofReader, limits));
  }
  await mapBounded(requests, limits.readsInFlight, readJoined);
}

/** Ranges in order, cut wherever the gap is too wide or the request would be too long. */
function joinNeighbours(reads: readonly RangeRead[], limits: MergeLimits): RangeRead[][] {
  const requests: RangeRead[][] = [];
  let request: RangeRead[] = [];
  let start = 0;
  let end = -Infinity;
  for (const read of reads.toSorted((a, b) => a.start - b.start)) {
    const near = read.start <= end + limits.gapBytes;
    if (!near || read.end - start > limits.requestBytes) {
      request = [];
      requests.push(request);
      start = read.start;
      end = read.end;
    }
    request.push(read);
    end = Math.max(end, read.end);
  }
  return requests;
}

async function readJoined(request: readonly RangeRead[]): Promise<void> {
  const [first] = request;
  if (first === undefined) return;
  const end = request.reduce((furthest, read) => Math.max(furthest, read.end), 0);
  const bytes = await readExactly(first.reader, first.start, end);
  for (const read of request) {
    read.take(bytes.subarray(read.start - first.start, read.end - first.start));
  }
}

/** Bytes [start, end), all of them. Throws `TidemarkError` CORRUPT_ARCHIVE when there are fewer. */
export async function readExactly(
  reader: PartialReader,
  start: number,
  end: number,
): Promise<Uint8Array> {
  const bytes = await reader.read(start, end);
  if (bytes.length === end - start) return bytes;
  throw new TidemarkError(
    'CORRUPT_ARCHIVE',
    `Cannot read a partial: bytes ${start} to ${end} gave ${bytes.length} bytes`,
  );
}

/**
 * The bytes of a partial's header, with one request, or two when it is long. Throws what the reader
 * throws, and CORRUPT_ARCHIVE for another kind of object.
 */
export async function readHeader(reader: PartialReader, preamble: Preamble): Promise<Uint8Array> {
  const guess = Math.min(partialHeaderBytesGuess, reader.byteLength ?? partialHeaderBytesGuess);
  const first = await reader.read(0, guess);
  const headerBytes = preamble.headerBytes(first);
  if (headerBytes <= first.length) return first;
  const rest = await readExactly(reader, first.length, headerBytes);
  const header = new Uint8Array(headerBytes);
  header.set(first);
  header.set(rest, first.length);
  return header;
}

/** Maps with at most `atOnce` calls under way. Results are in the items' order. */
export async function mapBounded<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  map: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const queue = items.entries();
  const work = async (): Promise<void> => {
    for (const [i, item] of queue) results[i] = await map(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work));
  return results;
}
