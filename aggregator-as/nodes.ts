/**
 * Reads the node table that the WebAssembly module leaves in its memory: views of Arrow buffers in
 * the shape of `traceColumns`. It copies nothing and writes nothing.
 */
import type { ArchiveType } from '../schemas/archive.ts';

/**
 * Arrow's layout of one array, as views of WebAssembly memory. A list's item is its one child; a
 * map's child is the struct of its entries, whose children are keys and values.
 */
export interface ColumnBuffers {
  length: number;
  nullCount: number;
  validity?: Uint8Array;
  offsets?: Int32Array;
  data?: Uint8Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array | Float64Array;
  children?: ColumnBuffers[];
  /** Values of a dictionary column, whose `data` are codes (Int32). */
  dictionary?: ColumnBuffers;
}

type View = NonNullable<ColumnBuffers['data']>;
type ViewOf = (buffer: ArrayBuffer, at: number, bytes: number) => View;

const bytesView: ViewOf = (buffer, at, bytes) => new Uint8Array(buffer, at, bytes);
const int32View: ViewOf = (buffer, at, bytes) => new Int32Array(buffer, at, bytes / 4);
const uint32View: ViewOf = (buffer, at, bytes) => new Uint32Array(buffer, at, bytes / 4);
const int64View: ViewOf = (buffer, at, bytes) => new BigInt64Array(buffer, at, bytes / 8);
const uint64View: ViewOf = (buffer, at, bytes) => new BigUint64Array(buffer, at, bytes / 8);
const doubleView: ViewOf = (buffer, at, bytes) => new Float64Array(buffer, at, bytes / 8);

type FixedType = Exclude<ArchiveType, 'dictionary' | 'attributes' | 'kinds' | `list${string}`>;

const views: Record<FixedType, ViewOf> = {
  utf8: bytesView,
  binary: bytesView,
  id16: bytesView,
  id8: bytesView,
  bool: bytesView,
  int32: int32View,
  int64: int64View,
  uint32: uint32View,
  uint64: uint64View,
  double: doubleView,
  timestampMs: int64View,
  timestampNs: int64View,
};

type ListType = Extract<ArchiveType, `list${string}`>;

const listItems: Record<ListType, Exclude<ArchiveType, ListType>> = {
  listTimestampNs: 'timestampNs',
  listUtf8: 'utf8',
  listId16: 'id16',
  listId8: 'id8',
  listUint32: 'uint32',
  listInt64: 'int64',
  listUint64: 'uint64',
  listDouble: 'double',
  listAttributes: 'attributes',
  listKinds: 'kinds',
};

/** Words of a node: the class `Node` of assembly/columns/node.ts. */
const nodeWords = 6;

/** Reads nodes one after the other: parents before children, columns in order. */
export class NodeReader {
  readonly #buffer: ArrayBuffer;
  #next: number;

  /** `at` is the node table's address in `buffer`. */
  constructor(buffer: ArrayBuffer, at: number) {
    this.#buffer = buffer;
    this.#next = at;
  }

  /** The next column, which must be of this type. */
  column(type: ArchiveType): ColumnBuffers {
    if (type === 'attributes') return this.#nested(() => [this.#nested(() => this.#entries())]);
    if (type === 'kinds') return this.#nested(() => [this.#plain(bytesView)]);
    if (type === 'dictionary') {
      const codes = this.#plain(int32View);
      return { ...codes, dictionary: this.#plain(bytesView) };
    }
    if (type.startsWith('list')) return this.#nested(() => [this.column(itemOf(type))]);
    return this.#plain(views[type as FixedType]);
  }

  #entries(): ColumnBuffers[] {
    return [this.#plain(bytesView), this.#plain(bytesView)];
  }

  /** A node with offsets or none, and what `children` reads after it. */
  #nested(children: () => ColumnBuffers[]): ColumnBuffers {
    const { data: _none, ...node } = this.#plain(bytesView);
    return { ...node, children: children() };
  }

  #plain(view: ViewOf): ColumnBuffers {
    const words = new Uint32Array(this.#buffer, this.#next, nodeWords);
    this.#next += nodeWords * 4;
    const [length = 0, nullCount = 0, validity = 0, offsets = 0, data = 0, dataBytes = 0] = words;
    const node: ColumnBuffers = { length, nullCount };
    if (validity) node.validity = new Uint8Array(this.#buffer, validity, (length + 7) >> 3);
    if (offsets) node.offsets = new Int32Array(this.#buffer, offsets, length + 1);
    if (data) node.data = view(this.#buffer, data, dataBytes);
    return node;
  }
}

function itemOf(type: ArchiveType): ArchiveType {
  return listItems[type as ListType];
}
