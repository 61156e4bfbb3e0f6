/** Reads the columns' buffers through apache-arrow, as plain values that tests can compare. */
import * as arrow from 'apache-arrow';
import { Map_ as ArrowMap } from 'apache-arrow'; // eslint-disable-line no-underscore-dangle
import type { ColumnBuffers } from '../../aggregator-as/host.ts';
import type { ArchiveType } from '../../schemas/archive.ts';

const utf8 = new arrow.Utf8();

function list(item: arrow.DataType): arrow.DataType {
  return new arrow.List(new arrow.Field('item', item, false));
}

function map(): arrow.DataType {
  const fields = ['key', 'value'].map((name) => new arrow.Field(name, utf8, false));
  const entries = new arrow.Struct(fields) as arrow.Struct<{ key: arrow.Utf8; value: arrow.Utf8 }>;
  return new ArrowMap(new arrow.Field('entries', entries, false), false);
}

function typeOf(type: ArchiveType): arrow.DataType {
  const nanoseconds = new arrow.TimestampNanosecond();
  const types: Record<ArchiveType, arrow.DataType> = {
    dictionary: new arrow.Dictionary(utf8, new arrow.Int32()),
    utf8,
    binary: new arrow.Binary(),
    id16: new arrow.FixedSizeBinary(16),
    id8: new arrow.FixedSizeBinary(8),
    bool: new arrow.Bool(),
    int32: new arrow.Int32(),
    int64: new arrow.Int64(),
    uint32: new arrow.Uint32(),
    uint64: new arrow.Uint64(),
    double: new arrow.Float64(),
    timestampMs: new arrow.Int64(),
    timestampNs: new arrow.Int64(),
    attributes: map(),
    kinds: list(new arrow.Uint8()),
    listTimestampNs: list(nanoseconds),
    listUtf8: list(utf8),
    listId16: list(new arrow.FixedSizeBinary(16)),
    listId8: list(new arrow.FixedSizeBinary(8)),
    listUint32: list(new arrow.Uint32()),
    listInt64: list(new arrow.Int64()),
    listUint64: list(new arrow.Uint64()),
    listDouble: list(new arrow.Float64()),
    listAttributes: list(map()),
    listKinds: list(list(new arrow.Uint8())),
  };
  return type === 'listTimestampNs' ? list(new arrow.Int64()) : types[type];
}

function dataOf(type: arrow.DataType, column: ColumnBuffers): arrow.Data {
  const children = (type.children ?? []).map((field, index) => {
    const child = column.children?.[index];
    if (!child) throw new Error(`child ${index} of type ${type.typeId} is missing`);
    return dataOf(field.type, child);
  });
  const buffers = {
    [arrow.BufferType.OFFSET]: column.offsets,
    [arrow.BufferType.DATA]: column.data,
    [arrow.BufferType.VALIDITY]: column.validity,
  } as ConstructorParameters<typeof arrow.Data>[4];
  const dictionary = column.dictionary && new arrow.Vector([dataOf(utf8, column.dictionary)]);
  return new arrow.Data(type, 0, column.length, column.nullCount, buffers, children, dictionary);
}

/** Each row's value: ids and bytes as hex, lists as arrays, maps as arrays of pairs. */
export function valuesOf(type: ArchiveType, column: ColumnBuffers): unknown[] {
  return [...new arrow.Vector([dataOf(typeOf(type), column)])].map(plain);
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof arrow.MapRow) return entriesOf(value as MapLike);
  if (value instanceof arrow.Vector) return isBytes(value) ? [...value] : [...value].map(plain);
  return value;
}

function isBytes(vector: arrow.Vector): boolean {
  return vector.type instanceof arrow.Uint8;
}

interface MapLike {
  [Symbol.iterator](): Iterator<[string, string]>;
}

function entriesOf(row: MapLike): [string, string][] {
  return [...{ [Symbol.iterator]: () => row[Symbol.iterator]() }].map(([key, value]) => [
    key,
    value,
  ]);
}
