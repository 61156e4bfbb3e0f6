/**
 * What the hosts of the batch kernels share: the module's memory and its bound, the states of a shard,
 * the stage that columns are copied to, and the groups' records. It knows no column by name.
 */
import assert from 'node:assert/strict';
import { TidemarkError } from '../schemas/errors.ts';

export interface ShardKernelOptions {
  /** Bound on the WebAssembly memory; what is past 4 GiB is not used. */
  memoryBytesMax: number;
  /** Keys the hash tables, so that nobody can choose colliding ids. Never changes a result. */
  hashSeed?: bigint;
}

/** What every kernel exports. */
export interface GrouperExports {
  readonly memory: WebAssembly.Memory;
  reset(pagesMax: number, seed: bigint): number;
  ingest(count: number): number;
  finish(byKind: number): number;
  groupCount(): number;
  firstGroup(): number;
}

export type Column =
  Uint8Array | Uint32Array | Int32Array | BigInt64Array | BigUint64Array | Float64Array;

const pageBytes = 65_536;
const pagesOfMemoryMax = 65_536;
/** As in `assembly/logs/group.ts`: words of a record, and which of them are its key and `next`. */
const groupWords = 20;
const keyWords = [0, 1, 2, 19];
const nextWord = 17;

/** A kernel that is being filled, is finished, or is full and lost. */
export class Grouper<Exports extends GrouperExports> {
  readonly exports: Exports;
  readonly #options: ShardKernelOptions;
  readonly #pagesMax: number;
  #stage = 0;
  #state: 'filling' | 'finished' | 'full' = 'filling';

  /**
   * `choose` picks the exports of a module that has several kernels. Throws `TidemarkError` CAPACITY when
   * the bound leaves no room to begin.
   */
  constructor(
    module: WebAssembly.Module,
    options: ShardKernelOptions,
    choose = (exports: WebAssembly.Exports) => exports as unknown as Exports,
  ) {
    const instance = new WebAssembly.Instance(module, { env: { abort: neverAborts } });
    this.exports = choose(instance.exports);
    this.#options = options;
    this.#pagesMax = Math.min(pagesOfMemoryMax, Math.floor(options.memoryBytesMax / pageBytes));
    this.reset();
  }

  /** Forgets all rows. The memory stays as large as it has grown. */
  reset(): void {
    const seed = this.#options.hashSeed ?? 0n;
    this.#stage = this.exports.reset(this.#pagesMax, BigInt.asIntN(64, seed)) >>> 0;
    if (this.#stage === 0) this.fail();
    this.#state = 'filling';
  }

  /** To be called before rows are staged. */
  assertFilling(): void {
    assert.equal(this.#state, 'filling', `Cannot add rows: the kernel is ${this.#state}`);
  }

  /** Copies to the stage, whose columns have `stageRows` rows each. */
  stage(stageRows: number): Stage {
    return new Stage(this.exports.memory.buffer, this.#stage, stageRows);
  }

  /** Takes the rows that are staged. Throws CAPACITY; only `reset` may follow then. */
  ingest(count: number): void {
    if (this.exports.ingest(count) !== 0) this.fail();
  }

  /** Computes, once. Throws CAPACITY when the machine has not the memory that the bound allows. */
  finish(byKind: boolean): void {
    assert.notEqual(this.#state, 'full', 'Cannot finish: the kernel is full');
    if (this.#state === 'finished') return;
    if (this.exports.finish(byKind ? 1 : 0) !== 0) this.fail();
    this.#state = 'finished';
  }

  /** The groups' records in ascending order of their keys. */
  *records(): Generator<GroupRecord> {
    const { buffer } = this.exports.memory;
    for (const address of this.#addresses()) yield new GroupRecord(buffer, address);
  }

  fail(): never {
    this.#state = 'full';
    throw new TidemarkError(
      'CAPACITY',
      `Cannot hold the shard: it passes the limit of ${this.#options.memoryBytesMax} bytes`,
    );
  }

  #addresses(): Uint32Array {
    const words = new Uint32Array(this.exports.memory.buffer);
    const addresses = new Uint32Array(this.exports.groupCount());
    let address = this.exports.firstGroup() >>> 0;
    for (let i = 0; i < addresses.length; i++) {
      addresses[i] = address;
      address = words[address / 4 + nextWord] ?? 0;
    }
    return addresses.toSorted((a, b) => {
      for (const key of keyWords) {
        const difference = (words[a / 4 + key] ?? 0) - (words[b / 4 + key] ?? 0);
        if (difference !== 0) return difference;
      }
      return 0;
    });
  }
}

/** Columns on a kernel's stage, one after the other, in the order in which they are placed. */
export class Stage {
  readonly #buffer: ArrayBuffer;
  readonly #rows: number;
  #at: number;

  constructor(buffer: ArrayBuffer, at: number, rows: number) {
    this.#buffer = buffer;
    this.#at = at;
    this.#rows = rows;
  }

  /** Copies rows [from, to) of a column of `width` numbers a row to the next place. */
  place(column: Column, from: number, to: number, width = 1): void {
    const part = column.subarray(from * width, to * width);
    const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    new Uint8Array(this.#buffer, this.#at, bytes.length).set(bytes);
    this.#at += this.#rows * width * column.BYTES_PER_ELEMENT;
  }
}

/** One record; its layout is that of `assembly/logs/group.ts`. */
export class GroupRecord {
  readonly buffer: ArrayBuffer;
  readonly #view: DataView;

  constructor(buffer: ArrayBuffer, address: number) {
    this.buffer = buffer;
    this.#view = new DataView(buffer, address, groupWords * 4);
  }

  word(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  long(offset: number): bigint {
    return this.#view.getBigUint64(offset, true);
  }
}

function neverAborts(): void {
  assert.fail('The kernel aborted, which its code never does');
}
