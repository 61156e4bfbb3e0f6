/**
 * The same Parquet files by a library, for comparison: the columns' Arrow buffers through an Arrow IPC
 * stream to parquet-wasm, with the layout that merged files have. Nothing of our own encoder is in it.
 */
import * as arrow from 'apache-arrow';
import { Map_ as ArrowMap } from 'apache-arrow'; // eslint-disable-line no-underscore-dangle
import { Table as WasmTable, writeParquet } from 'parquet-wasm/node';
import type { ColumnBuffers, HourBatch } from '../../aggregator-as/host.ts';
import { archiveColumns } from '../../schemas/archive.ts';
import type { ArchiveType } from '../../schemas/archive.ts';
import { writerProperties } from '../../workers/compact/layout.ts';

/** The file of one hour. Reads the batch's buffers before it returns and keeps none of them. */
export function encodeByLibrary(batch: HourBatch): Uint8Array {
  // The writer takes ownership of both; nothing of them is left to free.
  return writeParquet(libraryTable(batch), writerProperties(batch.signal));
}

/** The hour's rows in the library's own memory; whoever does not write them frees them. */
export function libraryTable(batch: HourBatch): WasmTable {
  return WasmTable.fromIPCStream(arrow.tableToIPC(arrowTable(batch), 'stream'));
}

function arrowTable(batch: HourBatch): arrow.Table {
  const own = archiveColumns[batch.signal];
  const types = own.map(({ type }, index) => arrowType(type, index));
  const fields = own.map(
    ({ name, nullable }, index) => new arrow.Field(name, itemOf(types, index), nullable),
  );
  const buffers = new Buffers();
  const columns = types.map((type, index) =>
    arrowData(type, itemOf(batch.columns, index), buffers),
  );
  const rows = new arrow.Data(new arrow.Struct(fields), 0, batch.rows, 0, {}, columns);
  const schema = new arrow.Schema(fields);
  return new arrow.Table(schema, [new arrow.RecordBatch(schema, rows)]);
}

function itemOf<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`Bug: column ${index} is missing`);
  return item;
}

/** Arrow's form of a column type. `id` tells the dictionaries of one file apart. */
function arrowType(type: ArchiveType, id: number): arrow.DataType {
  if (type.startsWith('list')) return listOf(simpleType(listItems[type as ListType]));
  if (type === 'dictionary') return new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32(), id);
  return simpleType(type as SimpleType);
}

type ListType = Extract<ArchiveType, `list${string}`>;
type SimpleType = Exclude<ArchiveType, ListType | 'dictionary'>;

const listItems: Record<ListType, SimpleType> = {
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

const simpleTypes: Record<SimpleType, () => arrow.DataType> = {
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
  attributes: attributesType,
  kinds: () => listOf(new arrow.Uint8()),
};

function simpleType(type: SimpleType): arrow.DataType {
  return simpleTypes[type]();
}

function listOf(item: arrow.DataType): arrow.DataType {
  return new arrow.List(new arrow.Field('item', item, false));
}

function attributesType(): arrow.DataType {
  const key = new arrow.Field('key', new arrow.Utf8(), false);
  const value = new arrow.Field('value', new arrow.Utf8(), false);
  const entries = new arrow.Struct<{ key: arrow.Utf8; value: arrow.Utf8 }>([key, value]);
  return new ArrowMap(new arrow.Field('entries', entries, false), false);
}

/** Arrow data over the buffers of a column. */
function arrowData(type: arrow.DataType, column: ColumnBuffers, buffers: Buffers): arrow.Data {
  const data = (type.children ?? []).map((field, index) =>
    arrowData(field.type, itemOf(column.children ?? [], index), buffers),
  );
  const own = {
    [arrow.BufferType.OFFSET]: buffers.own(column.offsets),
    [arrow.BufferType.DATA]: buffers.own(column.data),
    [arrow.BufferType.VALIDITY]: column.nullCount > 0 ? buffers.own(column.validity) : undefined,
  } as ConstructorParameters<typeof arrow.Data>[4];
  const { dictionary } = column;
  const values = dictionary && [arrowData(new arrow.Utf8(), dictionary, buffers)];
  const vector = values && new arrow.Vector(values);
  return new arrow.Data(type, 0, column.length, column.nullCount, own, data, vector);
}

type BufferView = NonNullable<ColumnBuffers['data']>;

/**
 * Columns may share a buffer (all lists of a span's events have the same offsets), but apache-arrow's
 * stream writer takes two writes of the same memory in a row for one. So whoever comes second gets
 * a copy.
 */
class Buffers {
  readonly #seen = new Set<number>();

  own(view: BufferView | undefined): BufferView | undefined {
    if (!view) return undefined;
    if (this.#seen.has(view.byteOffset)) return view.slice();
    this.#seen.add(view.byteOffset);
    return view;
  }
}
