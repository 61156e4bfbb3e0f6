/**
 * The R2 spool, read like a partition: the archive leg where there is no Kafka, and the place of
 * requests that Kafka did not take. What is in the spool decides what is taken, not a position: an
 * object that turned up late, with a key before those already committed, is taken like any other.
 */
import {
  archiveSpoolPrefix,
  parseSpoolKey,
  spoolPartition,
  topics,
} from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import type { Commit } from '../../schemas/commit.ts';
import { receivedMsOf } from '../../schemas/requestid.ts';
import { objectGetsMax } from '../../schemas/limits.ts';
import {
  objectGetBytesMax,
  spoolObjectsPerFlushMax,
  spoolVisibleMsMax,
} from '../../schemas/limits/archive.ts';
import type { CallOptions, ObjectEntry, ObjectStore } from '../clients/store/objects.ts';
import { mapParallel } from '../clients/parallel.ts';
import type { Backlog, Bounds, Source, SourcePosition, SourceRecord } from './source.ts';

export interface SpoolEntry extends ObjectEntry {
  /** From the key; a key that is none of ours counts as old as the one before it. */
  readonly receivedMs: number;
  /** `undefined` for a key that is none of ours. */
  readonly tenantId: string | undefined;
  /** When the edge received it; `undefined` for what did not come through the edge. */
  readonly edgeMs: number | undefined;
}

/** The spool of one signal. Its offsets are given when a commit takes its objects. */
export class SpoolSource implements Source {
  readonly signal: Signal;
  readonly topic: string;
  readonly partition = 'spool';
  readonly partitionNumber = spoolPartition;
  readonly #store: ObjectStore;
  readonly #now: () => number;
  #committed: ReadonlySet<string> = new Set();
  /** What the last listing found and no commit has taken since. */
  #waiting: readonly SpoolEntry[] = [];

  /** `now` gives the time in ms since 1970. */
  constructor(store: ObjectStore, signal: Signal, now: () => number) {
    this.#store = store;
    this.signal = signal;
    this.topic = topics[signal];
    this.#now = now;
  }

  /**
   * Deletes the objects that the commit has consumed, before anything new is taken: so an object is
   * either named by the newest commit or was never committed. Throws OBJECT_STORE.
   */
  async adopt(head: Commit | undefined, options: CallOptions): Promise<void> {
    const keys = head?.spoolKeys ?? [];
    this.#committed = new Set(keys);
    this.#waiting = this.#waiting.filter(({ key }) => !this.#committed.has(key));
    if (head) await this.#store.delete(keys, options);
  }

  /**
   * What waits, oldest first, without what the adopted commit names. Reads a page per thousand
   * objects and no further than one flush takes. Throws OBJECT_STORE.
   */
  async look(bounds: Bounds, options: CallOptions): Promise<SpoolBacklog> {
    const listedMs = this.#now();
    const { entries, consumed, full } = await this.#list(bounds, options);
    this.#waiting = entries;
    // A slow PUT may bring back an object after its delete, while the log still knows it.
    if (consumed.length > 0) await this.#store.delete(consumed, options);
    return new SpoolBacklog(this.#store, entries, full, listedMs);
  }

  position(): SourcePosition {
    return {
      endOffset: undefined,
      waiting: this.#waiting.length,
      oldestMs: this.#waiting[0]?.receivedMs,
      heldBytes: 0,
    };
  }

  /** Nothing to do: the spool's objects are read when they are decoded. */
  suspend(): void {}

  async #list(bounds: Bounds, options: CallOptions) {
    const entries: SpoolEntry[] = [];
    const consumed: string[] = [];
    let bytes = 0;
    const recordsMax = Math.min(bounds.recordsMax, spoolObjectsPerFlushMax);
    for await (const page of this.#store.list(archiveSpoolPrefix(this.topic), options)) {
      for (const entry of page) {
        if (this.#committed.has(entry.key)) consumed.push(entry.key);
        else {
          const parts = parseSpoolKey(entry.key);
          const receivedMs = parts?.receivedMs ?? entries.at(-1)?.receivedMs ?? 0;
          const edgeMs = parts && receivedMsOf(parts.requestId);
          entries.push({ ...entry, receivedMs, tenantId: parts?.tenantId, edgeMs });
          bytes += entry.bytes;
        }
        const full = entries.length >= recordsMax || bytes >= bounds.bytesMax;
        if (full) return { entries, consumed, full };
      }
    }
    return { entries, consumed, full: false };
  }
}

/** What a listing of the spool found. `full`: there may be more behind its entries. */
export class SpoolBacklog implements Backlog {
  readonly entries: readonly SpoolEntry[];
  readonly bytes: number;
  readonly full: boolean;
  readonly complete = true;
  readonly #store: ObjectStore;
  readonly #listedMs: number;

  constructor(store: ObjectStore, entries: readonly SpoolEntry[], full: boolean, listedMs: number) {
    this.#store = store;
    this.entries = entries;
    this.bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    this.full = full;
    this.#listedMs = listedMs;
  }

  get count(): number {
    return this.entries.length;
  }

  get waitingSinceMs(): number | undefined {
    return this.entries[0]?.receivedMs;
  }

  /** Entry i has offset `firstOffset + i`. Reads a bounded number of objects at once. */
  async *records(
    firstOffset: bigint,
    options: CallOptions,
  ): AsyncGenerator<SourceRecord | undefined, void, undefined> {
    let offset = firstOffset;
    for (const chunk of chunks(this.entries)) {
      const requests = await mapParallel(chunk, objectGetsMax, ({ key }) =>
        this.#store.get(key, { signal: options.signal }),
      );
      for (const [index, { key, receivedMs, tenantId, edgeMs }] of chunk.entries()) {
        const request = requests[index];
        const record = { offset, receivedMs, edgeMs, tenantId, name: key, origin: { key } };
        yield request && { ...record, request };
        offset += 1n;
      }
    }
  }

  /**
   * A request in flight to the spool is not in the listing yet, so the listing vouches for nothing
   * younger than `spoolVisibleMsMax`.
   */
  watermarkAfter(taken: number): number {
    const listed = this.#listedMs - spoolVisibleMsMax;
    const left = this.entries[taken];
    if (left) return Math.min(listed, left.receivedMs);
    const last = this.entries.at(-1);
    // Behind a full listing lies what was received no earlier than its last entry.
    return this.full && last ? Math.min(listed, last.receivedMs) : listed;
  }

  spoolKeys(taken: number): string[] {
    return this.entries.slice(0, taken).map(({ key }) => key);
  }
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
