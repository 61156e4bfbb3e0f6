/**
 * The Parquet schema of a signal's files (parquet.thrift), made of its archive columns: the elements
 * of the tree, and what each leaf is. The same columns as an Arrow schema go into the metadata, so
 * that readers of Arrow get dictionaries back. Nothing here depends on data.
 */
import * as arrow from 'apache-arrow';
import { Map_ as ArrowMap } from 'apache-arrow'; // eslint-disable-line no-underscore-dangle
import { archiveColumns } from '../../schemas/archive.ts';
import type { ArchiveColumn, ArchiveType, Signal } from '../../schemas/archive.ts';
import type { Struct, Value } from './compact.ts';

/** Numbers of parquet.thrift's Type. */
const physical = { boolean: 0, int32: 1, int64: 2, double: 5, bytes: 6, fixed: 7 } as const;

const [required, optional, repeated] = [{ i32: 0 }, { i32: 1 }, { i32: 2 }];

export interface LeafColumn {
  readonly path: readonly string[];
  /** parquet.thrift's Type. */
  readonly physicalType: number;
  readonly isNullable: boolean;
}

export interface FileSchema {
  /** Elements of the tree in depth-first order, the root first. */
  readonly elements: readonly Struct[];
  readonly leaves: readonly LeafColumn[];
}

type SimpleType = Exclude<ArchiveType, 'attributes' | 'kinds' | `list${string}`> | 'uint8';

interface Form {
  readonly type: number;
  readonly width?: number;
  /** parquet.thrift's ConvertedType, for old readers, and LogicalType. */
  readonly converted?: number;
  readonly logical?: Struct;
}

const text: Form = { type: physical.bytes, converted: 0, logical: { 1: { struct: {} } } };

const forms: Record<SimpleType, Form> = {
  dictionary: text,
  utf8: text,
  binary: { type: physical.bytes },
  id16: { type: physical.fixed, width: 16 },
  id8: { type: physical.fixed, width: 8 },
  bool: { type: physical.boolean },
  int32: { type: physical.int32 },
  int64: { type: physical.int64 },
  uint8: { type: physical.int32, converted: 11, logical: unsigned(8) },
  uint32: { type: physical.int32, converted: 13, logical: unsigned(32) },
  uint64: { type: physical.int64, converted: 14, logical: unsigned(64) },
  double: { type: physical.double },
  timestampMs: { type: physical.int64, converted: 9, logical: localTime(1) },
  timestampNs: { type: physical.int64, logical: localTime(3) },
};

function unsigned(bits: number): Struct {
  return { 10: { struct: { 1: { i8: bits }, 2: { bool: false } } } };
}

/** A time without a zone, in milliseconds (unit 1) or nanoseconds (unit 3). */
function localTime(unit: number): Struct {
  const units: Value = { struct: { [unit]: { struct: {} } } };
  return { 8: { struct: { 1: { bool: false }, 2: units } } };
}

/** The schema of a signal's files. */
export function fileSchema(signal: Signal): FileSchema {
  const columns = archiveColumns[signal];
  const tree = columns.map(({ name, type, nullable }) => nodeOf(name, type, nullable));
  const root = { 4: { text: 'arrow_schema' }, 5: { i32: columns.length } };
  return {
    elements: [root, ...tree.flatMap(({ elements }) => elements)],
    leaves: tree.flatMap(({ leaves }) => leaves),
  };
}

/** An element of the tree and all under it. */
function nodeOf(name: string, type: ArchiveType | 'uint8', nullable: boolean): FileSchema {
  if (type === 'attributes') {
    const entries = ['key', 'value'].map((part) => nodeOf(part, 'utf8', false));
    return groupOf(name, { converted: 1, logical: { 2: { struct: {} } } }, 'entries', entries);
  }
  if (type === 'kinds') return listOf(name, nodeOf('item', 'uint8', false));
  if (type.startsWith('list')) return listOf(name, nodeOf('item', itemOf(type), false));
  return leafOf(name, forms[type as SimpleType], nullable);
}

/** The item's type of a type that is called `list…`. */
function itemOf(type: string): ArchiveType {
  const item = type.slice('list'.length);
  return `${item[0]?.toLowerCase()}${item.slice(1)}` as ArchiveType;
}

function leafOf(name: string, form: Form, nullable: boolean): FileSchema {
  const { type, width, converted, logical } = form;
  const element = {
    1: { i32: type },
    2: width === undefined ? undefined : { i32: width },
    3: nullable ? optional : required,
    4: { text: name },
    6: converted === undefined ? undefined : { i32: converted },
    10: logical && { struct: logical },
  };
  const leaf = { path: [name], physicalType: type, isNullable: nullable };
  return { elements: [element], leaves: [leaf] };
}

function listOf(name: string, item: FileSchema): FileSchema {
  return groupOf(name, { converted: 3, logical: { 3: { struct: {} } } }, 'list', [item]);
}

/** A group that is never null, of a repeated group, of these. */
function groupOf(
  name: string,
  { converted, logical }: { converted: number; logical: Struct },
  inner: string,
  children: readonly FileSchema[],
): FileSchema {
  const outer = {
    3: required,
    4: { text: name },
    5: { i32: 1 },
    6: { i32: converted },
    10: { struct: logical },
  };
  const middle = { 3: repeated, 4: { text: inner }, 5: { i32: children.length } };
  const leaves = children.flatMap((child) => child.leaves);
  return {
    elements: [outer, middle, ...children.flatMap(({ elements }) => elements)],
    leaves: leaves.map((leaf) => ({ ...leaf, path: [name, inner, ...leaf.path] })),
  };
}

/** The Arrow schema of a signal's files, as readers of `ARROW:schema` expect it: base64. */
export function arrowSchema(signal: Signal): string {
  const fields = archiveColumns[signal].map(
    ({ name, type, nullable }: ArchiveColumn, index) =>
      new arrow.Field(name, arrowType(type, index), nullable),
  );
  const stream = arrow.tableToIPC(new arrow.Table(new arrow.Schema(fields)), 'stream');
  // A stream begins with the schema's message: 4 bytes that are -1, its length, the message.
  const length = new DataView(stream.buffer, stream.byteOffset).getInt32(4, true);
  return Buffer.from(stream.subarray(0, 8 + length)).toString('base64');
}

/** Arrow's form of a column type. `id` tells the dictionaries of one file apart. */
function arrowType(type: ArchiveType, id: number): arrow.DataType {
  if (type === 'dictionary') return new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32(), id);
  if (type === 'attributes') return attributesType();
  if (type === 'kinds') return arrowList(new arrow.Uint8());
  if (type.startsWith('list')) return arrowList(arrowType(itemOf(type), id));
  return arrowTypes[type as keyof typeof arrowTypes]();
}

const arrowTypes = {
  utf8: () => new arrow.Utf8(),
  binary: () => new arrow.Binary(),
  id16: () => new arrow.FixedSizeBinary(16),
  id8: () => new arrow.FixedSizeBinary(8),
  bool: () => new arrow.Bool(),
  int32: () => new arrow.Int32(),
  int64: () => new arrow.Int64(),
  uint32: () => new arrow.Uint32(),
  uint64: () => new arrow.Uint64(),
  double: () => new arrow.Float64(),
  timestampMs: () => new arrow.TimestampMillisecond(),
  timestampNs: () => new arrow.TimestampNanosecond(),
};

function arrowList(item: arrow.DataType): arrow.DataType {
  return new arrow.List(new arrow.Field('item', item, false));
}

function attributesType(): arrow.DataType {
  const key = new arrow.Field('key', new arrow.Utf8(), false);
  const value = new arrow.Field('value', new arrow.Utf8(), false);
  const entries = new arrow.Struct<{ key: arrow.Utf8; value: arrow.Utf8 }>([key, value]);
  return new ArrowMap(new arrow.Field('entries', entries, false), false);
}
