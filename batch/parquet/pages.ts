/**
 * The pages of a Parquet column chunk (parquet.thrift, PageHeader), inflated one at a time to where they are wanted. It
 * decodes no value, and says so where a chunk is stored in a way that it does not know.
 */
import type { Body } from '../../aggregator-as/spanmemory.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { parquetPageBytesMax } from '../../schemas/limits/batch.ts';
import type { ChunkPlace } from './footer.ts';
import { ThriftReader } from './thrift.ts';
import { inflateZstd } from './zstd.ts';

/** Numbers of parquet.thrift's CompressionCodec, Encoding and PageType. */
const [uncompressed, zstd] = [0, 6];
const [plain, plainDictionary, rleDictionary] = [0, 2, 8];
const [dataPage, dictionaryPage] = [0, 2];

export interface DataPage {
  /** Values before it in the chunk. */
  readonly first: number;
  readonly values: number;
  /** Whether its values are codes, to a dictionary, or are there as they are. */
  readonly isCoded: boolean;
  /** The body, inflated as it is written. Throws CORRUPT_ARCHIVE then. */
  readonly body: Body;
}

export interface DictionaryPage {
  readonly values: number;
  readonly body: Body;
}

export interface Pages {
  readonly dictionary: DictionaryPage | undefined;
  readonly pages: readonly DataPage[];
}

/** Thrown for a chunk that is stored in a way that is not known here, though it may be a good one. */
export class UnknownLayout extends Error {}

interface Header {
  type: number;
  rawBytes: number;
  bytes: number;
  values: number;
  encoding: number;
}

/** The pages of a chunk, whose bytes are given. Throws `UnknownLayout` and CORRUPT_ARCHIVE. */
export function pagesOf(bytes: Uint8Array, { codec, values, leaf }: ChunkPlace): Pages {
  if (codec !== uncompressed && codec !== zstd) throw new UnknownLayout(`codec ${codec}`);
  const reader = new ThriftReader(bytes);
  const pages: DataPage[] = [];
  let dictionary: DictionaryPage | undefined;
  let first = 0;
  while (first < values) {
    const header = readHeader(reader);
    const start = reader.at;
    reader.at += header.bytes;
    if (header.bytes < 0 || reader.at > bytes.length) throw corrupt(leaf.name, 'a page is cut off');
    const stored = bytes.subarray(start, reader.at);
    const body = bodyOf(stored, codec, header.rawBytes, leaf.name);
    if (header.type === dictionaryPage) {
      dictionary = { values: header.values, body };
      continue;
    }
    if (header.type !== dataPage) throw new UnknownLayout(`page type ${header.type}`);
    if (header.values <= 0) throw corrupt(leaf.name, 'a page has no values');
    pages.push({ first, values: header.values, isCoded: isCoded(header.encoding), body });
    first += header.values;
  }
  if (first !== values) throw corrupt(leaf.name, 'its pages have too many values');
  return { dictionary, pages };
}

function isCoded(encoding: number): boolean {
  if (encoding === plain) return false;
  if (encoding === rleDictionary || encoding === plainDictionary) return true;
  throw new UnknownLayout(`encoding ${encoding}`);
}

function readHeader(reader: ThriftReader): Header {
  const header: Header = { type: -1, rawBytes: 0, bytes: 0, values: 0, encoding: -1 };
  reader.struct((id) => {
    if (id === 1) header.type = reader.int();
    else if (id === 2) header.rawBytes = reader.int();
    else if (id === 3) header.bytes = reader.int();
    else if (id === 5 || id === 7) {
      reader.struct((field) => {
        if (field === 1) header.values = reader.int();
        else if (field === 2) header.encoding = reader.int();
        else return false;
        return undefined;
      });
    } else return false;
    return undefined;
  });
  return header;
}

function bodyOf(stored: Uint8Array, codec: number, rawBytes: number, name: string): Body {
  if (codec === uncompressed) return { length: stored.length, write: (to) => to.set(stored) };
  if (rawBytes > parquetPageBytesMax) throw new UnknownLayout(`a page of ${rawBytes} bytes`);
  return { length: rawBytes, write: (to) => inflate(stored, to, name) };
}

function inflate(stored: Uint8Array, to: Uint8Array, name: string): void {
  let isWhole: boolean;
  try {
    isWhole = inflateZstd(stored, to);
  } catch (cause) {
    throw corrupt(name, 'a page cannot be inflated', cause);
  }
  if (!isWhole) throw corrupt(name, 'a page has another length than it says');
}

function corrupt(name: string, reason: string, cause?: unknown): TidemarkError {
  return new TidemarkError('CORRUPT_ARCHIVE', `Cannot read column ${name}: ${reason}`, { cause });
}
