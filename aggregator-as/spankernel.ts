/**
 * The host side of the batch kernel of spans (`assembly/aggregate.ts`): row groups of sorted files in, and
 * what a partial keeps of each group out. It moves bytes in and figures out; it reads no file, and knows
 * names only at the end.
 */
import assert from 'node:assert/strict';
import type { EncodedGroup } from '../schemas/partials/compose.ts';
import type { GroupNames } from '../schemas/partials/spans.ts';
import { SpanGraph, type GraphWords } from './spangraph.ts';
import { namesPage, outOfOrder, SpanMemory, word, type Body, type CodePart } from './spanmemory.ts';

export interface SpanKernelOptions {
  /** Bound on the WebAssembly memory; what is past 4 GiB is not used. */
  readonly memoryBytesMax: number;
  /** Whether spans that differ in kind only are two (Zipkin's client and server pairs). @default true */
  readonly kindInIdentity?: boolean;
  /** Counts the calls between nodes as well. @default no graph */
  readonly graph?: GraphWords;
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
  /** 0 without a graph. */
  readonly parents: number;
}

/** A group, by its address, with its names and counts. */
export interface KernelGroup extends GroupNames {
  readonly at: number;
}

/** Rows of a block at most, as in `assembly/spans/cells.ts`. */
export const blockRowsMax = 65_535;

const idBytes = 16;
const traceBytes = 24;
/** Fields of a block and of a group, by their places in `assembly/spans/block.ts` and `group.ts`. */
const [blockSpanIds, blockDurations, blockParents] = [12, 16, 44];
const [groupRaw, groupDropped, groupErrors, groupTraces, groupConflicts] = [16, 20, 24, 28, 32];
const [groupKind, groupNext] = [12, 56];
/** From here on they are edges. */
const edgeFlag = 0x8000_0000;
/** Numbers of the columns of names. */
const [tenants, services, operations, kinds, statuses] = [0, 1, 2, 3, 4];

export class SpanKernel {
  /** The service graph's side, if one is wanted. */
  readonly graph: SpanGraph | undefined;
  readonly #memory: SpanMemory;
  readonly #options: SpanKernelOptions;

  /** Throws `TidemarkError` CAPACITY when the bound leaves no room to begin. */
  constructor(module: WebAssembly.Module, options: SpanKernelOptions) {
    this.#memory = new SpanMemory(module, options.memoryBytesMax);
    this.graph = options.graph && new SpanGraph(this.#memory, options.graph);
    this.#options = options;
    this.begin(0);
  }

  /** Bytes that the kernel's memory has grown to. */
  get memoryBytes(): number {
    return this.#memory.wasm.memory.buffer.byteLength;
  }

  /** Forgets everything and begins a shard of so many runs. Throws CAPACITY. */
  begin(runs: number): void {
    const memory = this.#memory;
    const byKind = (this.#options.kindInIdentity ?? true) ? 1 : 0;
    const withGraph = this.graph === undefined ? 0 : 1;
    memory.enough(memory.wasm.reset(memory.pagesMax, byKind, withGraph));
    memory.enough(memory.wasm.begin(runs));
    const name = (column: number, texts: readonly string[]) =>
      this.names(column, namesPage(texts), texts.length);
    // Status number 0 is the error's.
    name(statuses, ['Error']);
    this.graph?.begin(name);
  }

  /** Copies bytes to an address that the kernel gave. */
  put(at: number, bytes: Uint8Array): void {
    this.#memory.put(at, bytes);
  }

  /** The same of a part of a page, of so many bytes from `skip` on. Throws CAPACITY. */
  putPart(at: number, body: Body, skip: number, bytes: number): void {
    this.#memory.putPart(at, body, skip, bytes);
  }

  /**
   * Opens a block of the rows whose ids are within [from, to), of a row group whose `rows` ids of 16 bytes
   * `fill` writes to the bytes it is given. Throws CAPACITY, and CORRUPT_ARCHIVE for ids that do not
   * ascend.
   */
  open(rows: number, range: IdRange, fill: (bytes: Uint8Array) => void): OpenBlock {
    assert(rows <= blockRowsMax, 'A block has at most 65,535 rows');
    const bytes = rows * idBytes;
    const memory = this.#memory;
    const { wasm } = memory;
    const ids = memory.enough(wasm.roomForPage(bytes + 8 + (rows + 1) * traceBytes));
    fill(memory.view(ids, bytes));
    const { fromHigh, fromLow, toHigh, toLow } = range;
    const at = wasm.openBlock(ids, rows, fromHigh, fromLow, toHigh, toLow) >>> 0;
    if (at === 1) throw outOfOrder();
    memory.enough(at);
    const view = memory.data(at);
    return {
      at,
      from: word(wasm.cutFrom),
      to: word(wasm.cutTo),
      spanIds: view.getUint32(blockSpanIds, true),
      durations: view.getUint32(blockDurations, true),
      parents: view.getUint32(blockParents, true),
    };
  }

  /** Gives up a block that was not fed. */
  drop(block: OpenBlock): void {
    this.#memory.wasm.dropBlock(block.at);
  }

  /** To be called once a block's span ids are there, before its durations are. */
  order(block: OpenBlock): void {
    this.#memory.wasm.orderBlock(block.at);
  }

  /** Gives a run its next block, filled. `tag` is named when its places are wanted. Throws CAPACITY. */
  feed(run: number, block: OpenBlock, tag: number): void {
    this.#memory.enough(this.#memory.wasm.feed(run, block.at, tag));
  }

  /** The dictionary of a column of names, of the row group that comes next: Parquet's plain encoding. */
  names(column: number, body: Uint8Array | Body, count: number): void {
    this.#memory.readNames(column, body, count);
  }

  /** Where the codes of a column of names go: 4 bytes a row. */
  codesAt(column: number): number {
    return this.#memory.wasm.codesAt(column) >>> 0;
  }

  /**
   * Unpacks codes of a page's body, a byte that says their width and then the hybrid encoding. Throws
   * CAPACITY and CORRUPT_ARCHIVE.
   */
  unpack(body: Body, part: CodePart): void {
    const at = this.#memory.page(body);
    const width = body.length > 0 ? this.#memory.data(at).getUint8(0) : 255;
    this.#memory.unpack(at + 1, at + body.length, width, part);
  }

  /** Writes the `width` bytes that each code stands for. The codes have been unpacked below its length. */
  lookUp(codes: number, count: number, dictionary: Body, width: number, to: number): void {
    this.#memory.wasm.lookUp(codes, count, this.#memory.page(dictionary), width, to);
  }

  /** Where the places of a block's rows go: columns of 8, 8, 4 and 4 bytes a row. Throws CAPACITY. */
  roomForPlaces(block: number): number {
    return this.#memory.enough(this.#memory.wasm.roomForPlaces(block));
  }

  /** Merges as far as the blocks go. Throws CAPACITY; only `begin` may follow then. */
  merge(): Wish {
    const wish = this.#memory.wasm.merge();
    if (wish === 1) this.#memory.fail();
    if (wish === 0) return { type: 'nothing' };
    const wanted = word(this.#memory.wasm.wanted);
    if (wish === 2) return { type: 'block', run: wanted };
    return { type: 'places', tag: wanted, block: word(this.#memory.wasm.wantedBlock) };
  }

  /** All groups of spans, in no order. Throws CORRUPT_ARCHIVE for a name that is no text. */
  groups(): KernelGroup[] {
    const names = [tenants, services, operations, kinds].map((column) =>
      this.#memory.namesOf(column),
    );
    const groups: KernelGroup[] = [];
    const view = this.#memory.data(0);
    for (let at = word(this.#memory.wasm.firstGroup); at !== 0;) {
      const name = (column: number) => names[column]?.(view.getUint32(at + 4 * column, true)) ?? '';
      if (view.getUint32(at + groupKind, true) < edgeFlag) {
        groups.push({
          at,
          tenantId: name(tenants),
          serviceName: name(services),
          operationName: name(operations),
          spanKind: name(kinds),
        });
      }
      at = view.getUint32(at + groupNext, true);
    }
    return groups;
  }

  /** Adds the group `from` to `into`; unique traces are then those of both added up. */
  absorb(into: KernelGroup, from: KernelGroup): void {
    this.#memory.wasm.absorbGroup(into.at, from.at);
  }

  /** A group without rows that no span has by itself. Throws CAPACITY. */
  makeGroup(names: GroupNames): KernelGroup {
    const columns = [names.tenantId, names.serviceName, names.operationName, names.spanKind];
    const numbers = columns.map((name, column) => this.#memory.numberOf(column, name));
    const [tenant = 0, service = 0, operation = 0, kind = 0] = numbers;
    return {
      ...names,
      at: this.#memory.enough(this.#memory.wasm.findGroup(tenant, service, operation, kind)),
    };
  }

  /**
   * What a partial keeps of the group; the bytes are valid until the next call. Once for each group.
   * `quantiles` decide which runs are hot. Throws CAPACITY.
   */
  encode(group: KernelGroup, quantiles: readonly number[]): EncodedGroup {
    const wasm = this.#memory.wasm;
    const at = this.#memory.enough(wasm.roomForQuantiles(quantiles.length));
    for (const [index, quantile] of quantiles.entries()) {
      this.#memory.data(at).setFloat64(8 * index, quantile, true);
    }
    this.#memory.enough(wasm.writeGroup(group.at));
    const view = this.#memory.data(group.at);
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
      bucketBytes: this.#memory.view(wasm.headerAt() >>> 0, word(wasm.headerBytes)),
      ...this.#runs(),
    };
  }

  /** The runs of the group written last: cold and hot stretches, in turn. */
  #runs(): Pick<EncodedGroup, 'hot' | 'cold'> {
    const sizes = new Uint32Array(
      this.#memory.wasm.memory.buffer,
      this.#memory.wasm.stretchesAt() >>> 0,
      word(this.#memory.wasm.stretchCount),
    );
    const runs: { hot: Uint8Array[]; cold: Uint8Array[] } = { hot: [], cold: [] };
    let at = word(this.#memory.wasm.runsAt);
    for (const [index, size] of sizes.entries()) {
      if (size > 0) runs[index % 2 === 0 ? 'cold' : 'hot'].push(this.#memory.view(at, size));
      at += size;
    }
    return runs;
  }
}

/** Upper and lower halves of the ids of a range, without its end; an end of 0 is none. */
export interface IdRange {
  readonly fromHigh: bigint;
  readonly fromLow: bigint;
  readonly toHigh: bigint;
  readonly toLow: bigint;
}
