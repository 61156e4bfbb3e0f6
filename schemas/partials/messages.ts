/**
 * What a shard's spans leave open in the service graph: producers, and consumers' links into other traces,
 * whose spans another shard may have. The merge joins them, range by range, without holding them all.
 *
 * Header: the preamble, 'TMKM'; the names (UTF-8 length and bytes); numbers of producers, links and
 * consumers. Body: producers of 48 bytes, ascending by span; links of 48, ascending by the span that they
 * name; consumers of 24. A span is named by three u64: upper and lower half of the trace id, span id, first
 * byte highest. Then follow u64 duration; u32 tenant, service and peer (numbers of names), u32 flags. A
 * link has the index of its consumer in place of the peer; a consumer has no span. Little-endian.
 */
import { corruptPartial, Preamble, preambleBytes } from './preamble.ts';
import type { Section } from './section.ts';
import { VarintWriter } from './varint.ts';

/** One side of a message. */
export interface MessageEnd {
  readonly durationNs: bigint;
  readonly tenant: number;
  readonly service: number;
  /** What the span calls its peer by; of a link the index of its consumer. */
  readonly peer: number;
  /** Number of the peer's kind; 0 for none. */
  readonly peerKind: number;
  readonly isError: boolean;
  /** No one in its own trace is the other side. */
  readonly isOpen: boolean;
}

/** Ids as numbers, their first byte the highest. */
export interface SpanName {
  readonly traceHigh: bigint;
  readonly traceLow: bigint;
  readonly span: bigint;
}

export type NamedEnd = SpanName & MessageEnd;

export interface MessageHeader {
  readonly names: readonly string[];
  readonly producers: number;
  readonly links: number;
  readonly consumers: number;
  /** Where in the partial they begin. */
  readonly producersStart: number;
  readonly linksStart: number;
  readonly consumersStart: number;
}

/** How it begins. */
export const messagePreamble = new Preamble('TMKM', 1);

export const namedEndBytes = 48;
export const endBytes = 24;

const errorFlag = 1;
const openFlag = 2;
const peerKindShift = 8;

export interface MessageCounts {
  readonly producers: number;
  readonly links: number;
  readonly consumers: number;
}

/** Ends as a kernel has written them: records in the order of the body, with numbers of these names. */
export interface WrittenMessages {
  readonly names: readonly string[];
  readonly counts: MessageCounts;
  /** Views that are valid until the next is asked for. */
  readonly pieces: Iterable<Uint8Array>;
}

/** The partial of such ends; producers and links ascend by span already. */
export function composeMessages({ names, counts, pieces }: WrittenMessages): Section {
  const header = writeHeader(names, counts);
  const named = counts.producers + counts.links;
  const bodyBytes = named * namedEndBytes + counts.consumers * endBytes;
  const write = (bytes: Uint8Array) => {
    bytes.set(header);
    let at = header.length;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    messagePreamble.write(bytes, header.length, 0, bodyBytes);
  };
  return { length: header.length + bodyBytes, write };
}

/** The header with its preamble left blank. */
function writeHeader(names: readonly string[], counts: MessageCounts): Uint8Array {
  const writer = new VarintWriter(preambleBytes);
  writer.varint(names.length);
  for (const text of names) writer.name(text);
  for (const count of [counts.producers, counts.links, counts.consumers]) writer.varint(count);
  return writer.bytes();
}

/**
 * What the partial holds, from at least its header's bytes. Throws `TidemarkError` CORRUPT_ARCHIVE for
 * whatever `composeMessages` could not have written.
 */
export function decodeMessageHeader(bytes: Uint8Array): MessageHeader {
  const { reader, headerBytes, bodyBytes } = messagePreamble.open(bytes, 0);
  const names = Array.from({ length: reader.count(1) }, () => reader.name());
  const [producers, links, consumers] = [reader.varint(), reader.varint(), reader.varint()];
  if (reader.rest !== 0) reader.fail('bytes are left over');
  const linksStart = headerBytes + producers * namedEndBytes;
  const consumersStart = linksStart + links * namedEndBytes;
  if (consumersStart + consumers * endBytes !== headerBytes + bodyBytes) {
    throw corruptPartial('its messages have another length');
  }
  const starts = { producersStart: headerBytes, linksStart, consumersStart };
  return { names, producers, links, consumers, ...starts };
}

/** The span that is named at `at`. */
export function readSpanName(view: DataView, at: number): SpanName {
  return {
    traceHigh: view.getBigUint64(at, true),
    traceLow: view.getBigUint64(at + 8, true),
    span: view.getBigUint64(at + 16, true),
  };
}

/** The side of a message at `at`: of a named one it begins 24 bytes on. */
export function readEnd(view: DataView, at: number): MessageEnd {
  const flags = view.getUint32(at + 20, true);
  return {
    durationNs: view.getBigUint64(at, true),
    tenant: view.getUint32(at + 8, true),
    service: view.getUint32(at + 12, true),
    peer: view.getUint32(at + 16, true),
    peerKind: flags >>> peerKindShift,
    isError: (flags & errorFlag) !== 0,
    isOpen: (flags & openFlag) !== 0,
  };
}

/** Whether the side of a message at `at` is open, with nothing else of it read. */
export function isOpenEnd(view: DataView, at: number): boolean {
  return (view.getUint32(at + 20, true) & openFlag) !== 0;
}

/** Order of spans by their names: negative, 0 or positive. */
export function compareSpans(a: SpanName, b: SpanName): number {
  return (
    compare(a.traceHigh, b.traceHigh) || compare(a.traceLow, b.traceLow) || compare(a.span, b.span)
  );
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}
