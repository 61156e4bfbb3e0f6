/**
 * The memory of a batch kernel of spans, as the parts of its host see it: bytes in, views and names out. It
 * knows no column's meaning.
 */
import assert from 'node:assert/strict';
import { TidemarkError } from '../schemas/errors.ts';
import type { SpanExports, Word } from './spanexports.ts';

const pageBytes = 65_536;
const pagesOfMemoryMax = 65_536;
/** Past a page that is read, vectors may read this much. */
const slackBytes = 64;

/** Which codes of a page go where. */
export interface CodePart {
  readonly skip: number;
  readonly count: number;
  readonly to: number;
  readonly limit: number;
}

/** Bytes that stand nowhere until they are written: a page that is inflated then. */
export interface Body {
  readonly length: number;
  /** Writes them to as many bytes. */
  write(to: Uint8Array): void;
}

export class SpanMemory {
  readonly wasm: SpanExports;
  readonly pagesMax: number;
  readonly #bytesMax: number;

  /** An instance of the module, whose memory is bounded by so many bytes; past 4 GiB none are used. */
  constructor(module: WebAssembly.Module, bytesMax: number) {
    const instance = new WebAssembly.Instance(module, { env: { abort: neverAborts } });
    this.wasm = instance.exports as unknown as SpanExports;
    this.pagesMax = Math.min(pagesOfMemoryMax, Math.floor(bytesMax / pageBytes));
    this.#bytesMax = bytesMax;
    this.#growAtOnce();
  }

  /**
   * Has all of the memory from the beginning; what is not touched takes none of the machine's. Each growth would count
   * as new memory of the thread's, and make the collector run.
   */
  #growAtOnce(): void {
    const { memory } = this.wasm;
    try {
      memory.grow(Math.max(0, this.pagesMax - memory.buffer.byteLength / pageBytes));
    } catch {
      // The kernel grows it by steps.
    }
  }

  view(at: number, bytes: number): Uint8Array {
    return new Uint8Array(this.wasm.memory.buffer, at, bytes);
  }

  words(at: number, count: number): Uint32Array {
    return new Uint32Array(this.wasm.memory.buffer, at, count);
  }

  data(at: number): DataView {
    return new DataView(this.wasm.memory.buffer, at);
  }

  /** Puts bytes into the memory, where they stay until the next call. Throws CAPACITY. */
  page(bytes: Uint8Array | Body): number {
    const at = this.enough(this.wasm.roomForPage(bytes.length + slackBytes));
    this.put(at, bytes);
    return at;
  }

  put(at: number, bytes: Uint8Array | Body): void {
    const room = this.view(at, bytes.length);
    if (bytes instanceof Uint8Array) room.set(bytes);
    else bytes.write(room);
  }

  /** Puts a part of a page, of so many bytes from `skip` on. Throws CAPACITY. */
  putPart(at: number, body: Body, skip: number, bytes: number): void {
    if (bytes === body.length) {
      this.put(at, body);
      return;
    }
    const from = this.page(body) + skip;
    new Uint8Array(this.wasm.memory.buffer).copyWithin(at, from, from + bytes);
  }

  /**
   * Unpacks codes [skip, skip + count) of the hybrid encoding at [at, end), of `width` bits each. They must
   * be below `limit`. Throws CORRUPT_ARCHIVE.
   */
  unpack(at: number, end: number, width: number, { skip, count, to, limit }: CodePart): void {
    if (this.wasm.unpack(at, end, width, skip, count, to, limit) !== 0) return;
    throw corrupt('a page has other codes than it says');
  }

  /**
   * Takes the dictionary of a column of names, of the row group that comes next: Parquet's plain encoding.
   * Throws CAPACITY and CORRUPT_ARCHIVE.
   */
  readNames(column: number, body: Uint8Array | Body, count: number): void {
    const at = this.page(body);
    const result = this.wasm.readNames(column, at, at + body.length, count);
    if (result === 2) throw corrupt('a dictionary has other values than it says');
    if (result !== 0) this.fail();
  }

  nameBytes(column: number, name: number): Uint8Array {
    const { wasm } = this;
    return this.view(wasm.nameAt(column, name) >>> 0, wasm.nameBytes(column, name) >>> 0);
  }

  /** Gives the texts of a column's names by number. Each throws CORRUPT_ARCHIVE for what is no text. */
  namesOf(column: number): (name: number) => string {
    const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const known: string[] = [];
    return (name) => {
      try {
        return (known[name] ??= utf8.decode(this.nameBytes(column, name)));
      } catch (cause) {
        throw corrupt('a name is no UTF-8', cause);
      }
    };
  }

  /** The number of a name, which is made if there was none. Throws CAPACITY. */
  numberOf(column: number, name: string): number {
    this.readNames(column, namesPage([name]), 1);
    return this.wasm.nameOf(column, 0) >>> 0;
  }

  /** An address, or the truth: 0 is neither. Throws CAPACITY. */
  enough(result: number): number {
    if (result === 0) this.fail();
    return result >>> 0;
  }

  fail(): never {
    throw new TidemarkError(
      'CAPACITY',
      `Cannot hold the shard: it passes the limit of ${this.#bytesMax} bytes`,
    );
  }
}

/** Texts in Parquet's plain encoding: each after its length. */
export function namesPage(names: readonly string[]): Uint8Array {
  const parts = names.flatMap((name) => {
    const bytes = Buffer.from(name);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat(parts);
}

export function word(global: Word): number {
  return global.value >>> 0;
}

export function corrupt(reason: string, cause?: unknown): TidemarkError {
  return new TidemarkError('CORRUPT_ARCHIVE', `Cannot use a row group: ${reason}`, { cause });
}

export function outOfOrder(): TidemarkError {
  return corrupt('its rows are not in the order of TraceId');
}

function neverAborts(): void {
  assert.fail('The kernel aborted, which its code never does');
}
