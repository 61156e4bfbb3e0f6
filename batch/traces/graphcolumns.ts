/** From a record batch of spans to columns for the service graph's kernel. */
import type { GraphColumns } from '../../aggregator-as/graphkernel.ts';
import { rowGroupRows } from '../../schemas/limits/archive.ts';
import { shardNamesMax, shardNodesMax } from '../../schemas/limits/batch.ts';
import { hasBit, type ArrowBatch } from '../arrow.ts';
import { mapCodes } from '../codes.ts';
import { Names } from '../names.ts';
import type { RowSlice } from '../work.ts';
import { peerKinds, userNode } from './edges.ts';
import { peerOf } from './peer.ts';

const traceIdBytes = 16;
const spanIdBytes = 8;

/** The columns of an archive file that the service graph needs, beside `TraceId`. */
export const graphColumns = [
  'SpanId',
  'ParentSpanId',
  'SpanKind',
  'ServiceName',
  'Duration',
  'StatusCode',
  'Links.TraceId',
  'Links.SpanId',
  'PeerKind',
  'PeerName',
  'TenantId',
  'IngestedAt',
  'Partition',
  'Offset',
  'ItemIndex',
];

/** OTLP's numbers of span kinds, as the archive names them; 6 is any other. */
const kindNumbers: Readonly<Record<string, number>> = {
  Unspecified: 0,
  Internal: 1,
  Server: 2,
  Client: 3,
  Producer: 4,
  Consumer: 5,
};

const kindsWithPeers: ReadonlySet<string> = new Set(['Client', 'Producer', 'Consumer']);

/** Turns a batch's codes into the shard's. */
export class GraphMap {
  readonly tenants = new Names('tenant', shardNamesMax);
  /** Services, and what spans name as their peers. */
  readonly nodes = new Names('node', shardNodesMax);
  // Reused for every batch: a batch has at most one row group's rows.
  readonly #tenants = new Uint32Array(rowGroupRows);
  readonly #services = new Uint32Array(rowGroupRows);
  readonly #peers = new Uint32Array(rowGroupRows);
  readonly #kinds = new Uint8Array(rowGroupRows);
  readonly #errors = new Uint8Array(rowGroupRows);
  readonly #peerKinds = new Uint8Array(rowGroupRows);
  readonly #parents = new Uint8Array(rowGroupRows * spanIdBytes);

  constructor() {
    this.nodes.id(userNode);
  }

  /** The rows as the kernel takes them: views, valid until the next call. */
  columns(slice: RowSlice): GraphColumns {
    const { arrow, from, to } = slice;
    const ids = (name: string, width: number) =>
      arrow.fixed(name, width).subarray(from * width, to * width);
    const links = arrow.fixedLists('Links.TraceId', traceIdBytes);
    return {
      rows: to - from,
      traceIds: ids('TraceId', traceIdBytes),
      spanIds: ids('SpanId', spanIdBytes),
      parentIds: this.#parentIds(arrow, from, to),
      durations: arrow.uint64('Duration').subarray(from, to),
      ingestedMs: arrow.int64('IngestedAt').subarray(from, to),
      partitions: arrow.int32('Partition').subarray(from, to),
      offsets: arrow.int64('Offset').subarray(from, to),
      itemIndexes: arrow.uint32('ItemIndex').subarray(from, to),
      linkOffsets: links.offsets.subarray(from, to + 1),
      linkTraceIds: links.items,
      linkSpanIds: arrow.fixedLists('Links.SpanId', spanIdBytes).items,
      ...this.#codes(slice),
    };
  }

  #codes(slice: RowSlice) {
    const { tenants, nodes } = this;
    const { arrow } = slice;
    const node = (name: string) => nodes.id(name);
    return {
      tenants: mapCodes(arrow, 'TenantId', slice, this.#tenants, (name) => tenants.id(name)),
      services: mapCodes(arrow, 'ServiceName', slice, this.#services, node),
      kinds: mapCodes(arrow, 'SpanKind', slice, this.#kinds, (kind) => kindNumbers[kind] ?? 6),
      errors: mapCodes(arrow, 'StatusCode', slice, this.#errors, (code) =>
        Number(code === 'Error'),
      ),
      ...(arrow.has('PeerName') ? this.#peerCodes(slice, node) : this.#madePeers(slice, node)),
    };
  }

  #peerCodes(slice: RowSlice, node: (name: string) => number) {
    return {
      peers: mapCodes(slice.arrow, 'PeerName', slice, this.#peers, node),
      peerKinds: mapCodes(slice.arrow, 'PeerKind', slice, this.#peerKinds, peerKindOf),
    };
  }

  /** Of a file that has no peers, from the attributes of the spans that have one. */
  #madePeers({ arrow, from, to }: RowSlice, node: (name: string) => number) {
    const { codes, values } = arrow.dictionary('SpanKind');
    const peers = this.#peers.subarray(0, to - from).fill(0);
    const kinds = this.#peerKinds.subarray(0, to - from).fill(0);
    for (let row = from; row < to; row += 1) {
      if (!kindsWithPeers.has(values[codes[row] ?? 0] ?? '')) continue;
      const { kind, name } = peerOf(arrow.entries('SpanAttributes', row));
      peers[row - from] = node(name);
      kinds[row - from] = peerKindOf(kind);
    }
    return { peers, peerKinds: kinds };
  }

  /** Parents' ids, zeros where there is none. */
  #parentIds(arrow: ArrowBatch, from: number, to: number): Uint8Array {
    const given = arrow.fixed('ParentSpanId', spanIdBytes, 'nulls');
    const parents = this.#parents.subarray(0, (to - from) * spanIdBytes);
    parents.set(given.subarray(from * spanIdBytes, to * spanIdBytes));
    const validity = arrow.validity('ParentSpanId');
    for (let row = from; row < to; row += 1) {
      if (hasBit(validity, row)) continue;
      parents.fill(0, (row - from) * spanIdBytes, (row - from + 1) * spanIdBytes);
    }
    return parents;
  }
}

function peerKindOf(name: string): number {
  return Math.max(
    0,
    peerKinds.findIndex((kind) => kind === name),
  );
}
