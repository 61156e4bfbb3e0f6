/**
 * Looks at an Arrow record batch that another WASM module exported through the C data interface
 * (https://arrow.apache.org/docs/format/CDataInterface.html, 32-bit pointers). It makes views, it
 * never copies; a view is good until that module's memory grows.
 */
import { TidemarkError } from '../../schemas/errors.ts';

/** One column: where its ArrowArray lies, and the format string of its ArrowSchema. */
export interface ArrowColumn {
  readonly name: string;
  readonly format: string;
  readonly array: number;
  /** Format of the dictionary's values, for a dictionary column. */
  readonly dictionaryFormat: string | undefined;
}

/** struct ArrowArray { i64 length, null_count, offset, n_buffers, n_children; pointers … } */
const arrayLength = 0;
const arrayNullCount = 8;
const arrayOffset = 16;
const arrayBuffers = 40;
const arrayChildren = 44;
const arrayDictionary = 48;

/** struct ArrowSchema { pointers format, name, metadata; i64 flags, n_children; pointers … } */
const schemaFormat = 0;
const schemaName = 4;
const schemaChildCount = 24;
const schemaChildren = 32;
const schemaDictionary = 36;

const utf8 = new TextDecoder();

/** A bitmap: of row i, bit (offset + i) from the least of the first byte. */
export interface Bits {
  readonly bytes: Uint8Array;
  readonly offset: number;
}

/** The bitmap of a column without nulls. */
const allBits: Bits = { bytes: new Uint8Array(), offset: 0 };

/** Whether a row's bit is set; it is in `validity` of a column without nulls. */
export function hasBit({ bytes, offset }: Bits, row: number): boolean {
  if (bytes.length === 0) return true;
  const bit = offset + row;
  return (((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1;
}

export class ArrowBatch {
  readonly rows: number;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #columns = new Map<string, ArrowColumn>();

  /** `array` and `schema` are the addresses of a struct array's exported structures. */
  constructor(memory: WebAssembly.Memory, array: number, schema: number) {
    this.#view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.rows = this.#long(array + arrayLength);
    const count = this.#long(schema + schemaChildCount);
    const arrays = this.#pointer(array + arrayChildren);
    const schemas = this.#pointer(schema + schemaChildren);
    for (let index = 0; index < count; index += 1) {
      const column = this.#column(
        this.#pointer(arrays + 4 * index),
        this.#pointer(schemas + 4 * index),
      );
      this.#columns.set(column.name, column);
    }
  }

  /** Whether there is such a column. */
  has(name: string): boolean {
    return this.#columns.has(name);
  }

  /**
   * Bytes of a FixedSizeBinary(width) column, `width` a row; what stands in place of a null means nothing.
   */
  fixed(name: string, width: number, nulls: 'nulls' | 'no nulls' = 'no nulls'): Uint8Array {
    const wanted = `w:${width}`;
    const column = this.#typed(name, (format) => format === wanted, wanted, nulls);
    const at = this.#data(column.array) + width * this.#offset(column.array);
    return this.#bytes.subarray(at, at + width * this.rows);
  }

  uint64(name: string): BigUint64Array {
    const column = this.#typed(name, (format) => format === 'L', 'L');
    const at = this.#data(column.array) + 8 * this.#offset(column.array);
    return new BigUint64Array(this.#view.buffer, at, this.rows);
  }

  /** An Int64 column, or a Timestamp in milliseconds or nanoseconds. */
  int64(name: string, nulls: 'nulls' | 'no nulls' = 'no nulls'): BigInt64Array {
    const column = this.#typed(name, isInt64, 'l, tsm: or tsn:', nulls);
    const at = this.#data(column.array) + 8 * this.#offset(column.array);
    return new BigInt64Array(this.#view.buffer, at, this.rows);
  }

  /** A nullable UInt64 column; what stands in place of a null means nothing. */
  uint64OrNull(name: string): BigUint64Array {
    const column = this.#typed(name, (format) => format === 'L', 'L', 'nulls');
    const at = this.#data(column.array) + 8 * this.#offset(column.array);
    return new BigUint64Array(this.#view.buffer, at, this.rows);
  }

  /** A nullable Float64 column; what stands in place of a null means nothing. */
  doubleOrNull(name: string): Float64Array {
    const column = this.#typed(name, (format) => format === 'g', 'g', 'nulls');
    const at = this.#data(column.array) + 8 * this.#offset(column.array);
    return new Float64Array(this.#view.buffer, at, this.rows);
  }

  /** Which rows of a column have a value. */
  validity(name: string): Bits {
    const { array } = this.#typed(name, () => true, '', 'nulls');
    const at = this.#pointer(this.#pointer(array + arrayBuffers));
    if (at === 0 || this.#long(array + arrayNullCount) === 0) return allBits;
    return { bytes: this.#bytes.subarray(at), offset: this.#offset(array) };
  }

  /** A Bool column. */
  bools(name: string): Bits {
    const { array } = this.#typed(name, (format) => format === 'b', 'b');
    return { bytes: this.#bytes.subarray(this.#data(array)), offset: this.#offset(array) };
  }

  /** A List<Float64> column: row i is items [offsets[i], offsets[i + 1]) of `items`. */
  doubleLists(name: string): { offsets: Int32Array; items: Float64Array } {
    const { offsets, child } = this.#lists(name);
    const at = this.#data(child) + 8 * this.#offset(child);
    return { offsets, items: new Float64Array(this.#view.buffer, at, this.#long(child)) };
  }

  /** A List<FixedSizeBinary(width)> column: row i is items [offsets[i], offsets[i + 1]), `width` each. */
  fixedLists(name: string, width: number): { offsets: Int32Array; items: Uint8Array } {
    const { offsets, child } = this.#lists(name);
    const at = this.#data(child) + width * this.#offset(child);
    return { offsets, items: this.#bytes.subarray(at, at + width * this.#long(child)) };
  }

  /** A List<UInt64> column. */
  uint64Lists(name: string): { offsets: Int32Array; items: BigUint64Array } {
    const { offsets, child } = this.#lists(name);
    const at = this.#data(child) + 8 * this.#offset(child);
    return { offsets, items: new BigUint64Array(this.#view.buffer, at, this.#long(child)) };
  }

  /** The entries of one row of a Map<Utf8, Utf8> column, in their order. */
  entries(name: string, row: number): [key: string, value: string][] {
    const { array } = this.#typed(name, (format) => format === '+m', '+m');
    const offsets = this.#offsetsOf(array);
    const struct = this.#child(array, 0);
    const first = this.#offset(struct);
    const [from, to] = [offsets[row] ?? 0, offsets[row + 1] ?? 0];
    const [keys, values] = [this.#child(struct, 0), this.#child(struct, 1)];
    return Array.from({ length: to - from }, (_, index) => [
      this.#string(keys, first + from + index),
      this.#string(values, first + from + index),
    ]);
  }

  /** An Int32 column; what stands in place of a null means nothing. */
  int32(name: string, nulls: 'nulls' | 'no nulls' = 'no nulls'): Int32Array {
    const column = this.#typed(name, (format) => format === 'i', 'i', nulls);
    return this.#ints(column);
  }

  uint32(name: string): Uint32Array {
    const column = this.#typed(name, (format) => format === 'I', 'I');
    const ints = this.#ints(column);
    return new Uint32Array(ints.buffer, ints.byteOffset, ints.length);
  }

  /** A Utf8 column: row i is bytes [offsets[i], offsets[i + 1]) of `bytes`. */
  utf8(name: string): { offsets: Int32Array; bytes: Uint8Array } {
    const { array } = this.#typed(name, (format) => format === 'u', 'u');
    const offsets = this.#offsetsOf(array);
    const data = this.#pointer(this.#pointer(array + arrayBuffers) + 8);
    return { offsets, bytes: this.#bytes.subarray(data, data + (offsets[this.rows] ?? 0)) };
  }

  /** Codes and values of a Dictionary<Int32, Utf8> column. */
  dictionary(name: string): { codes: Int32Array; values: string[] } {
    const column = this.#typed(name, (format) => format === 'i', 'a dictionary with i codes');
    if (column.dictionaryFormat !== 'u') throw wrongType(column, 'a dictionary of u');
    const dictionary = this.#pointer(column.array + arrayDictionary);
    return { codes: this.#ints(column), values: this.#strings(dictionary) };
  }

  #column(array: number, schema: number): ArrowColumn {
    const dictionary = this.#pointer(schema + schemaDictionary);
    return {
      name: this.#text(this.#pointer(schema + schemaName)),
      format: this.#text(this.#pointer(schema + schemaFormat)),
      array,
      dictionaryFormat:
        dictionary === 0 ? undefined : this.#text(this.#pointer(dictionary + schemaFormat)),
    };
  }

  #lists(name: string): { offsets: Int32Array; child: number } {
    const { array } = this.#typed(name, (format) => format === '+l', '+l');
    return { offsets: this.#offsetsOf(array), child: this.#child(array, 0) };
  }

  /** Offsets of a list's or map's rows, one more than there are rows. */
  #offsetsOf(array: number): Int32Array {
    const at = this.#data(array) + 4 * this.#offset(array);
    return new Int32Array(this.#view.buffer, at, this.rows + 1);
  }

  #child(array: number, index: number): number {
    return this.#pointer(this.#pointer(array + arrayChildren) + 4 * index);
  }

  /** One value of a Utf8 array. */
  #string(array: number, index: number): string {
    const buffers = this.#pointer(array + arrayBuffers);
    const at = this.#pointer(buffers + 4) + 4 * (this.#offset(array) + index);
    const data = this.#pointer(buffers + 8);
    const from = data + this.#view.getInt32(at, true);
    return utf8.decode(this.#bytes.subarray(from, data + this.#view.getInt32(at + 4, true)));
  }

  #typed(
    name: string,
    fits: (format: string) => boolean,
    wanted: string,
    nulls: 'nulls' | 'no nulls' = 'no nulls',
  ): ArrowColumn {
    const column = this.#columns.get(name);
    if (column === undefined) {
      throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot read column ${name}: it is not there`);
    }
    if (!fits(column.format)) throw wrongType(column, wanted);
    if (nulls === 'no nulls' && this.#long(column.array + arrayNullCount) > 0) {
      throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot read column ${name}: it has nulls`);
    }
    return column;
  }

  #ints(column: ArrowColumn): Int32Array {
    const at = this.#data(column.array) + 4 * this.#offset(column.array);
    return new Int32Array(this.#view.buffer, at, this.rows);
  }

  /** Values of a Utf8 array: 32-bit offsets in buffer 1, bytes in buffer 2. */
  #strings(array: number): string[] {
    const buffers = this.#pointer(array + arrayBuffers);
    const offsets = this.#pointer(buffers + 4) + 4 * this.#offset(array);
    const data = this.#pointer(buffers + 8);
    return Array.from({ length: this.#long(array + arrayLength) }, (_, index) => {
      const from = data + this.#view.getInt32(offsets + 4 * index, true);
      const to = data + this.#view.getInt32(offsets + 4 * index + 4, true);
      return utf8.decode(this.#bytes.subarray(from, to));
    });
  }

  /** Address of buffer 1, the values of a fixed-width array; buffer 0 is the validity. */
  #data(array: number): number {
    return this.#pointer(this.#pointer(array + arrayBuffers) + 4);
  }

  #offset(array: number): number {
    return this.#long(array + arrayOffset);
  }

  #pointer(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #long(at: number): number {
    return Number(this.#view.getBigInt64(at, true));
  }

  #text(at: number): string {
    return utf8.decode(this.#bytes.subarray(at, this.#bytes.indexOf(0, at)));
  }
}

function isInt64(format: string): boolean {
  return format === 'l' || format.startsWith('tsm:') || format.startsWith('tsn:');
}

function wrongType(column: ArrowColumn, wanted: string): TidemarkError {
  return new TidemarkError(
    'CORRUPT_ARCHIVE',
    `Cannot read column ${column.name}: its Arrow type is ${column.format}, wanted ${wanted}`,
  );
}
