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

/** Ends in their order, and how many of each there are. Numbers of names are any. */
export interface Messages {
  readonly producers: Iterable<NamedEnd>;
  readonly links: Iterable<NamedEnd>;
  readonly consumers: Iterable<MessageEnd>;
  readonly counts: {
    readonly producers: number;
    readonly links: number;
    readonly consumers: number;
  };
}

/**
 * The partial of these ends; producers and links ascend by span already. `renumber` replaces the numbers
 * of an end's names by indexes of `names`, which may grow until the last end.
 */
export function encodeMessages(
  { producers, links, consumers, counts }: Messages,
  renumber: (end: MessageEnd) => Pick<MessageEnd, 'tenant' | 'service' | 'peer'>,
  names: () => readonly string[],
): Uint8Array {
  const named = counts.producers + counts.links;
  const body = new Uint8Array(named * namedEndBytes + counts.consumers * endBytes);
  const view = new DataView(body.buffer);
  let at = 0;
  const write = (end: MessageEnd) => {
    writeEnd(view, at, { ...end, ...renumber(end) });
    at += endBytes;
  };
  const writeNamed = (end: NamedEnd) => {
    view.setBigUint64(at, end.traceHigh, true);
    view.setBigUint64(at + 8, end.traceLow, true);
    view.setBigUint64(at + 16, end.span, true);
    at += namedEndBytes - endBytes;
  };
  for (const end of producers) {
    writeNamed(end);
    write(end);
  }
  for (const end of links) {
    writeNamed(end);
    writeEnd(view, at, { ...end, ...renumber(end), peer: end.peer });
    at += endBytes;
  }
  for (const end of consumers) write(end);
  const writer = new VarintWriter(preambleBytes);
  const texts = names();
  writer.varint(texts.length);
  for (const text of texts) writer.name(text);
  for (const count of [counts.producers, counts.links, counts.consumers]) writer.varint(count);
  const header = writer.bytes();
  const bytes = Buffer.concat([header, body]);
  messagePreamble.write(bytes, header.length, 0, body.length);
  return bytes;
}

function writeEnd(view: DataView, at: number, end: MessageEnd): void {
  const flags = (end.isError ? errorFlag : 0) | (end.isOpen ? openFlag : 0);
  view.setBigUint64(at, end.durationNs, true);
  view.setUint32(at + 8, end.tenant, true);
  view.setUint32(at + 12, end.service, true);
  view.setUint32(at + 16, end.peer, true);
  view.setUint32(at + 20, flags | (end.peerKind << peerKindShift), true);
}

/**
 * What the partial holds, from at least its header's bytes. Throws `TidemarkError` CORRUPT_ARCHIVE for
 * whatever `encodeMessages` could not have written.
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

/** Order of spans by their names: negative, 0 or positive. */
export function compareSpans(a: SpanName, b: SpanName): number {
  return (
    compare(a.traceHigh, b.traceHigh) || compare(a.traceLow, b.traceLow) || compare(a.span, b.span)
  );
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}
