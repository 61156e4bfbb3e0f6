/**
 * Bytes of one Parquet column chunk: page headers (parquet.thrift, PageHeader) and bodies, compressed
 * where that pays. Knows nothing of the file around it.
 */
import { constants, zstdCompressSync } from 'node:zlib';
import { archiveZstdLevel } from '../../schemas/limits/archive.ts';
import type { Chunk } from '../../aggregator-as/host.ts';
import { encodeStruct } from './compact.ts';
import type { Struct } from './compact.ts';
import type { Output } from './output.ts';

/** Numbers of parquet.thrift's CompressionCodec and Encoding. */
const [uncompressed, zstd] = [0, 6];
const [plain, rle, rleDictionary] = [0, 3, 8];

/** A page of the chunk: where it begins in it, its bytes with the header, and its first row. */
export interface PageLocation {
  readonly at: number;
  readonly bytes: number;
  readonly firstRow: number;
}

/** What was added of a chunk. */
export interface ChunkBytes {
  readonly codec: number;
  readonly encodings: readonly number[];
  readonly hasDictionary: boolean;
  readonly pages: readonly PageLocation[];
  readonly levelCount: number;
  readonly bytes: number;
  readonly rawBytes: number;
}

/**
 * Smaller pages than this are not worth a compressor's start, neither here nor where they are read; nor is a page that
 * shrinks by less than an eighth.
 */
const tinyBytes = 256;
const worthyShare = 0.875;
/** Larger dictionaries are compressed whatever the pages gain. */
const waitingBytesMax = 4096;

/** Adds the bytes of a chunk of `rows` rows to `output`. Reads all of its pages. */
export function addChunk({ dictionary, pages }: Chunk, rows: number, output: Output): ChunkBytes {
  const chunk = new ChunkBuilder(dictionary, output);
  for (const { body, rows: count, levelCount } of pages) {
    chunk.addPage(body, { rows: count, levelCount, isOnly: count === rows });
  }
  return chunk.finish();
}

class ChunkBuilder {
  readonly #output: Output;
  readonly #pages: PageLocation[] = [];
  readonly #encoding: number;
  /** Until the first page tells whether compressing pays. */
  #waiting: { readonly body: Uint8Array; readonly count: number } | undefined;
  #codec: number | undefined;
  #rows = 0;
  #levelCount = 0;
  #bytes = 0;
  #rawBytes = 0;

  constructor(dictionary: Chunk['dictionary'], output: Output) {
    this.#output = output;
    this.#encoding = dictionary ? rleDictionary : plain;
    if (!dictionary) return;
    const { body, count } = dictionary;
    // A small one must outlast the pages' making; a large one pays on its own.
    if (body.length < waitingBytesMax) this.#waiting = { body: body.slice(), count };
    else this.#addDictionary(body, count, zstd);
  }

  addPage(body: Uint8Array, page: { rows: number; levelCount: number; isOnly: boolean }): void {
    const compressed =
      this.#codec === uncompressed ? undefined : this.#compressed(body, page.isOnly);
    this.#codec ??= compressed ? zstd : uncompressed;
    if (this.#waiting) this.#addDictionary(this.#waiting.body, this.#waiting.count, this.#codec);
    this.#waiting = undefined;
    const stored = this.#codec === zstd ? (compressed ?? compress(body)) : body;
    const header = {
      1: { i32: 0 },
      2: { i32: body.length },
      3: { i32: stored.length },
      5: {
        struct: {
          1: { i32: page.levelCount },
          2: { i32: this.#encoding },
          3: { i32: rle },
          4: { i32: rle },
        },
      },
    };
    const at = this.#bytes;
    this.#add(header, stored, body.length);
    this.#pages.push({ at, bytes: this.#bytes - at, firstRow: this.#rows });
    this.#rows += page.rows;
    this.#levelCount += page.levelCount;
  }

  finish(): ChunkBytes {
    return {
      codec: this.#codec ?? uncompressed,
      encodings: this.#encoding === plain ? [plain, rle] : [plain, rle, rleDictionary],
      hasDictionary: this.#encoding === rleDictionary,
      pages: this.#pages,
      levelCount: this.#levelCount,
      bytes: this.#bytes,
      rawBytes: this.#rawBytes,
    };
  }

  /** The page compressed, or `undefined` when the chunk is better left as it is. */
  #compressed(body: Uint8Array, isOnly: boolean): Uint8Array | undefined {
    if (this.#codec === zstd) return compress(body);
    if (isOnly && body.length < tinyBytes) return undefined;
    const compressed = compress(body);
    return compressed.length < worthyShare * body.length ? compressed : undefined;
  }

  #addDictionary(body: Uint8Array, count: number, codec: number): void {
    this.#codec = codec;
    const stored = codec === zstd ? compress(body) : body;
    const header = {
      1: { i32: 2 },
      2: { i32: body.length },
      3: { i32: stored.length },
      7: { struct: { 1: { i32: count }, 2: { i32: plain } } },
    };
    this.#add(header, stored, body.length);
  }

  #add(header: Struct, stored: Uint8Array, rawBytes: number): void {
    const head = encodeStruct(header);
    this.#output.add(head);
    this.#output.add(stored);
    this.#bytes += head.length + stored.length;
    this.#rawBytes += head.length + rawBytes;
    release(stored);
  }
}

function compress(body: Uint8Array): Uint8Array {
  return zstdCompressSync(body, {
    params: { [constants.ZSTD_c_compressionLevel]: archiveZstdLevel },
    // One buffer for the longest answer (ZSTD_compressBound): then zstd compresses straight into it, from
    // where the page lies, and copies neither.
    chunkSize: Math.max(1024, body.length + (body.length >>> 8) + 128),
  });
}

/**
 * Gives back what a page was compressed into, so that it is there for the next: a flush's pages would
 * else take as much memory as before compression, all of it new. Of a few bytes the collector does it.
 */
function release({ buffer, byteOffset }: Uint8Array): void {
  // No others can be in it: Node's pool is smaller, and the columns are not at the start of their memory.
  const isOwn = byteOffset === 0 && buffer.byteLength > Buffer.poolSize;
  if (isOwn && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
