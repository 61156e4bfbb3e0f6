/**
 * The host side of the batch kernel of logs (`assembly/aggregatelogs.ts`): log records of one shard in, exact
 * results per (tenant, service, bucket) out. It knows codes, not strings, and reads or writes no file.
 */
import { Grouper, type GroupRecord, type GrouperExports, type Stage } from './grouper.ts';
import type { ShardKernelOptions } from './grouper.ts';

/** Columns of one record batch. Codes are ids that the caller has made global to the shard. */
export interface LogColumns {
  rows: number;
  /** 16 bytes a row. */
  contentHashes: Uint8Array;
  occurrences: Uint32Array;
  tenants: Uint32Array;
  services: Uint32Array;
  /** What records of a service are told apart by: severity and hour. */
  buckets: Uint32Array;
  ingestedMs: BigInt64Array;
  partitions: Int32Array;
  offsets: BigInt64Array;
  itemIndexes: Uint32Array;
  /** Body of row i: bytes [bodyOffsets[i], bodyOffsets[i + 1]) of `bodies`. */
  bodyOffsets: Int32Array;
  bodies: Uint8Array;
}

/** Results of one group. A dropped duplicate counts in `rawCount` of its own group. */
export interface LogGroupResult {
  tenant: number;
  service: number;
  bucket: number;
  rawCount: number;
  /** Distinct records. */
  count: number;
  /** Of the distinct records' bodies. */
  bodyBytes: bigint;
  /**
   * MurmurHash3 (128 bits) of each distinct body, 16 bytes each, ascending. A view into the kernel's
   * memory, valid until the next `add` or `reset`.
   */
  bodyHashes: Uint8Array;
}

interface LogExports extends GrouperExports {
  roomForBodies(bytes: number): number;
}

/** As in `assembly/aggregatelogs.ts`. */
const stageRows = 4096;
/** Bytes of bodies that are staged at once, unless a single body is longer. */
const stageBodyBytes = 256 * 1024;
const hashBytes = 16;

/** Dedups and groups the log records of one shard. Used as `ShardKernel` is. */
export class LogKernel {
  readonly #grouper: Grouper<LogExports>;
  readonly #ends = new Uint32Array(stageRows);

  /** Throws `TidemarkError` CAPACITY when the bound leaves no room to begin. */
  constructor(module: WebAssembly.Module, options: ShardKernelOptions) {
    this.#grouper = new Grouper(module, options);
  }

  /** Appends all rows. Throws `TidemarkError` CAPACITY; only `reset` may follow then. */
  add(columns: LogColumns): void {
    this.#grouper.assertFilling();
    for (let from = 0; from < columns.rows;) {
      const to = this.#fitting(columns, from);
      this.#stageBodies(columns, from, to);
      stageColumns(this.#grouper.stage(stageRows), columns, this.#ends, from, to);
      this.#grouper.ingest(to - from);
      from = to;
    }
  }

  /** The groups in ascending order of (tenant, service, bucket) codes. Throws CAPACITY. */
  finish(): Iterable<LogGroupResult> {
    this.#grouper.finish(false);
    return this.#groups();
  }

  /** Forgets all rows. The memory stays as large as it has grown. */
  reset(): void {
    this.#grouper.reset();
  }

  *#groups(): Generator<LogGroupResult> {
    for (const record of this.#grouper.records()) yield readGroup(record);
  }

  /** Ends of the rows from `from` on that fit on the stage: one at least. Fills `#ends`. */
  #fitting({ rows, bodyOffsets }: LogColumns, from: number): number {
    const first = bodyOffsets[from] ?? 0;
    let to = from;
    while (to < rows && to - from < stageRows) {
      const end = (bodyOffsets[to + 1] ?? 0) - first;
      if (end > stageBodyBytes && to > from) break;
      this.#ends[to - from] = end;
      to += 1;
    }
    return to;
  }

  #stageBodies({ bodies, bodyOffsets }: LogColumns, from: number, to: number): void {
    const part = bodies.subarray(bodyOffsets[from], bodyOffsets[to]);
    const at = this.#grouper.exports.roomForBodies(Math.max(part.length, stageBodyBytes)) >>> 0;
    if (at === 0) this.#grouper.fail();
    new Uint8Array(this.#grouper.exports.memory.buffer, at, part.length).set(part);
  }
}

function stageColumns(
  stage: Stage,
  columns: LogColumns,
  ends: Uint32Array,
  from: number,
  to: number,
): void {
  stage.place(columns.contentHashes, from, to, hashBytes);
  stage.place(columns.ingestedMs, from, to);
  stage.place(columns.offsets, from, to);
  stage.place(columns.occurrences, from, to);
  stage.place(columns.tenants, from, to);
  stage.place(columns.services, from, to);
  stage.place(columns.buckets, from, to);
  stage.place(columns.partitions, from, to);
  stage.place(columns.itemIndexes, from, to);
  stage.place(ends, 0, to - from);
}

/** The record's fields stand where `assembly/aggregatelogs.ts` and `logs/bodies.ts` put them. */
function readGroup(record: GroupRecord): LogGroupResult {
  return {
    tenant: record.word(0),
    service: record.word(4),
    bucket: record.word(8),
    rawCount: record.word(12),
    count: record.word(16),
    bodyBytes: (record.long(56) << 64n) | record.long(48),
    bodyHashes: new Uint8Array(record.buffer, record.word(64), record.word(24) * hashBytes),
  };
}
