/**
 * The host side of the service graph's kernel (`assembly/graph.ts`): spans of one shard in, the calls
 * between nodes out, and what only the merge can join. It knows codes, not strings.
 */
import { Grouper, type GroupRecord, type GrouperExports, type Stage } from './grouper.ts';
import type { ShardKernelOptions } from './grouper.ts';
import {
  readEnd,
  readSpanName,
  type MessageEnd,
  type NamedEnd,
} from '../schemas/messagepartial.ts';

/** Columns of one record batch. Codes are ids that the caller has made global to the shard. */
export interface GraphColumns {
  rows: number;
  /** 16 bytes a row. */
  traceIds: Uint8Array;
  /** 8 bytes a row; of parents zeros for none. */
  spanIds: Uint8Array;
  parentIds: Uint8Array;
  /** Nanoseconds. */
  durations: BigUint64Array;
  ingestedMs: BigInt64Array;
  partitions: Int32Array;
  offsets: BigInt64Array;
  itemIndexes: Uint32Array;
  tenants: Uint32Array;
  /** Nodes of services, and of the peers that spans name. Node 0 is `user`. */
  services: Uint32Array;
  peers: Uint32Array;
  /** Span kind numbers of OTLP, from 0 to 5; 6 for any other. */
  kinds: Uint8Array;
  /** 1 where the span's status is an error, else 0. */
  errors: Uint8Array;
  /** Numbers of `peerKinds`; 0 where the span names no peer. */
  peerKinds: Uint8Array;
  /** Links of row i: [linkOffsets[i], linkOffsets[i + 1]) of the ids, 16 and 8 bytes each. */
  linkOffsets: Int32Array;
  linkTraceIds: Uint8Array;
  linkSpanIds: Uint8Array;
}

/** A number of calls from one node to another. */
export interface CallGroup {
  tenant: number;
  /** As in `assembly/graphcall.ts`: how the two are connected, and which of them is virtual. */
  connection: number;
  caller: number;
  callee: number;
  calls: number;
  errors: number;
  durationMinNs: bigint;
  durationMaxNs: bigint;
  durationSumNs: bigint;
  /** Ascending. A view into the kernel's memory, valid until the next `add` or `reset`. */
  durations: BigUint64Array;
}

interface GraphExports extends GrouperExports {
  roomForLinks(bytes: number): number;
  producers(): number;
  producerCount(): number;
  consumers(): number;
  consumerCount(): number;
  foreignLinks(): number;
  foreignCount(): number;
}

/** What the module calls some of them: other kernels of it have their own. */
interface ModuleExports extends GraphExports {
  readonly graphReset: (pagesMax: number, seed: bigint) => number;
  readonly graphIngest: (count: number) => number;
  readonly graphFinish: (byKind: number) => number;
  readonly graphGroupCount: () => number;
  readonly graphFirstGroup: () => number;
}

/** As in `assembly/graph.ts`. */
const stageRows = 2048;
/** Bytes of links that are staged at once, unless those of a single row are more. */
const stageLinkBytes = 24 * 2048;
const linkIdBytes = 24;
/** Of a link, as in `assembly/graphlink.ts`. */
const [linkRowAt, linkConsumerAt] = [24, 36];
/** Of a row, as in `assembly/graphrow.ts`. */
const [durationAt, tenantAt, serviceAt, errorAt] = [32, 64, 68, 77];

export interface GraphKernelOptions extends ShardKernelOptions {
  /** Whether spans that differ in kind only are two (Zipkin's client and server pairs). @default true */
  kindInIdentity?: boolean;
}

/** Finds the calls among the spans of one shard. Used as `ShardKernel` is, with a module of the same. */
export class GraphKernel {
  readonly #grouper: Grouper<GraphExports>;
  readonly #byKind: boolean;
  readonly #linkCounts = new Uint32Array(stageRows);

  /** Throws `TidemarkError` CAPACITY when the bound leaves no room to begin. */
  constructor(module: WebAssembly.Module, options: GraphKernelOptions) {
    this.#grouper = new Grouper(module, options, graphExports);
    this.#byKind = options.kindInIdentity ?? true;
  }

  /** Bytes that the kernel's memory has grown to. */
  get memoryBytes(): number {
    return this.#grouper.exports.memory.buffer.byteLength;
  }

  /** Appends all rows. Throws `TidemarkError` CAPACITY; only `reset` may follow then. */
  add(columns: GraphColumns): void {
    this.#grouper.assertFilling();
    for (let from = 0; from < columns.rows;) {
      const to = this.#fitting(columns, from);
      this.#stageLinks(columns, from, to);
      stageColumns(this.#grouper.stage(stageRows), columns, this.#linkCounts, from, to);
      this.#grouper.ingest(to - from);
      from = to;
    }
  }

  /** The calls, ascending by tenant, caller, callee and connection. Throws CAPACITY. */
  finish(): Iterable<CallGroup> {
    this.#grouper.finish(this.#byKind);
    return this.#groups();
  }

  /** After `finish`: how many of them there are. */
  get ends(): { producers: number; links: number; consumers: number } {
    const wasm = this.#grouper.exports;
    const [producers, links] = [wasm.producerCount(), wasm.foreignCount()];
    return { producers, links, consumers: wasm.consumerCount() };
  }

  /** After `finish`: all producers, ascending by span. Names are codes. */
  *producers(): Generator<NamedEnd> {
    const wasm = this.#grouper.exports;
    for (const view of this.#records(wasm.producers(), wasm.producerCount())) {
      yield { ...readSpanName(view, 0), ...readEnd(view, 24) };
    }
  }

  /** After `finish`: the consumers that have links into other traces; the place is the index. */
  *consumers(): Generator<MessageEnd> {
    const wasm = this.#grouper.exports;
    for (const view of this.#records(wasm.consumers(), wasm.consumerCount())) {
      yield readEnd(view, 0);
    }
  }

  /** After `finish`: links into other traces, ascending by the span they name. See `NamedEnd`. */
  *links(): Generator<NamedEnd> {
    const wasm = this.#grouper.exports;
    for (const view of this.#records(wasm.foreignLinks(), wasm.foreignCount())) {
      const row = new DataView(wasm.memory.buffer, view.getUint32(linkRowAt, true));
      yield {
        ...readSpanName(view, 0),
        durationNs: row.getBigUint64(durationAt, true),
        tenant: row.getUint32(tenantAt, true),
        service: row.getUint32(serviceAt, true),
        peer: view.getUint32(linkConsumerAt, true) - 1,
        peerKind: 0,
        isError: row.getUint8(errorAt) !== 0,
        isOpen: false,
      };
    }
  }

  /** Forgets all rows. The memory stays as large as it has grown. */
  reset(): void {
    this.#grouper.reset();
  }

  *#groups(): Generator<CallGroup> {
    for (const record of this.#grouper.records()) yield readGroup(record);
  }

  /** The records whose addresses stand at `at`. */
  *#records(at: number, count: number): Generator<DataView> {
    const { buffer } = this.#grouper.exports.memory;
    for (const address of new Uint32Array(buffer, at >>> 0, count)) {
      yield new DataView(buffer, address);
    }
  }

  /** Ends of the rows from `from` on whose links fit on the stage: one at least. */
  #fitting({ rows, linkOffsets }: GraphColumns, from: number): number {
    const first = linkOffsets[from] ?? 0;
    const most = Math.min(rows, from + stageRows);
    let to = from;
    while (to < most) {
      const end = linkOffsets[to + 1] ?? 0;
      if ((end - first) * linkIdBytes > stageLinkBytes && to > from) break;
      this.#linkCounts[to - from] = end - (linkOffsets[to] ?? 0);
      to += 1;
    }
    return to;
  }

  #stageLinks(
    { linkOffsets, linkTraceIds, linkSpanIds }: GraphColumns,
    from: number,
    to: number,
  ): void {
    const [first, end] = [linkOffsets[from] ?? 0, linkOffsets[to] ?? 0];
    const bytes = Math.max((end - first) * linkIdBytes, stageLinkBytes);
    const at = this.#grouper.exports.roomForLinks(bytes) >>> 0;
    if (at === 0) this.#grouper.fail();
    const target = new Uint8Array(this.#grouper.exports.memory.buffer, at, bytes);
    for (let link = first, place = 0; link < end; link += 1, place += linkIdBytes) {
      target.set(linkTraceIds.subarray(link * 16, link * 16 + 16), place);
      target.set(linkSpanIds.subarray(link * 8, link * 8 + 8), place + 16);
    }
  }
}

function graphExports(instance: WebAssembly.Exports): GraphExports {
  const exports = instance as unknown as ModuleExports;
  return {
    ...exports,
    reset: exports.graphReset,
    ingest: exports.graphIngest,
    finish: exports.graphFinish,
    groupCount: exports.graphGroupCount,
    firstGroup: exports.graphFirstGroup,
  };
}

function stageColumns(
  stage: Stage,
  columns: GraphColumns,
  linkCounts: Uint32Array,
  from: number,
  to: number,
): void {
  stage.place(columns.traceIds, from, to, 16);
  stage.place(columns.spanIds, from, to, 8);
  stage.place(columns.parentIds, from, to, 8);
  stage.place(columns.durations, from, to);
  stage.place(columns.ingestedMs, from, to);
  stage.place(columns.offsets, from, to);
  stage.place(columns.tenants, from, to);
  stage.place(columns.services, from, to);
  stage.place(columns.peers, from, to);
  stage.place(columns.partitions, from, to);
  stage.place(columns.itemIndexes, from, to);
  stage.place(linkCounts, 0, to - from);
  stage.place(columns.kinds, from, to);
  stage.place(columns.errors, from, to);
  stage.place(columns.peerKinds, from, to);
}

/** The record's fields stand where `assembly/group.ts` puts them. */
function readGroup(record: GroupRecord): CallGroup {
  const calls = record.word(16);
  return {
    tenant: record.word(0),
    connection: record.word(76),
    caller: record.word(4),
    callee: record.word(8),
    calls,
    errors: record.word(20),
    durationMinNs: record.long(32),
    durationMaxNs: record.long(40),
    durationSumNs: (record.long(56) << 64n) | record.long(48),
    durations: new BigUint64Array(record.buffer, record.word(64), calls),
  };
}
