/**
 * The archiver's source when there is no Kafka: the R2 spool, read like a partition. Lists what
 * waits, reads it in order and decodes it into columns; never deletes and never commits. What is
 * in the spool decides what is taken, not a position: an object that turned up late, with a key
 * before those already committed, is taken like any other.
 */
import type { SpanColumns, Tally } from '../aggregator-as/host.ts';
import { archiveSpoolPrefix, parseSpoolKey, spoolPartition } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';
import {
  objectGetBytesMax,
  objectGetsMax,
  spoolObjectsPerFlushMax,
  spoolVisibleMsMax,
} from '../schemas/limits.ts';
import type { CallOptions, ObjectEntry, ObjectStore } from './clients/objects.ts';
import { mapParallel } from './clients/parallel.ts';

export interface SpoolEntry extends ObjectEntry {
  /** From the key; a key that is none of ours counts as old as the one before it. */
  readonly receivedMs: number;
  /** `undefined` for a key that is none of ours. */
  readonly tenantId: string | undefined;
}

export interface SpoolListing {
  /** What waits, oldest first, up to the bounds of one flush. */
  readonly entries: readonly SpoolEntry[];
  readonly bytes: number;
  /** True when the bounds of a flush are reached; there may be more behind the entries. */
  readonly full: boolean;
  /** Objects that are committed already, and only have to be deleted. */
  readonly consumed: readonly string[];
  /** The clock before the listing began. */
  readonly listedMs: number;
}

export interface ListBounds {
  readonly bytesMax: number;
  readonly objectsMax: number;
}

/**
 * What waits in the spool of `topic`, oldest first, without the keys in `committed`. Reads a page
 * per thousand objects and no further than one flush takes.
 */
export async function listSpool(
  store: ObjectStore,
  topic: string,
  committed: ReadonlySet<string>,
  bounds: ListBounds,
  listedMs: number,
  options: CallOptions,
): Promise<SpoolListing> {
  const entries: SpoolEntry[] = [];
  const consumed: string[] = [];
  let bytes = 0;
  const listing = (full: boolean) => ({ entries, bytes, full, consumed, listedMs });
  const objectsMax = Math.min(bounds.objectsMax, spoolObjectsPerFlushMax);
  for await (const page of store.list(archiveSpoolPrefix(topic), options)) {
    for (const entry of page) {
      if (committed.has(entry.key)) consumed.push(entry.key);
      else {
        const parts = parseSpoolKey(entry.key);
        const receivedMs = parts?.receivedMs ?? entries.at(-1)?.receivedMs ?? 0;
        entries.push({ ...entry, receivedMs, tenantId: parts?.tenantId });
        bytes += entry.bytes;
      }
      if (entries.length >= objectsMax || bytes >= bounds.bytesMax) return listing(true);
    }
  }
  return listing(false);
}

/**
 * The time before which everything is committed once the first `taken` entries are (ms since
 * 1970). A request in flight to the spool is not in the listing yet, so the listing vouches for
 * nothing younger than `spoolVisibleMsMax`.
 */
export function watermarkAfter(listing: SpoolListing, taken: number): number {
  const listed = listing.listedMs - spoolVisibleMsMax;
  const left = listing.entries[taken];
  if (left) return Math.min(listed, left.receivedMs);
  const last = listing.entries.at(-1);
  // Behind a full listing lies what was received no earlier than its last entry.
  return listing.full && last ? Math.min(listed, last.receivedMs) : listed;
}

/** A request that cannot be archived, kept aside with the reason. */
export interface DeadRequest {
  readonly entry: SpoolEntry;
  readonly request: Uint8Array;
  readonly error: TidemarkError;
}

export interface Taken {
  /** Entries that were read, from the first on: this many records get an offset. */
  readonly entries: readonly SpoolEntry[];
  readonly dead: readonly DeadRequest[];
  /** Spans refused by reason; `undecodable_request` counts whole requests. */
  readonly rejected: Readonly<Record<string, number>>;
  readonly rows: number;
  readonly bytes: number;
  readonly ingestedMaxMs: number;
}

export interface TakeOptions extends CallOptions {
  readonly topic: string;
  readonly firstOffset: bigint;
  readonly rowsMax: number;
  readonly pastMaxMs: number;
  readonly futureMaxMs: number;
  /** Keys that did not fit into memory on their own; they become dead requests. */
  readonly oversized: ReadonlySet<string>;
}

/**
 * Reads and decodes entries of the listing in order into `columns` (which must be empty), until
 * `rowsMax` rows are there or no memory is left. Record i has offset `firstOffset + i`. Returns
 * `undefined` when an object is gone: then another archiver has committed it, and this flush
 * cannot succeed. Throws OBJECT_STORE errors.
 */
export async function takeSpool(
  store: ObjectStore,
  listing: SpoolListing,
  columns: SpanColumns,
  options: TakeOptions,
): Promise<Taken | undefined> {
  const batch = new Take(columns, options);
  for (const chunk of chunks(listing.entries)) {
    const requests = await mapParallel(chunk, objectGetsMax, ({ key }) =>
      store.get(key, { signal: options.signal }),
    );
    for (const [index, entry] of chunk.entries()) {
      const request = requests[index];
      if (!request) return undefined;
      if (!batch.add(entry, request)) return batch;
    }
  }
  return batch;
}

/** Runs of entries that are read at once: bounded in number and in bytes, never empty. */
function* chunks(entries: readonly SpoolEntry[]): Iterable<SpoolEntry[]> {
  let chunk: SpoolEntry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    if (
      chunk.length === objectGetsMax ||
      (chunk.length > 0 && bytes + entry.bytes > objectGetBytesMax)
    ) {
      yield chunk;
      [chunk, bytes] = [[], 0];
    }
    chunk.push(entry);
    bytes += entry.bytes;
  }
  if (chunk.length > 0) yield chunk;
}

class Take implements Taken {
  readonly entries: SpoolEntry[] = [];
  readonly dead: DeadRequest[] = [];
  readonly rejected: Record<string, number> = {};
  bytes = 0;
  ingestedMaxMs = 0;
  readonly #columns: SpanColumns;
  readonly #options: TakeOptions;

  constructor(columns: SpanColumns, options: TakeOptions) {
    this.#columns = columns;
    this.#options = options;
  }

  get rows(): number {
    return this.#columns.rowCount;
  }

  /** Adds one request. False when the batch is full without it. */
  add(entry: SpoolEntry, request: Uint8Array): boolean {
    if (this.rows >= this.#options.rowsMax) return false;
    try {
      this.#count(this.#decode(entry, request));
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      if (error.code === 'CAPACITY' && this.rows > 0) return false;
      if (error.code !== 'CAPACITY' && error.code !== 'BAD_OTLP') throw error;
      this.dead.push({ entry, request, error });
      this.#reject('undecodable_request', 1);
    }
    this.entries.push(entry);
    this.bytes += request.byteLength;
    this.ingestedMaxMs = Math.max(this.ingestedMaxMs, entry.receivedMs);
    return true;
  }

  #decode(entry: SpoolEntry, request: Uint8Array): Tally {
    const { key, receivedMs, tenantId } = entry;
    const { topic, firstOffset, pastMaxMs, futureMaxMs, oversized } = this.#options;
    if (tenantId === undefined) {
      throw new TidemarkError('BAD_OTLP', `Cannot archive "${key}": not the name of a request`);
    }
    if (oversized.has(key)) {
      throw new TidemarkError('CAPACITY', `Cannot archive "${key}": its columns need more memory`);
    }
    const offset = firstOffset + BigInt(this.entries.length);
    const place = { topic, partition: spoolPartition, offset };
    return this.#columns.add(request, { tenantId, receivedMs, pastMaxMs, futureMaxMs, ...place });
  }

  #count(tally: Tally): void {
    for (const [reason, count] of Object.entries(tally.rejectedBy)) this.#reject(reason, count);
  }

  #reject(reason: string, count: number): void {
    if (count > 0) this.rejected[reason] = (this.rejected[reason] ?? 0) + count;
  }
}
