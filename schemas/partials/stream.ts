/**
 * Reads the header of a partial from its start on, in pieces of any length, holding no more than a piece and a
 * group: headers with an operation for each span are larger than memory. What `decodePartialHeader` refuses
 * is refused here too, the checksum last. Reads no object.
 */
import { crc32 } from 'node:zlib';
import { TidemarkError } from '../errors.ts';
import { GroupCursor, groupBytesMin, spanPreamble, type PartialHeaderGroup } from './spans.ts';
import { corruptPartial, preambleBytes } from './preamble.ts';
import { VarintReader } from './varint.ts';

export class GroupStream {
  readonly headerBytes: number;
  readonly #crc: number;
  readonly #sizes: { readonly headerBytes: number; readonly bodyBytes: number };
  #crcSoFar: number;
  /** What was given last, with what was left of the bytes before. */
  #window: Uint8Array = new Uint8Array(0);
  #reader = new VarintReader(new Uint8Array(0), 0);
  #given = preambleBytes;
  #cursor: GroupCursor | undefined;
  #left: number;
  #isDone = false;

  /** From the first bytes of the partial, the whole preamble at least. Throws CORRUPT_ARCHIVE. */
  constructor(first: Uint8Array) {
    const { headerBytes, bodyBytes, entries, crc, crcSoFar } = spanPreamble.begin(first);
    this.headerBytes = headerBytes;
    this.#sizes = { headerBytes, bodyBytes };
    this.#crc = crc;
    this.#crcSoFar = crcSoFar;
    this.#left = entries;
    if (entries * groupBytesMin > headerBytes) throw corruptPartial('its groups pass its end');
    this.push(first.subarray(preambleBytes, headerBytes));
  }

  /** Bytes of the header that were given. */
  get given(): number {
    return this.#given;
  }

  /** Whether `next` has returned all groups, and all of the header was as it should be. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Gives the header's next bytes, which must not change later. */
  push(bytes: Uint8Array): void {
    this.#given += bytes.length;
    this.#crcSoFar = crc32(bytes, this.#crcSoFar);
    const rest = this.#window.subarray(this.#window.length - this.#reader.rest);
    this.#window = rest.length === 0 ? bytes : joined(rest, bytes);
    this.#reader = new VarintReader(this.#window, 0);
  }

  /** The next group; `undefined` while more bytes are needed, and when all is done. Throws CORRUPT_ARCHIVE. */
  next(): PartialHeaderGroup | undefined {
    if (this.#isDone) return undefined;
    const isWhole = this.#given >= this.headerBytes;
    if (this.#left === 0 && this.#cursor && isWhole) return this.#end(this.#cursor);
    const at = this.#window.length - this.#reader.rest;
    try {
      return this.#read();
    } catch (error) {
      // Whatever is wrong with a part may be right with more of it.
      if (isWhole || !(error instanceof TidemarkError)) throw error;
      this.#reader = new VarintReader(this.#window, at);
      return undefined;
    }
  }

  #read(): PartialHeaderGroup | undefined {
    if (this.#cursor === undefined) {
      this.#cursor = new GroupCursor(this.#reader, this.#sizes);
      return this.next();
    }
    if (this.#left === 0) return undefined;
    const group = this.#cursor.read(this.#reader);
    this.#left -= 1;
    return group;
  }

  #end(cursor: GroupCursor): undefined {
    cursor.end(this.#reader);
    if (this.#crcSoFar !== this.#crc) throw corruptPartial('its checksum is wrong');
    this.#isDone = true;
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
