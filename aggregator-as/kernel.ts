/**
 * The host side of the batch kernel (`assembly/aggregate.ts`): spans of one shard in, exact results
 * per (tenant, service, operation) out. It knows codes, not strings, and reads or writes no file.
 */
import assert from 'node:assert/strict';
import { TidemarkError } from '../schemas/errors.ts';

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
 * from the kept copy in service, operation, error or duration, of its own group. A group whose rows
 * were all dropped has `count` 0, no durations, and 0 for least, greatest and sum.
 */
export interface GroupResult {
  tenant: number;
  service: number;
  operation: number;
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

export interface ShardKernelOptions {
  /** Bound on the WebAssembly memory; what is past 4 GiB is not used. */
  memoryBytesMax: number;
  /** Whether spans that differ in kind only are two (Zipkin's client and server pairs). @default true */
  kindInIdentity?: boolean;
  /** Keys the hash tables, so that nobody can choose colliding ids. Never changes a result. */
  hashSeed?: bigint;
}

interface KernelExports {
  readonly memory: WebAssembly.Memory;
  reset(pagesMax: number, seed: bigint): number;
  ingest(count: number): number;
  finish(byKind: number): number;
  groupCount(): number;
  firstGroup(): number;
}

const pageBytes = 65_536;
const pagesOfMemoryMax = 65_536;
/** As in `assembly/aggregate.ts`: rows of the stage, on which columns lie one after the other. */
const stageRows = 8192;
/** As in `assembly/group.ts`: words of a record up to `next`, inclusive. */
const groupWords = 18;

/**
 * Dedups, groups and sorts the spans of one shard. Call `add` for every batch, `finish` once, then
 * `reset` to use it again. Memory: `kernelRowBytes` and `kernelGroupBytes` of `schemas/limits.ts`.
 */
export class ShardKernel {
  readonly #exports: KernelExports;
  readonly #pagesMax: number;
  readonly #options: ShardKernelOptions;
  #stage = 0;
  #state: 'filling' | 'finished' | 'full' = 'filling';

  /** Throws `TidemarkError` CAPACITY when the bound leaves no room to begin. */
  constructor(module: WebAssembly.Module, options: ShardKernelOptions) {
    const instance = new WebAssembly.Instance(module, { env: { abort: neverAborts } });
    this.#exports = instance.exports as unknown as KernelExports;
    this.#options = options;
    this.#pagesMax = Math.min(pagesOfMemoryMax, Math.floor(options.memoryBytesMax / pageBytes));
    this.reset();
  }

  /** Bytes that the kernel's memory has grown to. */
  get memoryBytes(): number {
    return this.#exports.memory.buffer.byteLength;
  }

  /**
   * Appends all rows of `columns`, each of which has at least `columns.rows` of them. Throws
   * `TidemarkError` CAPACITY when the bound is passed; the shard is then lost and only `reset` may
   * follow.
   */
  add(columns: ShardColumns): void {
    assert.equal(this.#state, 'filling', `Cannot add rows: the kernel is ${this.#state}`);
    for (let from = 0; from < columns.rows; from += stageRows) {
      const to = Math.min(from + stageRows, columns.rows);
      stageColumns(this.#exports.memory.buffer, this.#stage, columns, from, to);
      if (this.#exports.ingest(to - from) !== 0) this.#fail();
    }
  }

  /**
   * The groups in ascending order of (tenant, service, operation) codes. Throws `TidemarkError`
   * CAPACITY when the machine has not the memory that the bound allows.
   */
  finish(): Iterable<GroupResult> {
    assert.notEqual(this.#state, 'full', 'Cannot finish: the kernel is full');
    if (this.#state === 'filling') {
      const byKind = this.#options.kindInIdentity ?? true;
      if (this.#exports.finish(byKind ? 1 : 0) !== 0) this.#fail();
      this.#state = 'finished';
    }
    return this.#groups();
  }

  /** Forgets all rows. The memory stays as large as it has grown. */
  reset(): void {
    const seed = this.#options.hashSeed ?? 0n;
    this.#stage = this.#exports.reset(this.#pagesMax, BigInt.asIntN(64, seed)) >>> 0;
    if (this.#stage === 0) this.#fail();
    this.#state = 'filling';
  }

  *#groups(): Generator<GroupResult> {
    const { buffer } = this.#exports.memory;
    for (const address of groupAddresses(this.#exports)) yield readGroup(buffer, address);
  }

  #fail(): never {
    this.#state = 'full';
    throw new TidemarkError(
      'CAPACITY',
      `Cannot hold the shard: it passes the limit of ${this.#options.memoryBytesMax} bytes`,
    );
  }
}

/** Copies rows [from, to) of every column to its place on the stage. */
function stageColumns(
  buffer: ArrayBuffer,
  stage: number,
  columns: ShardColumns,
  from: number,
  to: number,
): void {
  let at = stage;
  const place = (column: Column, width: number): void => {
    const part = column.subarray(from * width, to * width);
    const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    new Uint8Array(buffer, at, bytes.length).set(bytes);
    at += stageRows * width * column.BYTES_PER_ELEMENT;
  };
  place(columns.traceIds, 16);
  place(columns.spanIds, 8);
  place(columns.durations, 1);
  place(columns.ingestedMs, 1);
  place(columns.offsets, 1);
  place(columns.tenants, 1);
  place(columns.services, 1);
  place(columns.operations, 1);
  place(columns.partitions, 1);
  place(columns.itemIndexes, 1);
  place(columns.kinds, 1);
  place(columns.errors, 1);
}

type Column = Uint8Array | Uint32Array | Int32Array | BigInt64Array | BigUint64Array;

/** Addresses of the groups' records in ascending order of their keys. */
function groupAddresses(kernel: KernelExports): Uint32Array {
  const words = new Uint32Array(kernel.memory.buffer);
  const addresses = new Uint32Array(kernel.groupCount());
  let address = kernel.firstGroup() >>> 0;
  for (let i = 0; i < addresses.length; i++) {
    addresses[i] = address;
    address = words[address / 4 + groupWords - 1] ?? 0;
  }
  return addresses.toSorted((a, b) => {
    for (let key = 0; key < 3; key++) {
      const difference = (words[a / 4 + key] ?? 0) - (words[b / 4 + key] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  });
}

/** Reads one record; its layout is that of `assembly/group.ts`. */
function readGroup(buffer: ArrayBuffer, address: number): GroupResult {
  const view = new DataView(buffer, address, groupWords * 4);
  const word = (offset: number): number => view.getUint32(offset, true);
  const long = (offset: number): bigint => view.getBigUint64(offset, true);
  const count = word(16);
  return {
    tenant: word(0),
    service: word(4),
    operation: word(8),
    rawCount: word(12),
    count,
    errorCount: word(20),
    uniqueTraces: word(24),
    conflicts: word(28),
    durationMinNs: long(32),
    durationMaxNs: long(40),
    durationSumNs: (long(56) << 64n) | long(48),
    durations: new BigUint64Array(buffer, word(64), count),
  };
}

function neverAborts(): void {
  assert.fail('The kernel aborted, which its code never does');
}
