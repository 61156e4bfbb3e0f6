/**
 * How every kind of partial begins: four letters that name it, u32 version, u32 header bytes, u32
 * entries, u64 body bytes, u32 CRC-32 of all the rest of the header, u32 zero; then the header's own
 * part, then the body. Little-endian.
 */
import { crc32 } from 'node:zlib';
import { TidemarkError } from '../errors.ts';
import { VarintReader } from './varint.ts';

/** Bytes at the start that say how long the header is. */
export const preambleBytes = 32;

const crcAt = 24;

export interface Opened {
  /** At the header's own part. */
  readonly reader: VarintReader;
  readonly headerBytes: number;
  readonly entries: number;
  readonly bodyBytes: number;
}

export class Preamble {
  readonly #letters: string;
  readonly #magic: number;
  readonly #version: number;

  /** `letters` are four ASCII ones. */
  constructor(letters: string, version: number) {
    this.#letters = letters;
    this.#magic = Buffer.from(letters, 'latin1').readUInt32LE();
    this.#version = version;
  }

  /** Fills the blank at the start of `bytes`, whose header is otherwise complete. */
  write(bytes: Uint8Array, headerBytes: number, entries: number, bodyBytes: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    view.setUint32(0, this.#magic, true);
    view.setUint32(4, this.#version, true);
    view.setUint32(8, headerBytes, true);
    view.setUint32(12, entries, true);
    view.setBigUint64(16, BigInt(bodyBytes), true);
    view.setUint32(crcAt, headerCrc(bytes.subarray(0, headerBytes)), true);
  }

  /**
   * Bytes of the header, from the first `preambleBytes` of a partial. Throws `TidemarkError`
   * CORRUPT_ARCHIVE when they are no such partial's, or one of a version that this code does not know.
   */
  headerBytes(preamble: Uint8Array): number {
    const view = new DataView(preamble.buffer, preamble.byteOffset, preamble.byteLength);
    if (preamble.length < preambleBytes) throw corruptPartial('it is too short');
    if (view.getUint32(0, true) !== this.#magic) {
      throw corruptPartial(`it does not begin with ${this.#letters}`);
    }
    const found = view.getUint32(4, true);
    if (found !== this.#version) {
      throw corruptPartial(`it has version ${found}, wanted ${this.#version}`);
    }
    const headerBytes = view.getUint32(8, true);
    if (headerBytes < preambleBytes) throw corruptPartial('its header has no length');
    return headerBytes;
  }

  /** Bytes of a whole partial, from its first `preambleBytes`. Throws as `headerBytes` does. */
  byteLength(preamble: Uint8Array): number {
    const headerBytes = this.headerBytes(preamble);
    const view = new DataView(preamble.buffer, preamble.byteOffset, preamble.byteLength);
    return headerBytes + Number(view.getBigUint64(16, true));
  }

  /**
   * What the first `preambleBytes` say of the rest, before anything has been checked. `crc` is that of the
   * header, and `crcSoFar` covers the preamble: the bytes behind it are to be added. Throws as `headerBytes` does.
   */
  begin(preamble: Uint8Array) {
    const headerBytes = this.headerBytes(preamble);
    const first = preamble.subarray(0, preambleBytes);
    const view = new DataView(first.buffer, first.byteOffset, first.byteLength);
    const entries = view.getUint32(12, true);
    const bodyBytes = Number(view.getBigUint64(16, true));
    return {
      headerBytes,
      entries,
      bodyBytes,
      crc: view.getUint32(crcAt, true),
      crcSoFar: headerCrc(first),
    };
  }

  /**
   * Checks a whole header, at the start of `bytes`. Throws CORRUPT_ARCHIVE for what `write` has not
   * written, or when the header has less than `entryBytesMin` for each entry.
   */
  open(bytes: Uint8Array, entryBytesMin: number): Opened {
    const headerBytes = this.headerBytes(bytes);
    if (bytes.length < headerBytes) throw corruptPartial('it ends inside its header');
    const header = bytes.subarray(0, headerBytes);
    const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
    if (view.getUint32(crcAt, true) !== headerCrc(header)) {
      throw corruptPartial('its checksum is wrong');
    }
    const entries = view.getUint32(12, true);
    if (entries * entryBytesMin > headerBytes) throw corruptPartial('its groups pass its end');
    const reader = new VarintReader(header, preambleBytes);
    return { reader, headerBytes, entries, bodyBytes: Number(view.getBigUint64(16, true)) };
  }
}

/** CRC-32 of the header without the CRC itself. */
function headerCrc(header: Uint8Array): number {
  return crc32(header.subarray(crcAt + 4), crc32(header.subarray(0, crcAt)));
}

/** The fault of a partial that is not as it should be. */
export function corruptPartial(what: string): TidemarkError {
  return new TidemarkError('CORRUPT_ARCHIVE', `Cannot read a partial: ${what}`);
}
