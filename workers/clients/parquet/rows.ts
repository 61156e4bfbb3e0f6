/**
 * Typed views of the columns of one row group of an archive file. It copies nothing; a column that is
 * missing or of another type is a fault of the file.
 */
import { Type } from 'apache-arrow';
import type { Data, RecordBatch } from 'apache-arrow';
import { TidemarkError } from '../../../schemas/errors.ts';

/** Strings or byte strings: value i is `bytes` [start(i), end(i)). */
export class Texts {
  readonly bytes: Uint8Array;
  readonly #offsets: Int32Array;
  readonly #valid: Uint8Array | undefined;

  constructor(data: Data) {
    this.bytes = data.values as Uint8Array;
    this.#offsets = data.valueOffsets as Int32Array;
    this.#valid = validityOf(data);
  }

  isNull(index: number): boolean {
    return isNull(this.#valid, index);
  }

  start(index: number): number {
    return this.#offsets[index] ?? 0;
  }

  end(index: number): number {
    return this.#offsets[index + 1] ?? 0;
  }

  /** Whether two values are the same bytes, or both null. */
  equal(left: number, right: number): boolean {
    if (this.isNull(left) || this.isNull(right)) return this.isNull(left) && this.isNull(right);
    const from = this.start(left);
    return equalBytes(this.bytes, from, this.start(right), this.end(left) - from, this.end(right));
  }

  /** Value i as text. */
  text(index: number): string {
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength).toString(
      'utf8',
      this.start(index),
      this.end(index),
    );
  }
}

/** A dictionary column: codes of rows, and the strings that they stand for. */
export class Names {
  readonly codes: Int32Array;
  readonly values: Texts;
  readonly count: number;
  readonly #texts: (string | undefined)[] = [];

  constructor(data: Data, values: Data) {
    this.codes = data.values as Int32Array;
    this.values = new Texts(values);
    this.count = values.length;
  }

  code(row: number): number {
    return this.codes[row] ?? 0;
  }

  text(row: number): string {
    const code = this.code(row);
    return (this.#texts[code] ??= this.values.text(code));
  }
}

type NumberArray = Int32Array | Uint32Array | BigInt64Array;

/** Numbers, or times. */
export class Numbers<T extends NumberArray> {
  readonly values: T;
  readonly #valid: Uint8Array | undefined;

  constructor(values: T, valid: Uint8Array | undefined) {
    this.values = values;
    this.#valid = valid;
  }

  isNull(index: number): boolean {
    return isNull(this.#valid, index);
  }
}

/** Ids of `width` bytes. */
export class Ids {
  readonly width: number;
  readonly bytes: Uint8Array;
  readonly #valid: Uint8Array | undefined;

  constructor(data: Data, width: number) {
    this.width = width;
    this.bytes = data.values as Uint8Array;
    this.#valid = validityOf(data);
  }

  isNull(index: number): boolean {
    return isNull(this.#valid, index);
  }
}

/** Lists: those of row i are elements [start(i), end(i)) of the children. */
export class Lists {
  readonly offsets: Int32Array;

  constructor(data: Data) {
    this.offsets = data.valueOffsets as Int32Array;
  }

  start(index: number): number {
    return this.offsets[index] ?? 0;
  }

  end(index: number): number {
    return this.offsets[index + 1] ?? 0;
  }
}

/** Attributes: those of owner i are entries [start(i), end(i)), each with a kind. */
export class Attributes extends Lists {
  readonly keys: Texts;
  readonly values: Texts;
  /** Kinds have offsets of their own, equal to those of the entries. */
  readonly kinds: Uint8Array;

  constructor(map: Data, kinds: Data) {
    super(map);
    const entries = childOf(map);
    this.keys = new Texts(childOf(entries, 0));
    this.values = new Texts(childOf(entries, 1));
    this.kinds = childOf(kinds).values as Uint8Array;
  }

  /** Whether two owners have the same attributes in the same order. */
  equal(left: number, right: number): boolean {
    const [from, other] = [this.start(left), this.start(right)];
    const count = this.end(left) - from;
    if (count !== this.end(right) - other) return false;
    for (let index = 0; index < count; index += 1) {
      if (this.kinds[from + index] !== this.kinds[other + index]) return false;
      if (!this.keys.equal(from + index, other + index)) return false;
      if (!this.values.equal(from + index, other + index)) return false;
    }
    return true;
  }
}

export class RowColumns {
  readonly rows: number;
  readonly #key: string;
  readonly #columns = new Map<string, Data>();

  /** `key` names the file in errors. */
  constructor(key: string, batch: RecordBatch) {
    this.#key = key;
    this.rows = batch.numRows;
    for (const [index, field] of batch.schema.fields.entries()) {
      const data = batch.data.children[index];
      if (data) this.#columns.set(field.name, data);
    }
  }

  texts(name: string): Texts {
    return new Texts(this.#typed(name, [Type.Utf8, Type.Binary]));
  }

  names(name: string): Names {
    const data = this.#typed(name, [Type.Dictionary]);
    const [values, more] = data.dictionary?.data ?? [];
    if (values && !more) return new Names(data, values);
    throw this.#fault(name, 'its dictionary is not of one piece');
  }

  ids(name: string, width: number): Ids {
    return new Ids(this.#width(name, this.#typed(name, [Type.FixedSizeBinary]), width), width);
  }

  /** Doubles as their 64 bits, because a NaN that passes through a number may lose some. */
  doubleBits(name: string): Numbers<BigInt64Array> {
    const data = this.#typed(name, [Type.Float]);
    return new Numbers(bitsOf(data.values as Float64Array), validityOf(data));
  }

  int32(name: string): Numbers<Int32Array> {
    const data = this.#array(name, this.#typed(name, [Type.Int]), Int32Array);
    return new Numbers(data.values as Int32Array, validityOf(data));
  }

  uint32(name: string): Numbers<Uint32Array> {
    const data = this.#array(name, this.#typed(name, [Type.Int]), Uint32Array);
    return new Numbers(data.values as Uint32Array, validityOf(data));
  }

  /** Whole numbers of 64 bits and times; unsigned ones are taken for their bits. */
  longs(name: string): Numbers<BigInt64Array> {
    return this.#longs(name, this.#typed(name, [Type.Int, Type.Timestamp]));
  }

  /** One bit a row, the lowest first. */
  bits(name: string): Uint8Array {
    return this.#typed(name, [Type.Bool]).values as Uint8Array;
  }

  attributes(name: string, kinds: string): Attributes {
    return new Attributes(this.#typed(name, [Type.Map]), this.#typed(kinds, [Type.List]));
  }

  lists(name: string): Lists {
    return new Lists(this.#typed(name, [Type.List]));
  }

  /** Items of a list of longs or times, all rows in one; `lists` says which are a row's. */
  longItems(name: string): Numbers<BigInt64Array> {
    return this.#longs(name, this.#items(name));
  }

  doubleBitItems(name: string): BigInt64Array {
    return bitsOf(this.#array(name, this.#items(name), Float64Array).values as Float64Array);
  }

  uint32Items(name: string): Uint32Array {
    return this.#array(name, this.#items(name), Uint32Array).values as Uint32Array;
  }

  byteItems(name: string): Uint8Array {
    return this.#array(name, this.#items(name), Uint8Array).values as Uint8Array;
  }

  idItems(name: string, width: number): Ids {
    return new Ids(this.#width(name, this.#items(name), width), width);
  }

  textItems(name: string): Texts {
    return new Texts(this.#items(name));
  }

  /** Attributes of a list's items. */
  attributeItems(name: string, kinds: string): Attributes {
    return new Attributes(this.#items(name), this.#items(kinds));
  }

  #items(name: string): Data {
    return childOf(this.#typed(name, [Type.List]));
  }

  #longs(name: string, data: Data): Numbers<BigInt64Array> {
    const values: unknown = data.values;
    if (values instanceof BigInt64Array) return new Numbers(values, validityOf(data));
    if (!(values instanceof BigUint64Array)) throw this.#fault(name, 'it has no longs');
    const signed = new BigInt64Array(values.buffer, values.byteOffset, values.length);
    return new Numbers(signed, validityOf(data));
  }

  #array(name: string, data: Data, type: new (length: number) => object): Data {
    if (data.values instanceof type) return data;
    throw this.#fault(name, `it has no ${type.name}`);
  }

  #width(name: string, data: Data, width: number): Data {
    const bytes = data.values as Uint8Array;
    if (bytes.length === data.length * width) return data;
    throw this.#fault(name, `its values have not ${width} bytes`);
  }

  #typed(name: string, types: readonly Type[]): Data {
    const data = this.#columns.get(name);
    if (!data) throw this.#fault(name, 'it is not there');
    if (types.includes(data.typeId) && data.offset === 0) return data;
    throw this.#fault(name, `its Arrow type has number ${data.typeId}`);
  }

  #fault(name: string, reason: string): TidemarkError {
    const text = `Cannot read column ${name} of "${this.#key}": ${reason}`;
    return new TidemarkError('CORRUPT_ARCHIVE', text);
  }
}

/** Whether `count` bytes from `left` on are those from `right` to `rightEnd`. */
function equalBytes(
  bytes: Uint8Array,
  left: number,
  right: number,
  count: number,
  rightEnd: number,
): boolean {
  if (rightEnd - right !== count) return false;
  for (let index = 0; index < count; index += 1) {
    if (bytes[left + index] !== bytes[right + index]) return false;
  }
  return true;
}

function bitsOf(doubles: Float64Array): BigInt64Array {
  return new BigInt64Array(doubles.buffer, doubles.byteOffset, doubles.length);
}

function validityOf(data: Data): Uint8Array | undefined {
  return data.nullCount > 0 ? data.nullBitmap : undefined;
}

function isNull(valid: Uint8Array | undefined, index: number): boolean {
  return valid !== undefined && ((valid[index >> 3] ?? 0) & (1 << (index & 7))) === 0;
}

function childOf(data: Data, index = 0): Data {
  const child = data.children[index];
  if (child) return child;
  throw new TidemarkError('CORRUPT_ARCHIVE', `Cannot read a list: it has no child ${index}`);
}
