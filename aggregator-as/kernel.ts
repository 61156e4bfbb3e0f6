/**
 * The host side of the batch kernel (`assembly/aggregate.ts`): spans of one shard in, exact results
 * per (tenant, service, operation, kind) out. It knows codes, not strings, and reads or writes no file.
 */
import { Grouper, type GroupRecord, type GrouperExports, type Stage } from './grouper.ts';
import type { ShardKernelOptions } from './grouper.ts';

/** Columns of one record batch. Codes are ids that the caller has made global to the shard. */
export interface ShardColumns {
  rows: number;
  /** 16 bytes a row. */
  traceIds: Uint8Array;
  /** 8 bytes a row. */
  spanIds: Uint8Array;
  /** Span kind numbers of OTLP. */
  kinds: Uint8Array;
  tenants: Uint32Array;
  services: Uint32Array;
  operations: Uint32Array;
  /** 1 where the span's status is an error, else 0. */
  errors: Uint8Array;
  /** Nanoseconds. */
  durations: BigUint64Array;
  ingestedMs: BigInt64Array;
  partitions: Int32Array;
  offsets: BigInt64Array;
  itemIndexes: Uint32Array;
}

/**
 * Results of one group. A dropped duplicate counts in `rawCount`, and in `conflicts` if it differs
 * from the kept copy in service, operation, kind, error or duration, of its own group. A group whose rows
 * were all dropped has `count` 0, no durations, and 0 for least, greatest and sum.
 */
export interface GroupResult {
  tenant: number;
  service: number;
  operation: number;
  kind: number;
  rawCount: number;
  /** Distinct spans. */
  count: number;
  errorCount: number;
  /** Distinct trace ids among the distinct spans. */
  uniqueTraces: number;
  conflicts: number;
  durationMinNs: bigint;
  durationMaxNs: bigint;
  /** Exact; more than 64 bits if it must be. */
  durationSumNs: bigint;
  /** Ascending. A view into the kernel's memory, valid until the next `add` or `reset`. */
  durations: BigUint64Array;
}

export interface SpanKernelOptions extends ShardKernelOptions {
  /** Whether spans that differ in kind only are two (Zipkin's client and server pairs). @default true */
  kindInIdentity?: boolean;
}

/** As in `assembly/aggregate.ts`: rows of the stage, on which columns lie one after the other. */
const stageRows = 8192;

/**
 * Dedups, groups and sorts the spans of one shard. Call `add` for every batch, `finish` once, then
 * `reset` to use it again. Memory: `kernelRowBytes` and `kernelGroupBytes` of `schemas/limits.ts`.
 */
export class ShardKernel {
  readonly #grouper: Grouper<GrouperExports>;
  readonly #byKind: boolean;

  /** Throws `TidemarkError` CAPACITY when the bound leaves no room to begin. */
  constructor(module: WebAssembly.Module, options: SpanKernelOptions) {
    this.#grouper = new Grouper(module, options);
    this.#byKind = options.kindInIdentity ?? true;
  }

  /** Bytes that the kernel's memory has grown to. */
  get memoryBytes(): number {
    return this.#grouper.exports.memory.buffer.byteLength;
  }

  /**
   * Appends all rows of `columns`, each of which has at least `columns.rows` of them. Throws
   * `TidemarkError` CAPACITY when the bound is passed; the shard is then lost and only `reset` may
   * follow.
   */
  add(columns: ShardColumns): void {
    this.#grouper.assertFilling();
    for (let from = 0; from < columns.rows; from += stageRows) {
      const to = Math.min(from + stageRows, columns.rows);
      stageColumns(this.#grouper.stage(stageRows), columns, from, to);
      this.#grouper.ingest(to - from);
    }
  }

  /**
   * The groups in ascending order of (tenant, service, operation, kind) codes. Throws `TidemarkError`
   * CAPACITY when the machine has not the memory that the bound allows.
   */
  finish(): Iterable<GroupResult> {
    this.#grouper.finish(this.#byKind);
    return this.#groups();
  }

  /** Forgets all rows. The memory stays as large as it has grown. */
  reset(): void {
    this.#grouper.reset();
  }

  *#groups(): Generator<GroupResult> {
    for (const record of this.#grouper.records()) yield readGroup(record);
  }
}

/** Copies rows [from, to) of every column to its place on the stage. */
function stageColumns(stage: Stage, columns: ShardColumns, from: number, to: number): void {
  stage.place(columns.traceIds, from, to, 16);
  stage.place(columns.spanIds, from, to, 8);
  stage.place(columns.durations, from, to);
  stage.place(columns.ingestedMs, from, to);
  stage.place(columns.offsets, from, to);
  stage.place(columns.tenants, from, to);
  stage.place(columns.services, from, to);
  stage.place(columns.operations, from, to);
  stage.place(columns.partitions, from, to);
  stage.place(columns.itemIndexes, from, to);
  stage.place(columns.kinds, from, to);
  stage.place(columns.errors, from, to);
}

function readGroup(record: GroupRecord): GroupResult {
  const count = record.word(16);
  return {
    tenant: record.word(0),
    service: record.word(4),
    operation: record.word(8),
    kind: record.word(76),
    rawCount: record.word(12),
    count,
    errorCount: record.word(20),
    uniqueTraces: record.word(24),
    conflicts: record.word(28),
    durationMinNs: record.long(32),
    durationMaxNs: record.long(40),
    durationSumNs: (record.long(56) << 64n) | record.long(48),
    durations: new BigUint64Array(record.buffer, record.word(64), count),
  };
}
