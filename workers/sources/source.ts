/**
 * What the archiver reads from: a partition of Kafka or the R2 spool, in one form. A source knows
 * what waits and hands it out in order; it decodes nothing, and never decides what is committed.
 */
import type { Signal } from '../../schemas/archive.ts';
import type { Commit } from '../../schemas/commit.ts';
import type { CallOptions } from '../clients/store/objects.ts';

/** One request of the log, as it was received. */
export interface SourceRecord {
  /** Its place in the partition. */
  readonly offset: bigint;
  /** Broker or receive time, ms since 1970. */
  readonly receivedMs: number;
  /** When the edge received it, ms since 1970; `undefined` for what did not come through the edge. */
  readonly edgeMs?: number | undefined;
  /** `undefined` when nothing says whose it is: then it cannot be archived. */
  readonly tenantId: string | undefined;
  /** OTLP protobuf. */
  readonly request: Uint8Array;
  /** Why it cannot be OTLP, where that is known before it is decoded; then it is set aside. */
  readonly fault?: string;
  /** Unique in the partition; a dead letter's name. */
  readonly name: string;
  /** Where it came from, for people who look at a dead letter. */
  readonly origin: Readonly<Record<string, string | number>>;
}

export interface Bounds {
  readonly bytesMax: number;
  readonly recordsMax: number;
}

/** What waits at one moment, oldest first, up to the bounds of one flush. */
export interface Backlog {
  readonly count: number;
  readonly bytes: number;
  /** Since when its first record waits to be archived; `undefined` when there is none. */
  readonly waitingSinceMs: number | undefined;
  /** True when a flush should not wait for more. */
  readonly full: boolean;
  /** False when more is known to be on its way to this process. */
  readonly complete: boolean;
  /** Aborts when it is worth looking again before the next poll. */
  readonly changed?: AbortSignal;
  /**
   * The records in order. `undefined` in place of one that is gone: then another archiver has
   * committed it, and this flush cannot succeed. A source without offsets of its own counts from
   * `firstOffset`. Throws OBJECT_STORE.
   */
  records(firstOffset: bigint, options: CallOptions): AsyncIterable<SourceRecord | undefined>;
  /**
   * The time (ms since 1970) before which all that was received is committed once the first
   * `taken` records are.
   */
  watermarkAfter(taken: number): number;
  /** The spool objects that a commit of the first `taken` records has consumed. */
  spoolKeys(taken: number): string[];
}

/** What a source knows of its partition without asking anybody. */
export interface SourcePosition {
  /** Offset of the next record that will be written; `undefined` where offsets are given by us. */
  readonly endOffset: bigint | undefined;
  /** Records that wait, where there is no end to count from. */
  readonly waiting: number;
  /** When the oldest record that it has was received, ms since 1970. */
  readonly oldestMs: number | undefined;
  /** OTLP bytes in memory. */
  readonly heldBytes: number;
}

export interface Source {
  readonly signal: Signal;
  readonly topic: string;
  /** Kafka partition number, or `spool`. */
  readonly partition: string;
  /** The same in the `Partition` column. */
  readonly partitionNumber: number;
  /**
   * Goes on behind `head`, the newest commit of the partition, whoever wrote it: what it holds is
   * not handed out again. Throws OBJECT_STORE and what the broker's client throws.
   */
  adopt(head: Commit | undefined, options: CallOptions): Promise<void>;
  /** What waits now behind the adopted commit. Throws as `adopt` does. */
  look(bounds: Bounds, options: CallOptions): Promise<Backlog>;
  /** Where it is, as last seen. */
  position(): SourcePosition;
  /** After a fault: holds nothing in memory until `adopt` is called. */
  suspend(): void;
}
