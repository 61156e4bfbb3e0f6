/**
 * The Native format as clients that name their protocol's version read it (`client_protocol_version`):
 * each block begins with its info, and each column says that its serialization is the usual one. The
 * engine in this process writes the form without these, so columns are measured to find their ends.
 * Nothing is decoded.
 */
import { fault } from './fault.ts';

/** `DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION` in ClickHouse. */
const revisionOfCustom = 54_454;

/** Field 1, no overflows; field 2, bucket −1; the end. As in ClickHouse's `BlockInfo`. */
const blockInfo = Buffer.from([1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0]);

/** Types whose values have one size in bytes. */
const typesBySize: Readonly<Record<number, string>> = {
  1: 'Bool Int8 UInt8 Enum8 Nothing',
  2: 'Int16 UInt16 Date Enum16 BFloat16',
  4: 'Int32 UInt32 Float32 DateTime Date32 Decimal32 IPv4 Time',
  8: 'Int64 UInt64 Float64 DateTime64 Decimal64 Time64',
  16: 'Int128 UInt128 UUID IPv6 Decimal128',
  32: 'Int256 UInt256 Decimal256',
};
const sizes = new Map(
  Object.entries(typesBySize).flatMap(([size, names]) =>
    names.split(' ').map((name) => [name, Number(size)] as const),
  ),
);

/**
 * Blocks of Native for a client of `revision`. Throws `ClickHouseError` 48 for a type that it cannot
 * measure.
 */
export function nativeOf(blocks: Uint8Array, revision: number): Uint8Array {
  if (revision <= 0) return blocks;
  const reader = new Reader(Buffer.from(blocks.buffer, blocks.byteOffset, blocks.length));
  const parts: Uint8Array[] = [];
  while (!reader.isAtEnd) {
    parts.push(blockInfo);
    let start = reader.at;
    const columns = reader.count();
    const rows = reader.count();
    for (let column = 0; column < columns; column += 1) {
      reader.text();
      const type = readType(reader.text());
      parts.push(blocks.subarray(start, reader.at));
      if (revision >= revisionOfCustom) parts.push(Uint8Array.of(0));
      start = reader.at;
      if (rows === 0) continue;
      reader.skip(prefixBytes(type));
      skipValues(reader, type, rows);
    }
    parts.push(blocks.subarray(start, reader.at));
  }
  return Buffer.concat(parts);
}

class Reader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  skip(bytes: number): void {
    this.at += bytes;
  }

  /** A variable-length number: seven bits a byte, the least ones first. */
  count(): number {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = this.#bytes[this.at] ?? 0;
      this.at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  text(): string {
    const length = this.count();
    this.at += length;
    return this.#bytes.toString('utf8', this.at - length, this.at);
  }

  word(): number {
    this.at += 8;
    return Number(this.#bytes.readBigUInt64LE(this.at - 8));
  }
}

interface Type {
  readonly name: string;
  readonly text: string;
  /** What stands between its parentheses. */
  readonly inner: readonly string[];
}

function readType(text: string): Type {
  const [, name = text, inner] = /^(\w+)\((.*)\)$/s.exec(text) ?? [];
  return { name, text, inner: inner === undefined ? [] : partsOf(inner) };
}

/** Parts between commas that stand in no parentheses and in no quotes. */
function partsOf(text: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const [piece] of text.matchAll(/'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|[^]/g)) {
    if (piece === '(') depth += 1;
    if (piece === ')') depth -= 1;
    if (piece === ',' && depth === 0) parts.push('');
    else parts.push(`${parts.pop() ?? ''}${piece}`);
  }
  return parts.map((part) => part.trim());
}

/** The types that values of a type are made of; an element of a tuple may have a name before. */
function innerTypes({ name, inner }: Type): Type[] {
  if (name === 'SimpleAggregateFunction') return inner.slice(1).map(readType);
  if (name !== 'Tuple') return inner.map(readType);
  return inner.map((part) => readType(part.replace(/^(?:\w+|`(?:\\.|[^`\\])*`) (?=[A-Z])/, '')));
}

const wrappers = ['Nullable', 'Array', 'Map', 'Tuple', 'SimpleAggregateFunction'];

/** Bytes before all values of a column: each LowCardinality in it has a version there. */
function prefixBytes(type: Type): number {
  if (type.name === 'LowCardinality') return 8;
  if (!wrappers.includes(type.name)) return 0;
  return innerTypes(type).reduce((sum, each) => sum + prefixBytes(each), 0);
}

function skipValues(reader: Reader, type: Type, rows: number): void {
  const { name, inner } = type;
  if (name === 'String') for (let row = 0; row < rows; row += 1) reader.skip(reader.count());
  else if (name === 'LowCardinality') skipCodes(reader, type, rows);
  else if (name === 'FixedString') reader.skip(Number(inner[0]) * rows);
  else if (name === 'Decimal') reader.skip(decimalBytes(Number(inner[0])) * rows);
  else if (wrappers.includes(name)) skipWrapped(reader, type, rows);
  else if (name.startsWith('Interval')) reader.skip(8 * rows);
  else reader.skip(sizeOf(type) * rows);
}

function sizeOf({ name, text }: Type): number {
  const size = sizes.get(name);
  if (size !== undefined) return size;
  const what = `The embedded ClickHouse cannot send ${text} to this client: ask for another format`;
  throw fault(48, 'NOT_IMPLEMENTED', what);
}

function skipWrapped(reader: Reader, type: Type, rows: number): void {
  if (type.name === 'Nullable') reader.skip(rows);
  let count = rows;
  if (type.name === 'Array' || type.name === 'Map') {
    // Where each row ends; the last end is their number.
    reader.skip(8 * (rows - 1));
    count = reader.word();
  }
  if (count > 0) for (const each of innerTypes(type)) skipValues(reader, each, count);
}

/** A column of codes: its kind, its dictionary, and a code for each row. */
function skipCodes(reader: Reader, type: Type, rows: number): void {
  const codeBytes = 2 ** (reader.word() & 0xff);
  const keys = reader.word();
  for (const each of innerTypes(type)) {
    const [plain = each] = each.name === 'Nullable' ? innerTypes(each) : [];
    skipValues(reader, plain, keys);
  }
  reader.skip(8 + codeBytes * rows);
}

function decimalBytes(digits: number): number {
  return [9, 18, 38].reduce((bytes, bound) => (digits > bound ? 2 * bytes : bytes), 4);
}
