/**
 * Reads the footer of a Parquet file (parquet.thrift, FileMetaData): of the columns that are wanted, where
 * their chunks lie and how they are stored. It reads no value.
 */
import { TidemarkError } from '../../schemas/errors.ts';
import { footerBytesGuess } from '../../schemas/limits/batch.ts';
import type { ReadRange } from '../../workers/clients/parquet/remote.ts';
import { readPageEnds, type PageEnds } from './pageindex.ts';
import { ThriftReader } from './thrift.ts';

/** Where a column chunk lies, and how it is stored. */
export interface ChunkPlace {
  readonly start: number;
  readonly end: number;
  /** parquet.thrift's CompressionCodec. */
  readonly codec: number;
  readonly values: number;
  readonly leaf: Leaf;
  /** Of the first column what each page begins and ends with, where that is stated and was read along. */
  readonly pageEnds?: readonly PageEnds[];
}

/** A column that has values. */
interface Leaf {
  /** Of the column of the schema that it is or is within. */
  readonly name: string;
  /** parquet.thrift's Type. */
  readonly type: number;
  /** Bytes of a value, of those that have a length. */
  readonly width: number;
  /** Whether it is no column of its own, but the values within lists. */
  readonly isList: boolean;
  /** The definition level of a value that is there: 0 of a column that is required. */
  readonly most: number;
}

export interface RowGroupPlace {
  readonly rows: number;
  /** By name; of columns that have others within them only lists of values that are required. */
  readonly chunks: ReadonlyMap<string, ChunkPlace>;
  /** Least and greatest value of the first column, where it is stated. */
  readonly least: string | undefined;
  readonly greatest: string | undefined;
}

export interface Footer {
  readonly rowGroups: readonly RowGroupPlace[];
}

const tailBytes = 8;

/**
 * Reads the footer of the object, which has `bytes` bytes: one request, or two when it is long. Throws what
 * `read` throws, and `TidemarkError` CORRUPT_ARCHIVE.
 */
export async function readFooter(
  read: ReadRange,
  key: string,
  bytes: number,
  columns: ReadonlySet<string>,
): Promise<Footer> {
  const start = Math.max(0, bytes - footerBytesGuess);
  let tail = await read(key, start, bytes);
  const length = footerLength(key, tail);
  if (length + tailBytes > bytes) throw corrupt(key, 'its footer is longer than the file');
  if (length + tailBytes > tail.length) tail = await read(key, bytes - length - tailBytes, bytes);
  const at = tail.length - length - tailBytes;
  const before = { start: bytes - tail.length, bytes: tail.subarray(0, at) };
  return parseFooter(tail.subarray(at, tail.length - tailBytes), columns, before);
}

function footerLength(key: string, tail: Uint8Array): number {
  if (tail.length < tailBytes) throw corrupt(key, 'it is too short');
  const view = new DataView(tail.buffer, tail.byteOffset + tail.length - tailBytes, tailBytes);
  // The bytes 'PAR1'.
  if (view.getUint32(4, true) !== 0x3152_4150) throw corrupt(key, 'it is no Parquet file');
  return view.getUint32(0, true);
}

function corrupt(key: string, reason: string): TidemarkError {
  return new TidemarkError('CORRUPT_ARCHIVE', `Cannot read "${key}": ${reason}`);
}

/** Bytes of the file from `start` on. */
interface Stretch {
  readonly start: number;
  readonly bytes: Uint8Array;
}

const nothing: Stretch = { start: 0, bytes: new Uint8Array() };

/**
 * The chunks of `columns` in a footer. What the page index says of the first column is read where it is among
 * the bytes `before` the footer. Throws CORRUPT_ARCHIVE.
 */
export function parseFooter(
  bytes: Uint8Array,
  columns: ReadonlySet<string>,
  before: Stretch = nothing,
): Footer {
  const reader = new ThriftReader(bytes);
  let leaves: (Leaf | undefined)[] = [];
  const rowGroups: RowGroupPlace[] = [];
  reader.struct((id) => {
    if (id === 2) leaves = readSchema(reader);
    else if (id === 4) {
      reader.list(() => rowGroups.push(readRowGroup(reader, leaves, columns, before)));
    } else return false;
    return undefined;
  });
  return { rowGroups };
}

interface Element {
  type: number;
  width: number;
  repetition: number;
  name: string;
  children: number;
}

/** All leaves in their order; of those within a group, only the one of a list of values is known. */
function readSchema(reader: ThriftReader): (Leaf | undefined)[] {
  const elements: Element[] = [];
  reader.list(() => elements.push(readElement(reader)));
  const leaves: (Leaf | undefined)[] = [];
  for (let at = 1; at < elements.length;) {
    const end = endOf(elements, at);
    const within = elements.slice(at, end);
    const found = within.filter(({ children }) => children === 0).length;
    const leaf = leafOf(within);
    leaves.push(...(leaf ? [leaf] : Array.from({ length: found }, () => undefined)));
    at = end;
  }
  return leaves;
}

/** Where the elements end that are within the one at `at`, itself included. */
function endOf(elements: readonly Element[], at: number): number {
  let left = 1;
  let end = at;
  for (; left > 0 && end < elements.length; end += 1) left += (elements[end]?.children ?? 0) - 1;
  return end;
}

const [required, optional, repeated] = [0, 1, 2];

/** A column of values, or (LogicalTypes.md, Lists) one of lists of three levels. */
function leafOf([column, list, item, ...more]: readonly Element[]): Leaf | undefined {
  if (column === undefined || column.repetition === repeated || more.length > 0) return undefined;
  const { name } = column;
  const most = column.repetition === optional ? 1 : 0;
  if (list === undefined) {
    return { name, type: column.type, width: column.width, isList: false, most };
  }
  if (item === undefined || list.repetition !== repeated || item.repetition !== required) {
    return undefined;
  }
  return { name, type: item.type, width: item.width, isList: true, most: most + 1 };
}

function readElement(reader: ThriftReader): Element {
  const element: Element = { type: -1, width: 0, repetition: 0, name: '', children: 0 };
  reader.struct((id) => {
    if (id === 1) element.type = reader.int();
    else if (id === 2) element.width = reader.int();
    else if (id === 3) element.repetition = reader.int();
    else if (id === 4) element.name = reader.text();
    else if (id === 5) element.children = reader.int();
    else return false;
    return undefined;
  });
  return element;
}

function readRowGroup(
  reader: ThriftReader,
  leaves: readonly (Leaf | undefined)[],
  columns: ReadonlySet<string>,
  before: Stretch,
): RowGroupPlace {
  const chunks = new Map<string, ChunkPlace>();
  let rows = 0;
  let ends: Ends = { least: undefined, greatest: undefined };
  reader.struct((id) => {
    if (id === 1) {
      let index = 0;
      reader.list(() => {
        const leaf = leaves[index];
        const isFirst = index === 0;
        index += 1;
        if (leaf === undefined || !columns.has(leaf.name)) {
          reader.struct(() => false);
          return;
        }
        const { place, ends: own } = readChunk(reader, leaf, isFirst ? before : nothing);
        if (isFirst) ends = own;
        if (place !== undefined) chunks.set(leaf.name, place);
      });
    } else if (id === 3) rows = reader.int();
    else return false;
    return undefined;
  });
  return { rows, chunks, ...ends };
}

interface Ends {
  least: string | undefined;
  greatest: string | undefined;
}

function readChunk(
  reader: ThriftReader,
  leaf: Leaf,
  before: Stretch,
): { place?: ChunkPlace; ends: Ends } {
  const ends: Ends = { least: undefined, greatest: undefined };
  const found = { codec: 0, values: 0, bytes: 0, data: 0, dictionary: 0 };
  const index = { at: 0, bytes: 0 };
  let isHere = false;
  reader.struct((id) => {
    if (id === 6) index.at = reader.int();
    else if (id === 7) index.bytes = reader.int();
    else if (id === 3) {
      isHere = true;
      readMetadata(reader, found, ends);
    } else return false;
    return undefined;
  });
  if (!isHere) return { ends };
  const { codec, values, bytes, data, dictionary } = found;
  const start = dictionary > 0 ? Math.min(dictionary, data) : data;
  const place = { start, end: start + bytes, codec, values, leaf };
  const at = index.at - before.start;
  if (index.bytes <= 0 || at < 0 || at + index.bytes > before.bytes.length) return { place, ends };
  const pageEnds = readPageEnds(before.bytes.subarray(at, at + index.bytes));
  return { place: pageEnds ? { ...place, pageEnds } : place, ends };
}

/** ColumnMetaData. */
function readMetadata(
  reader: ThriftReader,
  found: { codec: number; values: number; bytes: number; data: number; dictionary: number },
  ends: Ends,
): void {
  reader.struct((field) => {
    if (field === 4) found.codec = reader.int();
    else if (field === 5) found.values = reader.int();
    else if (field === 7) found.bytes = reader.int();
    else if (field === 9) found.data = reader.int();
    else if (field === 11) found.dictionary = reader.int();
    else if (field === 12) readStatistics(reader, ends);
    else return false;
    return undefined;
  });
}

function readStatistics(reader: ThriftReader, ends: Ends): void {
  reader.struct((id) => {
    if (id === 5) ends.greatest = Buffer.from(reader.binary()).toString('hex');
    else if (id === 6) ends.least = Buffer.from(reader.binary()).toString('hex');
    else return false;
    return undefined;
  });
}
