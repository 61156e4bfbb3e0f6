/**
 * Joins consumers with producers in other traces, over the partials of all shards: producers are read in
 * blocks, ascending, and each shard's links, ascending too, are followed beside them. Exact whatever the
 * shards are, and in bounded memory but for the calls that it finds, which it gives as partials of edges.
 */
import {
  messageBlockEnds,
  messageCallsMax,
  messageChunkEndsMin,
} from '../../schemas/limits/batch.ts';
import {
  compareSpans,
  decodeMessageHeader,
  endBytes,
  isOpenEnd,
  messagePreamble,
  namedEndBytes,
  readEnd,
  readSpanName,
  type MessageEnd,
  type MessageHeader,
  type NamedEnd,
  type SpanName,
} from '../../schemas/partials/messages.ts';
import { Names } from '../shard/names.ts';
import {
  mapBounded,
  readExactly,
  readHeader,
  type MergeLimits,
  type PartialReader,
} from '../merge/ranges.ts';
import { Calls } from './calls.ts';
import * as edges from './edges.ts';

/**
 * Partials of the edges that no shard could see, which count for the period as those of shards do. Throws
 * what the readers throw, and `TidemarkError` CORRUPT_ARCHIVE for a partial that is damaged.
 */
export async function joinMessages(
  readers: readonly PartialReader[],
  limits: MergeLimits,
): Promise<Uint8Array[]> {
  const names = new Names('name of a message', Infinity);
  names.id(edges.userNode);
  const sources = await mapBounded(readers, limits.readsInFlight, async (reader) => {
    const header = decodeMessageHeader(await readHeader(reader, messagePreamble));
    return new Source(reader, header, names);
  });
  const calls = new Calls(names, messageCallsMax);
  const chunkEnds = Math.max(messageChunkEndsMin, Math.ceil(messageBlockEnds / sources.length));
  const cursors = sources.map((source) => new Cursor(source, chunkEnds));
  for (const source of await inOrder(sources)) {
    for await (const block of source.producers(messageBlockEnds)) {
      for (const cursor of cursors) await followLinks(cursor, block, calls);
      for (const producer of block.open()) addToPeer(calls, producer);
    }
  }
  for (const source of sources) {
    for await (const consumer of source.open(messageBlockEnds)) addFromPeer(calls, consumer);
  }
  return calls.partials();
}

/** One side of a message, with names that hold for all partials. */
class Source {
  readonly header: MessageHeader;
  /** 1 for the consumers whose message was found. */
  readonly answered: Uint8Array;
  readonly #reader: PartialReader;
  readonly #names: readonly number[];

  constructor(reader: PartialReader, header: MessageHeader, names: Names) {
    this.header = header;
    this.answered = new Uint8Array(header.consumers);
    this.#reader = reader;
    this.#names = header.names.map((name) => names.id(name));
  }

  /** The producers in blocks, ascending. */
  async *producers(most: number): AsyncGenerator<Block> {
    const { producers, producersStart } = this.header;
    for (let from = 0; from < producers; from += most) {
      const count = Math.min(most, producers - from);
      const view = await this.#read(producersStart, from, count, namedEndBytes);
      yield new Block(view, count, (end) => this.#renamed(end));
    }
  }

  async first(): Promise<NamedEnd | undefined> {
    const { producers, producersStart } = this.header;
    const [first] = producers === 0 ? [] : await this.named(producersStart, 0, 1);
    return first;
  }

  /** Named ends [from, from + count) of those that begin at `start`. */
  async named(start: number, from: number, count: number): Promise<NamedEnd[]> {
    const view = await this.#read(start, from, count, namedEndBytes);
    return Array.from({ length: count }, (_, index) => {
      const at = index * namedEndBytes;
      return { ...readSpanName(view, at), ...this.#renamed(readEnd(view, at + 24)) };
    });
  }

  /** Consumers whose message nobody has sent. */
  async *open(most: number): AsyncGenerator<MessageEnd> {
    const { consumers, consumersStart } = this.header;
    for (let from = 0; from < consumers; from += most) {
      const count = Math.min(most, consumers - from);
      const view = await this.#read(consumersStart, from, count, endBytes);
      for (let index = 0; index < count; index += 1) {
        const end = readEnd(view, index * endBytes);
        const isOpen = end.isOpen && this.answered[from + index] === 0;
        if (isOpen) yield this.#renamed(end);
      }
    }
  }

  async #read(start: number, from: number, count: number, each: number): Promise<DataView> {
    const at = start + from * each;
    const bytes = await readExactly(this.#reader, at, at + count * each);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #renamed<End extends MessageEnd>(end: End): End {
    const name = (index: number) => this.#names[index] ?? 0;
    const peer = end.peerKind === 0 ? end.peer : name(end.peer);
    return { ...end, tenant: name(end.tenant), service: name(end.service), peer };
  }
}

/** Producers in order, as they were read. Shards share no trace, so blocks of all shards do not overlap. */
class Block {
  readonly #view: DataView;
  readonly #count: number;
  readonly #rename: (end: MessageEnd) => MessageEnd;
  readonly #found: Uint8Array;

  constructor(view: DataView, count: number, rename: (end: MessageEnd) => MessageEnd) {
    this.#view = view;
    this.#count = count;
    this.#rename = rename;
    this.#found = new Uint8Array(count);
  }

  get last(): SpanName | undefined {
    return this.#count === 0 ? undefined : this.#nameAt(this.#count - 1);
  }

  /** The producer that the link names. */
  find(link: NamedEnd): MessageEnd | undefined {
    let [low, high] = [0, this.#count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareSpans(this.#nameAt(middle), link) < 0) low = middle + 1;
      else high = middle;
    }
    for (let place = low; place < this.#count; place += 1) {
      if (compareSpans(this.#nameAt(place), link) !== 0) return undefined;
      const end = this.#endAt(place);
      if (end.tenant !== link.tenant) continue;
      this.#found[place] = 1;
      return end;
    }
    return undefined;
  }

  /** Producers whose message nobody has taken. */
  *open(): Generator<MessageEnd> {
    for (let place = 0; place < this.#count; place += 1) {
      if (this.#found[place] === 1 || !isOpenEnd(this.#view, endOf(place))) continue;
      yield this.#endAt(place);
    }
  }

  #nameAt(place: number): SpanName {
    return readSpanName(this.#view, place * namedEndBytes);
  }

  #endAt(place: number): MessageEnd {
    return this.#rename(readEnd(this.#view, endOf(place)));
  }
}

/** Where the end of a named one stands, behind the name. */
function endOf(place: number): number {
  return (place + 1) * namedEndBytes - endBytes;
}

/** Reads a shard's links, a chunk at a time. */
class Cursor {
  readonly source: Source;
  readonly #chunkEnds: number;
  #chunk: NamedEnd[] = [];
  #place = 0;
  #read = 0;

  constructor(source: Source, chunkEnds: number) {
    this.source = source;
    this.#chunkEnds = chunkEnds;
  }

  /** The link that comes next, `undefined` after the last. */
  async peek(): Promise<NamedEnd | undefined> {
    const { links, linksStart } = this.source.header;
    if (this.#place === this.#chunk.length && this.#read < links) {
      const count = Math.min(this.#chunkEnds, links - this.#read);
      this.#chunk = await this.source.named(linksStart, this.#read, count);
      this.#read += count;
      this.#place = 0;
    }
    return this.#chunk[this.#place];
  }

  skip(): void {
    this.#place += 1;
  }
}

/** Producers in the order of their spans. */
async function inOrder(sources: readonly Source[]): Promise<Source[]> {
  const firsts: { source: Source; first: NamedEnd }[] = [];
  for (const source of sources) {
    const first = await source.first();
    if (first !== undefined) firsts.push({ source, first });
  }
  return firsts.toSorted((a, b) => compareSpans(a.first, b.first)).map(({ source }) => source);
}

async function followLinks(cursor: Cursor, block: Block, calls: Calls): Promise<void> {
  const { last } = block;
  if (last === undefined) return;
  for (;;) {
    const link = await cursor.peek();
    if (link === undefined || compareSpans(link, last) > 0) return;
    cursor.skip();
    const producer = block.find(link);
    if (producer === undefined) continue;
    cursor.source.answered[link.peer] = 1;
    const isError = producer.isError || link.isError;
    calls.add(producer.service, link.service, edges.message, { ...link, isError });
  }
}

/** A producer's message that nobody has taken went to what it names. */
function addToPeer(calls: Calls, producer: MessageEnd): void {
  calls.add(producer.service, producer.peer, edges.toVirtual + producer.peerKind, producer);
}

/** A consumer's message that nobody has sent came from what it names. */
function addFromPeer(calls: Calls, consumer: MessageEnd): void {
  const isMessaging = edges.peerKinds[consumer.peerKind] === 'messaging_system';
  const connection = isMessaging ? edges.messageFromVirtual : edges.fromVirtual;
  // The first name is `user`.
  const caller = consumer.peerKind === 0 ? 0 : consumer.peer;
  calls.add(caller, consumer.service, connection, consumer);
}
