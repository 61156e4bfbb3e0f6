/**
 * The host side of the batch kernel of spans (`assembly/aggregate.ts`): row groups of sorted files in, and
 * what a partial keeps of each group out. It moves bytes in and figures out; it reads no file, and knows
 * names only at the end.
 */
import assert from 'node:assert/strict';
import { TidemarkError } from '../schemas/errors.ts';
import type { EncodedGroup } from '../schemas/compose.ts';
import type { GroupNames } from '../schemas/partial.ts';
import type { SpanExports, Word } from './spanexports.ts';

export interface SpanKernelOptions {
  /** Bound on the WebAssembly memory; what is past 4 GiB is not used. */
  readonly memoryBytesMax: number;
  /** Whether spans that differ in kind only are two (Zipkin's client and server pairs). @default true */
  readonly kindInIdentity?: boolean;
}

/** The columns of names, in the kernel's order. */
export const nameColumns = [
  'TenantId',
  'ServiceName',
  'SpanName',
  'SpanKind',
  'StatusCode',
] as const;

/** What the merge wants before it goes on. */
export type Wish =
  | { readonly type: 'nothing' }
  | { readonly type: 'block'; readonly run: number }
  | { readonly type: 'places'; readonly tag: number; readonly block: number };

/** Rows [from, to) of a row group, as a block that is to be filled. */
export interface OpenBlock {
  readonly at: number;
  readonly from: number;
  readonly to: number;
  /** Where its columns go: 8 bytes a row. */
  readonly spanIds: number;
  readonly durations: number;
}

/** A group, by its address, with its names and counts. */
export interface KernelGroup extends GroupNames {
  readonly at: number;
}

const pageBytes = 65_536;
const pagesOfMemoryMax = 65_536;
/** Past a page that is read, vectors may read this much. */
const slackBytes = 64;
/** Rows of a block at most, as in `assembly/cells.ts`. */
export const blockRowsMax = 65_535;

const idBytes = 16;
const traceBytes = 24;
/** Fields of a block and of a group, by their places in `assembly/spanblock.ts` and `spangroup.ts`. */
const [blockSpanIds, blockDurations] = [12, 16];
const [groupRaw, groupDropped, groupErrors, groupTraces, groupConflicts] = [16, 20, 24, 28, 32];
const groupNext = 56;
/** Numbers of the columns of names. */
const [tenants, services, operations, kinds, statuses] = [0, 1, 2, 3, 4];

export class SpanKernel {
  readonly #wasm: SpanExports;
  readonly #options: SpanKernelOptions;
  readonly #pagesMax: number;

  /** Throws `TidemarkError` CAPACITY when the bound leaves no room to begin. */
  constructor(module: WebAssembly.Module, options: SpanKernelOptions) {
    const instance = new WebAssembly.Instance(module, { env: { abort: neverAborts } });
    this.#wasm = instance.exports as unknown as SpanExports;
    this.#options = options;
    this.#pagesMax = Math.min(pagesOfMemoryMax, Math.floor(options.memoryBytesMax / pageBytes));
    this.begin(0);
  }

  /** Bytes that the kernel's memory has grown to. */
  get memoryBytes(): number {
    return this.#wasm.memory.buffer.byteLength;
  }

  /** Forgets everything and begins a shard of so many runs. Throws CAPACITY. */
  begin(runs: number): void {
    const byKind = (this.#options.kindInIdentity ?? true) ? 1 : 0;
    this.#enough(this.#wasm.reset(this.#pagesMax, byKind));
    this.#enough(this.#wasm.begin(runs));
    // Status number 0 is the error's.
    this.names(statuses, namesPage(['Error']), 1);
  }

  /** Puts bytes into the kernel's memory, where they stay until the next call. Throws CAPACITY. */
  page(bytes: Uint8Array): number {
    const at = this.#enough(this.#wasm.roomForPage(bytes.length + slackBytes));
    this.#view(at, bytes.length).set(bytes);
    return at;
  }

  /** Copies bytes to an address that the kernel gave. */
  put(at: number, bytes: Uint8Array): void {
    this.#view(at, bytes.length).set(bytes);
  }

  /**
   * Opens a block of the rows whose ids are within [from, to), of a row group whose `rows` ids of 16 bytes
   * `fill` writes to the bytes it is given. Throws CAPACITY, and CORRUPT_ARCHIVE for ids that do not
   * ascend.
   */
  open(rows: number, range: IdRange, fill: (bytes: Uint8Array) => void): OpenBlock {
    assert(rows <= blockRowsMax, 'A block has at most 65,535 rows');
    const bytes = rows * idBytes;
    const ids = this.#enough(this.#wasm.roomForPage(bytes + 8 + (rows + 1) * traceBytes));
    fill(this.#view(ids, bytes));
    const { fromHigh, fromLow, toHigh, toLow } = range;
    const at = this.#wasm.openBlock(ids, rows, fromHigh, fromLow, toHigh, toLow) >>> 0;
    if (at === 1) throw corrupt('its rows are not in the order of TraceId');
    this.#enough(at);
    const view = this.#data(at);
    return {
      at,
      from: word(this.#wasm.cutFrom),
      to: word(this.#wasm.cutTo),
      spanIds: view.getUint32(blockSpanIds, true),
      durations: view.getUint32(blockDurations, true),
    };
  }

  /** Gives up a block that was not fed. */
  drop(block: OpenBlock): void {
    this.#wasm.dropBlock(block.at);
  }

  /** To be called once a block's span ids are there, before its durations are. */
  order(block: OpenBlock): void {
    this.#wasm.orderBlock(block.at);
  }

  /** Gives a run its next block, filled. `tag` is named when its places are wanted. Throws CAPACITY. */
  feed(run: number, block: OpenBlock, tag: number): void {
    this.#enough(this.#wasm.feed(run, block.at, tag));
  }

  /** The dictionary of a column of names, of the row group that comes next: Parquet's plain encoding. */
  names(column: number, body: Uint8Array, count: number): void {
    const at = this.page(body);
    const result = this.#wasm.readNames(column, at, at + body.length, count);
    if (result === 2) throw corrupt('a dictionary has other values than it says');
    if (result !== 0) this.#fail();
  }

  /** Where the codes of a column of names go: 4 bytes a row. */
  codesAt(column: number): number {
    return this.#wasm.codesAt(column) >>> 0;
  }

  /**
   * Unpacks codes [skip, skip + count) of a page's body, a byte that says their width and then the hybrid
   * encoding. They must be below `limit`. Throws CAPACITY and CORRUPT_ARCHIVE.
   */
  unpack(body: Uint8Array, part: CodePart): void {
    const { skip, count, to, limit } = part;
    const at = this.page(body);
    const width = body[0] ?? 255;
    const end = at + body.length;
    if (this.#wasm.unpack(at + 1, end, width, skip, count, to, limit) !== 0) return;
    throw corrupt('a page has other codes than it says');
  }

  /** Writes the `width` bytes that each code stands for. The codes have been unpacked below its length. */
  lookUp(codes: number, count: number, dictionary: Uint8Array, width: number, to: number): void {
    this.#wasm.lookUp(codes, count, this.page(dictionary), width, to);
  }

  /** Where the places of a block's rows go: columns of 8, 8, 4 and 4 bytes a row. Throws CAPACITY. */
  roomForPlaces(block: number): number {
    return this.#enough(this.#wasm.roomForPlaces(block));
  }

  /** Merges as far as the blocks go. Throws CAPACITY; only `begin` may follow then. */
  merge(): Wish {
    const wish = this.#wasm.merge();
    if (wish === 1) this.#fail();
    if (wish === 0) return { type: 'nothing' };
    const wanted = word(this.#wasm.wanted);
    if (wish === 2) return { type: 'block', run: wanted };
    return { type: 'places', tag: wanted, block: word(this.#wasm.wantedBlock) };
  }

  /** All groups, in no order. Throws CORRUPT_ARCHIVE for a name that is no text. */
  groups(): KernelGroup[] {
    const names = [tenants, services, operations, kinds].map((column) => this.#names(column));
    const groups: KernelGroup[] = [];
    const view = this.#data(0);
    for (let at = word(this.#wasm.firstGroup); at !== 0;) {
      const name = (column: number) => names[column]?.[view.getUint32(at + 4 * column, true)] ?? '';
      groups.push({
        at,
        tenantId: name(tenants),
        serviceName: name(services),
        operationName: name(operations),
        spanKind: name(kinds),
      });
      at = view.getUint32(at + groupNext, true);
    }
    return groups;
  }

  /** Adds the group `from` to `into`; unique traces are then those of both added up. */
  absorb(into: KernelGroup, from: KernelGroup): void {
    this.#wasm.absorbGroup(into.at, from.at);
  }

  /** A group without rows that no span has by itself. Throws CAPACITY. */
  makeGroup(names: GroupNames): KernelGroup {
    const columns = [names.tenantId, names.serviceName, names.operationName, names.spanKind];
    const numbers = columns.map((name, column) => this.#numberOf(column, name));
    const [tenant = 0, service = 0, operation = 0, kind = 0] = numbers;
    return { ...names, at: this.#enough(this.#wasm.findGroup(tenant, service, operation, kind)) };
  }

  /**
   * What a partial keeps of the group; the bytes are valid until the next call. Once for each group.
   * `quantiles` decide which runs are hot. Throws CAPACITY.
   */
  encode(group: KernelGroup, quantiles: readonly number[]): EncodedGroup {
    const wasm = this.#wasm;
    const at = this.#enough(wasm.roomForQuantiles(quantiles.length));
    for (const [index, quantile] of quantiles.entries()) {
      this.#data(at).setFloat64(8 * index, quantile, true);
    }
    this.#enough(wasm.writeGroup(group.at));
    const view = this.#data(group.at);
    const rawCount = view.getUint32(groupRaw, true);
    const high = BigInt.asUintN(64, wasm.durationSumHigh());
    return {
      ...group,
      rawCount,
      count: rawCount - view.getUint32(groupDropped, true),
      errorCount: view.getUint32(groupErrors, true),
      uniqueTraces: view.getUint32(groupTraces, true),
      conflicts: view.getUint32(groupConflicts, true),
      durationMinNs: BigInt.asUintN(64, wasm.leastDuration()),
      durationMaxNs: BigInt.asUintN(64, wasm.greatestDuration()),
      durationSumNs: (high << 64n) | BigInt.asUintN(64, wasm.durationSumLow()),
      bucketCount: word(wasm.bucketsFound),
      bucketBytes: this.#view(wasm.headerAt() >>> 0, word(wasm.headerBytes)),
      ...this.#runs(),
    };
  }

  /** The runs of the group written last: cold and hot stretches, in turn. */
  #runs(): Pick<EncodedGroup, 'hot' | 'cold'> {
    const sizes = new Uint32Array(
      this.#wasm.memory.buffer,
      this.#wasm.stretchesAt() >>> 0,
      word(this.#wasm.stretchCount),
    );
    const runs: { hot: Uint8Array[]; cold: Uint8Array[] } = { hot: [], cold: [] };
    let at = word(this.#wasm.runsAt);
    for (const [index, size] of sizes.entries()) {
      if (size > 0) runs[index % 2 === 0 ? 'cold' : 'hot'].push(this.#view(at, size));
      at += size;
    }
    return runs;
  }

  #numberOf(column: number, name: string): number {
    this.names(column, namesPage([name]), 1);
    const count = this.#wasm.nameCount(column);
    const bytes = Buffer.from(name);
    for (let number = count - 1; number >= 0; number -= 1) {
      if (bytes.equals(this.#nameBytes(column, number))) return number;
    }
    return assert.fail('The name was just made');
  }

  #names(column: number): string[] {
    const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    try {
      return Array.from({ length: this.#wasm.nameCount(column) }, (_, name) =>
        utf8.decode(this.#nameBytes(column, name)),
      );
    } catch (cause) {
      throw corrupt('a name is no UTF-8', cause);
    }
  }

  #nameBytes(column: number, name: number): Uint8Array {
    return this.#view(
      this.#wasm.nameAt(column, name) >>> 0,
      this.#wasm.nameBytes(column, name) >>> 0,
    );
  }

  #view(at: number, bytes: number): Uint8Array {
    return new Uint8Array(this.#wasm.memory.buffer, at, bytes);
  }

  #data(at: number): DataView {
    return new DataView(this.#wasm.memory.buffer, at);
  }

  /** An address, or the truth: 0 is neither. */
  #enough(result: number): number {
    if (result === 0) this.#fail();
    return result >>> 0;
  }

  #fail(): never {
    throw new TidemarkError(
      'CAPACITY',
      `Cannot hold the shard: it passes the limit of ${this.#options.memoryBytesMax} bytes`,
    );
  }
}

/** Upper and lower halves of the ids of a range, without its end; an end of 0 is none. */
export interface IdRange {
  readonly fromHigh: bigint;
  readonly fromLow: bigint;
  readonly toHigh: bigint;
  readonly toLow: bigint;
}

/** Which codes of a page go where. */
export interface CodePart {
  readonly skip: number;
  readonly count: number;
  readonly to: number;
  readonly limit: number;
}

/** Texts in Parquet's plain encoding: each after its length. */
export function namesPage(names: readonly string[]): Uint8Array {
  const parts = names.flatMap((name) => {
    const bytes = Buffer.from(name);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat(parts);
}

function word(global: Word): number {
  return global.value >>> 0;
}

function corrupt(reason: string, cause?: unknown): TidemarkError {
  return new TidemarkError('CORRUPT_ARCHIVE', `Cannot use a row group: ${reason}`, { cause });
}

function neverAborts(): void {
  assert.fail('The kernel aborted, which its code never does');
}
