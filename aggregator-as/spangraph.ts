/**
 * The host side of the service graph in the batch kernel of spans: what it needs beside their groups in,
 * calls between nodes and what only the merge can join out. It moves bytes, and looks at no row.
 */
import type { GroupNames } from '../schemas/partials/spans.ts';
import { corrupt, word, type Body, type SpanMemory } from './spanmemory.ts';

/** Columns of names that only the graph has, by number: see `assembly/spans/names.ts`. */
const [peers, peerKinds] = [5, 6];
const [tenants, services, kinds] = [0, 1, 3];

/** Texts whose numbers mean something to `assembly/graph/trace.ts`. */
export interface GraphWords {
  /** The node that calls servers whose trace begins with them. */
  readonly user: string;
  /** By OTLP's numbers. */
  readonly kinds: readonly string[];
  /** The first of them is none. */
  readonly peerKinds: readonly string[];
}

/** A data page whose values are not one for each row. */
export interface LevelPage {
  /** Repetition levels, if there are any, definition levels, values. */
  readonly body: Body;
  readonly levels: number;
  /** Whether its values are codes of the dictionary. */
  readonly dictionary: { readonly body: Body; readonly values: number } | undefined;
}

/** How a leaf is stored. */
export interface LevelShape {
  readonly isList: boolean;
  /** The definition level of a value that is there. */
  readonly most: number;
  /** Bytes of a value. */
  readonly width: 8 | 16;
}

/** A page in the kernel's memory, its levels unpacked and its values as they are. */
interface OpenPage {
  readonly repetitions: number;
  readonly definitions: number;
  readonly values: number;
  readonly end: number;
}

/** The part of a block that links go to: rows [from, to) of its row group. */
export interface LinkRows {
  readonly at: number;
  readonly from: number;
  readonly to: number;
}

/** An edge, by its address. Caller, callee and connection stand in place of service, operation, kind. */
export interface KernelEdge extends GroupNames {
  readonly at: number;
}

/** What `schemas/partials/messages.ts` puts together. */
export interface KernelMessages {
  readonly names: readonly string[];
  readonly counts: {
    readonly producers: number;
    readonly links: number;
    readonly consumers: number;
  };
  /** The records in their order; views that are valid until the kernel is used again. */
  readonly pieces: Iterable<Uint8Array>;
}

const [levelBytes, valueBytesMax] = [12, 16];
const sectionBytes = 4;
const idBytes = 8;
/** As in `assembly/graph/list.ts` and `link.ts`. */
const [chunkRecords, chunkHeadBytes] = [256, 8];
const [namedEndBytes, endBytes, linkBytes] = [48, 24, 24];
const edgeFlag = 0x8000_0000;

export class SpanGraph {
  readonly #memory: SpanMemory;
  readonly #words: GraphWords;

  constructor(memory: SpanMemory, words: GraphWords) {
    this.#memory = memory;
    this.#words = words;
  }

  /** Names what has a number of its own; before any name is read. */
  begin(name: (column: number, texts: readonly string[]) => void): void {
    const { user, kinds: ofKinds, peerKinds: ofPeers } = this.#words;
    name(services, [user]);
    name(kinds, ofKinds);
    name(peerKinds, ofPeers);
  }

  /** Numbers of the columns of peers' names and kinds, for `names` and `codesAt` of the kernel. */
  get peerColumns(): readonly [names: number, kinds: number] {
    return [peers, peerKinds];
  }

  /**
   * Writes the parents' ids of a page's rows [skip, skip + count) to the address `to`. Throws CAPACITY and
   * CORRUPT_ARCHIVE.
   */
  takeParents(page: LevelPage, skip: number, count: number, to: number): void {
    const { definitions, values, end } = this.#open(page, {
      isList: false,
      most: 1,
      width: idBytes,
    });
    const { wasm } = this.#memory;
    if (wasm.takeParents(definitions, skip, count, values, end, to) === 0) throw shorter();
  }

  /** Turns parents' ids, as bytes and zeros for none, that stand in the block into numbers. */
  orderParents(block: number): void {
    this.#memory.wasm.orderParents(block);
  }

  /**
   * Gives a block the links of its rows from the pages of the row group's two columns; the codes of kinds
   * must be there. Throws CAPACITY and CORRUPT_ARCHIVE.
   */
  takeLinks(
    rows: LinkRows,
    rowCount: number,
    traces: { readonly pages: Iterable<LevelPage>; readonly most: number },
    spans: { readonly pages: Iterable<LevelPage>; readonly most: number },
  ): void {
    const { wasm } = this.#memory;
    this.#memory.enough(wasm.beginLinks(rows.at, rows.from, rows.to));
    const traceShape = { isList: true, most: traces.most, width: 16 } as const;
    for (const page of traces.pages) {
      const { repetitions, definitions } = this.#open(page, traceShape, 'levels');
      const { most } = traces;
      if (wasm.countLinks(repetitions, definitions, page.levels, most) === 0) throw shorter();
    }
    if (word(wasm.rowsBegun) !== rowCount) throw shorter();
    this.#memory.enough(wasm.makeLinks());
    if (word(wasm.linkTotal) === 0) return;
    this.#takeHalves(traces.pages, traceShape);
    this.#takeHalves(spans.pages, { isList: true, most: spans.most, width: idBytes });
  }

  #takeHalves(pages: Iterable<LevelPage>, shape: LevelShape): void {
    const { wasm } = this.#memory;
    wasm.beginHalves();
    for (const page of pages) {
      const { repetitions, definitions, values, end } = this.#open(page, shape);
      const { most, width } = shape;
      const fine = wasm.takeHalves(repetitions, definitions, page.levels, most, values, end, width);
      if (fine === 0) throw shorter();
    }
    if (word(wasm.linksTaken) !== word(wasm.linkTotal)) throw shorter();
  }

  /**
   * Gives a block links as such: `ends` has for each row the index behind its last one, `ids` 24 bytes a
   * link, trace id and span id as bytes. Throws CAPACITY.
   */
  putLinks(rows: LinkRows, ends: Uint32Array, ids: Uint8Array): void {
    const memory = this.#memory;
    const count = ids.length / linkBytes;
    if (count === 0) return;
    memory.enough(memory.wasm.beginLinks(rows.at, rows.from, rows.to));
    const endsAt = memory.data(rows.at).getUint32(blockLinkEnds, true);
    memory.words(endsAt, ends.length).set(ends);
    const to = memory.enough(memory.wasm.roomForLinks(rows.at, count));
    const numbers = memory.data(to);
    const view = new DataView(ids.buffer, ids.byteOffset, ids.byteLength);
    for (let at = 0; at < ids.length; at += 8)
      numbers.setBigUint64(at, view.getBigUint64(at), true);
  }

  /** All edges, in no order. Throws CORRUPT_ARCHIVE for a name that is no text. */
  edges(): KernelEdge[] {
    const memory = this.#memory;
    const [tenant, node] = [memory.namesOf(tenants), memory.namesOf(services)];
    const edges: KernelEdge[] = [];
    const view = memory.data(0);
    for (let at = word(memory.wasm.firstGroup); at !== 0;) {
      const kind = view.getUint32(at + 12, true);
      if (kind >= edgeFlag) {
        edges.push({
          at,
          tenantId: tenant(view.getUint32(at, true)),
          serviceName: node(view.getUint32(at + 4, true)),
          operationName: node(view.getUint32(at + 8, true)),
          spanKind: String(kind - edgeFlag),
        });
      }
      at = view.getUint32(at + 56, true);
    }
    return edges;
  }

  /** An edge without calls that the spans have not by themselves. Throws CAPACITY. */
  makeEdge(names: GroupNames): KernelEdge {
    const memory = this.#memory;
    const [caller, callee] = [names.serviceName, names.operationName].map((name) =>
      memory.numberOf(services, name),
    );
    const tenant = memory.numberOf(tenants, names.tenantId);
    const kind = (edgeFlag | Number(names.spanKind)) >>> 0;
    const at = memory.wasm.findGroup(tenant, caller ?? 0, callee ?? 0, kind);
    return { ...names, at: memory.enough(at) };
  }

  /** Producers, links into other traces and their consumers. Once for a shard. Throws CAPACITY. */
  messages(): KernelMessages {
    const memory = this.#memory;
    const { wasm } = memory;
    memory.enough(wasm.closeEnds());
    const [tenant, node] = [memory.namesOf(tenants), memory.namesOf(services)];
    const numbers = memory.words(word(wasm.endNames), word(wasm.endNameCount));
    return {
      names: Array.from(numbers, (number) => (number % 2 === 0 ? tenant : node)(number >>> 1)),
      counts: {
        producers: wasm.producerCount(),
        links: wasm.linkCount(),
        consumers: wasm.consumerCount(),
      },
      pieces: this.#pieces(),
    };
  }

  *#pieces(): Generator<Uint8Array> {
    const memory = this.#memory;
    const { wasm } = memory;
    yield* this.#chunks(wasm.firstProducers(), wasm.producerCount(), namedEndBytes);
    const links = wasm.linkCount();
    for (let from = 0; from < links; from += chunkRecords) {
      const records = Math.min(links - from, chunkRecords);
      yield memory.view(wasm.linksFrom(from) >>> 0, records * namedEndBytes);
    }
    yield* this.#chunks(wasm.firstConsumers(), wasm.consumerCount(), endBytes);
  }

  *#chunks(first: number, count: number, recordBytes: number): Generator<Uint8Array> {
    let left = count;
    for (let at = first >>> 0; at !== 0; at = this.#memory.data(at).getUint32(0, true)) {
      const records = Math.min(left, chunkRecords);
      yield this.#memory.view(at + chunkHeadBytes, records * recordBytes);
      left -= records;
    }
  }

  /** Brings a page into the memory: `only` its levels, or its values as well. */
  #open(page: LevelPage, shape: LevelShape, only?: 'levels'): OpenPage {
    const memory = this.#memory;
    const { levels, body, dictionary } = page;
    const rooms = memory.enough(
      memory.wasm.roomForLevels(levels * (levelBytes + valueBytesMax) + 64),
    );
    const [repetitions, definitions] = [rooms, rooms + 4 * levels];
    let at = memory.page(body);
    const end = at + body.length;
    const section = (most: number, to: number) => {
      const length = end - at < sectionBytes ? Infinity : memory.data(at).getUint32(0, true);
      at += sectionBytes;
      if (length > end - at) throw shorter();
      const part = { skip: 0, count: levels, to, limit: most + 1 };
      memory.unpack(at, at + length, most > 1 ? 2 : 1, part);
      at += length;
    };
    if (shape.isList) section(1, repetitions);
    section(shape.most, definitions);
    if (only === 'levels' || dictionary === undefined) {
      return { repetitions, definitions, values: at, end };
    }
    const present = memory.wasm.countPresent(definitions, levels, shape.most);
    const codes = rooms + 8 * levels;
    if (present > 0) {
      const width = at < end ? memory.data(at).getUint8(0) : 255;
      const part = { skip: 0, count: present, to: codes, limit: dictionary.values };
      memory.unpack(at + 1, end, width, part);
    }
    const values = rooms + levelBytes * levels;
    if (dictionary.body.length !== dictionary.values * shape.width) throw shorter();
    memory.wasm.lookUp(codes, present, memory.page(dictionary.body), shape.width, values);
    return { repetitions, definitions, values, end: values + present * shape.width };
  }
}

/** Of a block, as in `assembly/spans/block.ts`. */
const blockLinkEnds = 52;

function shorter(): Error {
  return corrupt('a page has other values than it says');
}
