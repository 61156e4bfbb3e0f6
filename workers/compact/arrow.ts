/**
 * Takes a record batch that the Parquet reader exported through the Arrow C data interface
 * (https://arrow.apache.org/docs/format/CDataInterface.html, 32-bit pointers) out of its memory:
 * columns of any type that an archive file may have, as plain buffers, and back to an Arrow stream.
 */
import * as arrow from 'apache-arrow';
import { Map_ as ArrowMap } from 'apache-arrow'; // eslint-disable-line no-underscore-dangle
import { TidemarkError } from '../../schemas/errors.ts';

/** The type of a column, in the format strings of the C data interface. */
export interface ArrowField {
  readonly name: string;
  /** Of a dictionary column that of its codes, `i`. */
  readonly format: string;
  readonly nullable: boolean;
  readonly children: readonly ArrowField[];
  /** Type of the dictionary's values. */
  readonly dictionary: ArrowField | undefined;
}

/** Buffers of a column in memory of their own, from its first row on. */
export interface ArrowBuffers {
  readonly length: number;
  readonly nullCount: number;
  /** One bit a row, least first; only where there are nulls. */
  readonly validity: Uint8Array | undefined;
  /** `length + 1` offsets into `data` or the child, of strings, lists and maps. */
  readonly offsets: Int32Array | undefined;
  /** Values, or the bytes of strings; empty for lists and structs. */
  readonly data: Uint8Array;
  readonly children: readonly ArrowBuffers[];
  readonly dictionary: ArrowBuffers | undefined;
}

export interface ArrowRows {
  readonly rows: number;
  readonly fields: readonly ArrowField[];
  readonly columns: readonly ArrowBuffers[];
}

/** Bytes of one value of each format of fixed width; `b` has bits. */
const widths: Readonly<Record<string, number>> = { C: 1, i: 4, I: 4, l: 8, L: 8, g: 8 };

/** Bytes of one value, `undefined` for a format without fixed width. */
export function widthOf(format: string): number | undefined {
  if (format.startsWith('w:')) return Number(format.slice(2));
  if (/^ts[mn]:/.test(format)) return 8;
  return widths[format];
}

/** Whether values of this format are bytes between two offsets. */
export function isBytes(format: string): boolean {
  return format === 'u' || format === 'z';
}

/** Whether values of this format are items between two offsets. */
export function isList(format: string): boolean {
  return format === '+l' || format === '+m';
}

/** A text that is equal exactly for equal columns of equal types. */
export function signatureOf(fields: readonly ArrowField[]): string {
  return JSON.stringify(fields);
}

/** struct ArrowArray { i64 length, null_count, offset, n_buffers, n_children; pointers … } */
const arrayBuffers = 40;
const arrayChildren = 44;
const arrayDictionary = 48;

/** struct ArrowSchema { pointers format, name, metadata; i64 flags, n_children; pointers … } */
const schemaFlags = 16;
const schemaChildCount = 24;
const schemaChildren = 32;
const schemaDictionary = 36;
/** ARROW_FLAG_NULLABLE */
const nullableFlag = 2;

const utf8 = new TextDecoder();

/**
 * Copies a batch. `array` and `schema` are the addresses of a struct array's exported structures.
 * Throws `TidemarkError` CORRUPT_ARCHIVE for a type that no archive file has.
 */
export function copyBatch(memory: WebAssembly.Memory, array: number, schema: number): ArrowRows {
  const reader = new Reader(memory);
  const fields = reader.childFields(schema);
  const columns = reader.childBuffers(array, fields);
  return { rows: reader.long(array), fields, columns };
}

class Reader {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(memory: WebAssembly.Memory) {
    this.#view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
  }

  childFields(schema: number): ArrowField[] {
    const count = this.long(schema + schemaChildCount);
    const children = this.#pointer(schema + schemaChildren);
    return Array.from({ length: count }, (_, index) =>
      this.#field(this.#pointer(children + 4 * index)),
    );
  }

  #field(schema: number): ArrowField {
    const dictionary = this.#pointer(schema + schemaDictionary);
    const format = this.#text(this.#pointer(schema));
    const children = this.childFields(schema);
    assertKnown(format, children.length);
    return {
      name: this.#text(this.#pointer(schema + 4)),
      format,
      nullable: (this.long(schema + schemaFlags) & nullableFlag) !== 0,
      children,
      dictionary: dictionary === 0 ? undefined : this.#field(dictionary),
    };
  }

  childBuffers(array: number, fields: readonly ArrowField[]): ArrowBuffers[] {
    const children = this.#pointer(array + arrayChildren);
    return fields.map((field, index) => this.#buffers(this.#pointer(children + 4 * index), field));
  }

  #buffers(array: number, field: ArrowField): ArrowBuffers {
    const length = this.long(array);
    const nullCount = this.long(array + 8);
    const offset = this.long(array + 16);
    const { format } = field;
    const buffers = this.#pointer(array + arrayBuffers);
    const address = (index: number) => this.#pointer(buffers + 4 * index);
    const dictionary = field.dictionary;
    const offsets =
      isBytes(format) || isList(format) ? this.#offsets(address(1), offset, length) : undefined;
    return {
      length,
      nullCount,
      validity: nullCount > 0 ? this.#bits(address(0), offset, length) : undefined,
      offsets,
      data: this.#data(field, address, { offset, length, end: offsets?.at(-1) ?? 0 }),
      children: this.childBuffers(array, field.children),
      dictionary: dictionary && this.#buffers(this.#pointer(array + arrayDictionary), dictionary),
    };
  }

  #data(
    { format }: ArrowField,
    address: (index: number) => number,
    { offset, length, end }: { offset: number; length: number; end: number },
  ): Uint8Array {
    if (isBytes(format)) return this.#bytes.slice(address(2), address(2) + end);
    if (format === 'b') return this.#bits(address(1), offset, length);
    const width = widthOf(format);
    if (width === undefined) return new Uint8Array();
    const at = address(1) + width * offset;
    return this.#bytes.slice(at, at + width * length);
  }

  #offsets(address: number, offset: number, length: number): Int32Array {
    // An array of no rows may have no offsets at all.
    if (length === 0) return new Int32Array(1);
    return new Int32Array(this.#view.buffer, address + 4 * offset, length + 1).slice();
  }

  #bits(address: number, offset: number, length: number): Uint8Array {
    const bits = new Uint8Array((length + 7) >> 3);
    if ((offset & 7) === 0) {
      const at = address + (offset >> 3);
      bits.set(this.#bytes.subarray(at, at + bits.length));
      return bits;
    }
    for (let row = 0; row < length; row += 1) {
      const from = offset + row;
      const bit = ((this.#bytes[address + (from >> 3)] ?? 0) >> (from & 7)) & 1;
      bits[row >> 3] = (bits[row >> 3] ?? 0) | (bit << (row & 7));
    }
    return bits;
  }

  long(at: number): number {
    return Number(this.#view.getBigInt64(at, true));
  }

  #pointer(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #text(at: number): string {
    return at === 0 ? '' : utf8.decode(this.#bytes.subarray(at, this.#bytes.indexOf(0, at)));
  }
}

function assertKnown(format: string, childCount: number): void {
  const isNested = isList(format) ? childCount === 1 : format === '+s';
  if (isNested || format === 'b' || isBytes(format) || widthOf(format) !== undefined) return;
  const message = `Cannot read a column: no archive file has the Arrow type "${format}"`;
  throw new TidemarkError('CORRUPT_ARCHIVE', message);
}

/** Bytes that the buffers take, for keeping to a bound. */
export function bytesOf({ validity, offsets, data, children, dictionary }: ArrowBuffers): number {
  const own = (validity?.byteLength ?? 0) + (offsets?.byteLength ?? 0) + data.byteLength;
  const nested = dictionary ? [...children, dictionary] : children;
  return nested.reduce((sum, child) => sum + bytesOf(child), own);
}

/** The rows as an Arrow IPC stream of one batch. */
export function toStream({ rows, fields, columns }: ArrowRows): Uint8Array {
  const types = fields.map((field, index) => dataType(field, index));
  const own = fields.map(
    ({ name, nullable }, index) => new arrow.Field(name, itemOf(types, index), nullable),
  );
  const data = types.map((type, index) => arrowData(type, itemOf(columns, index)));
  const schema = new arrow.Schema(own);
  const struct = new arrow.Data(new arrow.Struct(own), 0, rows, 0, {}, data);
  return arrow.tableToIPC(
    new arrow.Table(schema, [new arrow.RecordBatch(schema, struct)]),
    'stream',
  );
}

const simpleTypes: Readonly<Record<string, () => arrow.DataType>> = {
  b: () => new arrow.Bool(),
  C: () => new arrow.Uint8(),
  i: () => new arrow.Int32(),
  I: () => new arrow.Uint32(),
  l: () => new arrow.Int64(),
  L: () => new arrow.Uint64(),
  g: () => new arrow.Float64(),
  u: () => new arrow.Utf8(),
  z: () => new arrow.Binary(),
};

/** `id` tells the dictionaries of one batch apart; only top columns have any. */
function dataType(field: ArrowField, id: number): arrow.DataType {
  const { format, dictionary } = field;
  if (dictionary) return new arrow.Dictionary(dataType(dictionary, id), new arrow.Int32(), id);
  if (format.startsWith('w:')) return new arrow.FixedSizeBinary(Number(format.slice(2)));
  if (format.startsWith('ts')) return timestamp(format);
  const children = field.children.map(
    (child) => new arrow.Field(child.name, dataType(child, id), child.nullable),
  );
  if (format === '+s') return new arrow.Struct(children);
  if (format === '+l') return new arrow.List(itemOf(children, 0));
  if (format === '+m') {
    return new ArrowMap(itemOf(children, 0) as ConstructorParameters<typeof ArrowMap>[0], false);
  }
  const simple = simpleTypes[format];
  if (!simple) throw new Error(`Bug: no Arrow type for "${format}"`);
  return simple();
}

/** `ts`, a letter for the unit, a colon, and the zone or nothing. */
function timestamp(format: string): arrow.DataType {
  const zone = format.slice(4) || null;
  if (format.startsWith('tsm:')) return new arrow.TimestampMillisecond(zone);
  if (format.startsWith('tsn:')) return new arrow.TimestampNanosecond(zone);
  throw new Error(`Bug: no Arrow type for "${format}"`);
}

function arrowData(type: arrow.DataType, column: ArrowBuffers): arrow.Data {
  const { length, nullCount, validity, offsets, data, dictionary } = column;
  const children = (type.children ?? []).map((field, index) =>
    arrowData(field.type, itemOf(column.children, index)),
  );
  const buffers = {
    [arrow.BufferType.OFFSET]: offsets,
    [arrow.BufferType.DATA]: children.length > 0 ? undefined : valuesOf(type, data),
    [arrow.BufferType.VALIDITY]: validity,
  } as ConstructorParameters<typeof arrow.Data>[4];
  const values = dictionary && [arrowData((type as arrow.Dictionary).dictionary, dictionary)];
  const vector = values && new arrow.Vector(values);
  return new arrow.Data(type, 0, length, nullCount, buffers, children, vector);
}

/** The same bytes in the array type that the Arrow library expects. */
function valuesOf(type: arrow.DataType, { buffer, byteOffset, byteLength }: Uint8Array) {
  const values: arrow.DataType = arrow.DataType.isDictionary(type) ? type.indices : type;
  const View = values.ArrayType as Int32ArrayConstructor;
  return new View(buffer as ArrayBuffer, byteOffset, byteLength / View.BYTES_PER_ELEMENT);
}

function itemOf<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`Bug: column ${index} is missing`);
  return item;
}
