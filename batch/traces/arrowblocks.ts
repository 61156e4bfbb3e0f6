/**
 * Fills the kernel's blocks from Arrow record batches: row groups that `blocks.ts` does not know how to
 * read are decoded by parquet-wasm, which knows all that there is.
 */
import type { SpanGraph } from '../../aggregator-as/spangraph.ts';
import { namesPage } from '../../aggregator-as/spanmemory.ts';
import {
  nameColumns,
  type IdRange,
  type OpenBlock,
  type SpanKernel,
} from '../../aggregator-as/spankernel.ts';
import { hasBit, type ArrowBatch } from '../shard/arrow.ts';
import { Names } from '../shard/names.ts';
import { peerOf } from './peer.ts';

const [traceIdBytes, spanIdBytes] = [16, 8];
const linkBytes = traceIdBytes + spanIdBytes;
const kindsWithPeers: ReadonlySet<string> = new Set(['Client', 'Producer', 'Consumer']);

/** A block of the batch's rows within `range`, filled. Throws CAPACITY and CORRUPT_ARCHIVE. */
export function fillFromArrow(kernel: SpanKernel, arrow: ArrowBatch, range: IdRange): OpenBlock {
  const block = kernel.open(arrow.rows, range, (bytes) => bytes.set(arrow.fixed('TraceId', 16)));
  const { from, to } = block;
  if (from === to) return block;
  kernel.put(block.spanIds, arrow.fixed('SpanId', 8).subarray(from * 8, to * 8));
  kernel.order(block);
  kernel.put(block.durations, bytesOf(arrow.uint64('Duration').subarray(from, to)));
  for (const [column, name] of nameColumns.entries()) {
    const { codes, values } = arrow.dictionary(name);
    putNames(kernel, column, { values, codes: codes.subarray(from, to) });
  }
  if (kernel.graph !== undefined) fillGraph(kernel, kernel.graph, arrow, block);
  return block;
}

/** Names of rows: codes, and what they stand for. */
interface CodedNames {
  readonly values: readonly string[];
  readonly codes: ArrayBufferView;
}

function putNames(kernel: SpanKernel, column: number, { values, codes }: CodedNames): void {
  kernel.names(column, namesPage(values), values.length);
  kernel.put(kernel.codesAt(column), bytesOf(codes));
}

function fillGraph(
  kernel: SpanKernel,
  graph: SpanGraph,
  arrow: ArrowBatch,
  block: OpenBlock,
): void {
  kernel.put(block.parents, parentIds(arrow, block));
  graph.orderParents(block.at);
  const peers = arrow.has('PeerName') ? peersOf(arrow, block) : peersMade(arrow, block);
  const [names, kinds] = graph.peerColumns;
  putNames(kernel, names, peers.names);
  putNames(kernel, kinds, peers.kinds);
  const { ends, ids } = linksOf(arrow, block);
  graph.putLinks(block, ends, ids);
}

/** Parents' ids, zeros where there is none. */
function parentIds(arrow: ArrowBatch, { from, to }: OpenBlock): Uint8Array {
  const given = arrow.fixed('ParentSpanId', spanIdBytes, 'nulls');
  const ids = given.slice(from * spanIdBytes, to * spanIdBytes);
  const validity = arrow.validity('ParentSpanId');
  for (let row = from; row < to; row += 1) {
    if (hasBit(validity, row)) continue;
    ids.fill(0, (row - from) * spanIdBytes, (row - from + 1) * spanIdBytes);
  }
  return ids;
}

function peersOf(arrow: ArrowBatch, { from, to }: OpenBlock) {
  const coded = (column: string): CodedNames => {
    const { values, codes } = arrow.dictionary(column);
    return { values, codes: codes.subarray(from, to) };
  };
  return { names: coded('PeerName'), kinds: coded('PeerKind') };
}

/** Of a file that has no peers, from the attributes of the spans that have one. */
function peersMade(arrow: ArrowBatch, { from, to }: OpenBlock) {
  const { codes, values } = arrow.dictionary('SpanKind');
  const [names, kinds] = [new Names('peer', Infinity), new Names('kind of peers', Infinity)];
  const none = { name: names.id(''), kind: kinds.id('') };
  const found = { names: new Uint32Array(to - from), kinds: new Uint32Array(to - from) };
  for (let row = from; row < to; row += 1) {
    const hasPeer = kindsWithPeers.has(values[codes[row] ?? 0] ?? '');
    const peer = hasPeer ? peerOf(arrow.entries('SpanAttributes', row)) : undefined;
    found.names[row - from] = peer ? names.id(peer.name) : none.name;
    found.kinds[row - from] = peer ? kinds.id(peer.kind) : none.kind;
  }
  return {
    names: { values: names.values(), codes: found.names },
    kinds: { values: kinds.values(), codes: found.kinds },
  };
}

/** Links of consumers: for each row the index behind its last, and the ids, trace and span in turn. */
function linksOf(arrow: ArrowBatch, { from, to }: OpenBlock) {
  const traces = arrow.fixedLists('Links.TraceId', traceIdBytes);
  const spans = arrow.fixedLists('Links.SpanId', spanIdBytes);
  const { codes, values } = arrow.dictionary('SpanKind');
  const ends = new Uint32Array(to - from);
  const kept: number[] = [];
  for (let row = from; row < to; row += 1) {
    if (values[codes[row] ?? 0] === 'Consumer') {
      const end = traces.offsets[row + 1] ?? 0;
      for (let link = traces.offsets[row] ?? 0; link < end; link += 1) kept.push(link);
    }
    ends[row - from] = kept.length;
  }
  const ids = new Uint8Array(kept.length * linkBytes);
  for (const [place, link] of kept.entries()) {
    const at = place * linkBytes;
    const [traceAt, spanAt] = [link * traceIdBytes, link * spanIdBytes];
    ids.set(traces.items.subarray(traceAt, traceAt + traceIdBytes), at);
    ids.set(spans.items.subarray(spanAt, spanAt + spanIdBytes), at + traceIdBytes);
  }
  return { ends, ids };
}

/** Fills in where the rows [from, to) of the batch were received. */
export function placesFromArrow(
  kernel: SpanKernel,
  arrow: ArrowBatch,
  { from, to }: { readonly from: number; readonly to: number },
  block: number,
): void {
  const rows = to - from;
  const at = kernel.roomForPlaces(block);
  kernel.put(at, bytesOf(arrow.int64('IngestedAt').subarray(from, to)));
  kernel.put(at + 8 * rows, bytesOf(arrow.int64('Offset').subarray(from, to)));
  kernel.put(at + 16 * rows, bytesOf(arrow.int32('Partition').subarray(from, to)));
  kernel.put(at + 20 * rows, bytesOf(arrow.uint32('ItemIndex').subarray(from, to)));
}

function bytesOf(column: ArrayBufferView): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
}
