/**
 * LZ4 frames, inflated: the form that Kafka's producers write since message format 1. After the LZ4
 * frame format description 1.6 and the block format description. Checksums are skipped, because Kafka
 * has one over the whole batch. Compresses nothing, and never writes more than it is allowed.
 */
import { KafkaError } from '../../../schemas/errors.ts';

const magic = 0x18_4d_22_04;
const skippableMagic = 0x18_4d_2a_50;
/** Bytes of a block, uncompressed, by the number in the frame's descriptor; 0 to 3 are reserved. */
const blockBytesBy = [0, 0, 0, 0, 1 << 16, 1 << 18, 1 << 20, 1 << 22];
const minMatch = 4;

/** Throws `KafkaError` CORRUPT_MESSAGE for a broken frame and for more than `bytesMax` bytes. */
export function inflateLz4(frames: Buffer, bytesMax: number): Buffer {
  const inflater = new Inflater(frames, bytesMax);
  return inflater.run();
}

/** One block without a frame around it. Throws as `inflateLz4`, also for fewer than `bytes` bytes. */
export function inflateLz4Block(block: Buffer, bytes: number): Buffer {
  const inflater = new Inflater(block, bytes);
  return inflater.runBlock(bytes);
}

interface Descriptor {
  readonly blockBytes: number;
  /** Matches may reach back into the block before. */
  readonly isLinked: boolean;
  readonly hasBlockChecksum: boolean;
  readonly hasContentChecksum: boolean;
}

class Inflater {
  readonly #in: Buffer;
  readonly #bytesMax: number;
  #at = 0;
  #out = Buffer.allocUnsafe(0);
  #length = 0;
  /** Where the bytes begin that a match may reach back to. */
  #start = 0;

  constructor(frames: Buffer, bytesMax: number) {
    this.#in = frames;
    this.#bytesMax = bytesMax;
  }

  run(): Buffer {
    do {
      const word = this.#word();
      if (word === magic) this.#frame();
      else if ((word & 0xff_ff_ff_f0) >>> 0 === skippableMagic) this.#skip(this.#word());
      else throw corrupt('it is not an LZ4 frame');
    } while (this.#at < this.#in.length);
    this.#reserve(0);
    return this.#out.subarray(0, this.#length);
  }

  runBlock(bytes: number): Buffer {
    this.#reserve(bytes);
    this.#block(this.#in.length, bytes);
    if (this.#length < bytes) throw corrupt('a block is too short');
    return this.#out.subarray(0, bytes);
  }

  #frame(): void {
    const descriptor = this.#descriptor();
    this.#start = this.#length;
    for (let word = this.#word(); word !== 0; word = this.#word()) {
      const size = word & 0x7f_ff_ff_ff;
      if (size > descriptor.blockBytes) throw corrupt('a block is too large');
      const end = this.#at + size;
      if (end > this.#in.length) throw corrupt('it ends in a block');
      this.#reserve(descriptor.blockBytes);
      if (!descriptor.isLinked) this.#start = this.#length;
      // The highest bit: stored as it is.
      if (word >>> 31 === 1) this.#copy(size);
      else this.#block(end, this.#length + descriptor.blockBytes);
      if (descriptor.hasBlockChecksum) this.#skip(4);
    }
    if (descriptor.hasContentChecksum) this.#skip(4);
  }

  /** FLG, BD, an optional content size, an optional dictionary id, and a checksum of these. */
  #descriptor(): Descriptor {
    const flags = this.#byte();
    if (flags >>> 6 !== 1) throw corrupt('its version is not 1');
    if ((flags & 0b1) !== 0) throw corrupt('it needs a dictionary');
    const blockBytes = blockBytesBy[(this.#byte() >>> 4) & 0b111] ?? 0;
    if (blockBytes === 0) throw corrupt('its block size is reserved');
    this.#skip((flags & 0b1000) === 0 ? 1 : 9);
    return {
      blockBytes,
      isLinked: (flags & 0b10_0000) === 0,
      hasBlockChecksum: (flags & 0b1_0000) !== 0,
      hasContentChecksum: (flags & 0b100) !== 0,
    };
  }

  /** One compressed block, up to `end` of what is read and `limit` of what is written. */
  #block(end: number, limit: number): void {
    for (;;) {
      const token = this.#byte();
      const literals = this.#count(token >>> 4);
      if (this.#at + literals > end || this.#length + literals > limit) {
        throw corrupt('literals go past the end');
      }
      this.#copy(literals);
      // The last sequence has no match.
      if (this.#at === end) return;
      if (this.#at + 2 > end) throw corrupt('it ends in a match');
      const distance = this.#in.readUInt16LE(this.#at);
      this.#at += 2;
      this.#match(distance, this.#count(token & 0b1111) + minMatch, limit);
    }
  }

  /** A length of 15 goes on in the bytes that follow, up to the first that is not 255. */
  #count(first: number): number {
    let count = first;
    if (first < 15) return count;
    for (let more = 255; more === 255; count += more) more = this.#byte();
    return count;
  }

  #match(distance: number, count: number, limit: number): void {
    const from = this.#length - distance;
    if (distance === 0 || from < this.#start) throw corrupt('a match begins before the data');
    if (this.#length + count > limit) throw corrupt('a match goes past the end');
    if (distance >= count) this.#out.copyWithin(this.#length, from, from + count);
    // The match reads what it writes.
    else for (let i = 0; i < count; i += 1) this.#out[this.#length + i] = this.#out[from + i] ?? 0;
    this.#length += count;
  }

  #copy(count: number): void {
    this.#in.copy(this.#out, this.#length, this.#at, this.#at + count);
    this.#at += count;
    this.#length += count;
  }

  /** Makes room for a block; the last one of the largest batch may be shorter than its room. */
  #reserve(count: number): void {
    if (this.#length > this.#bytesMax) throw corrupt(`it inflates past ${this.#bytesMax} bytes`);
    if (this.#length + count <= this.#out.length) return;
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#out.length, this.#length + count));
    this.#out.copy(grown, 0, 0, this.#length);
    this.#out = grown;
  }

  #byte(): number {
    const byte = this.#in[this.#at];
    if (byte === undefined) throw corrupt('it ends too early');
    this.#at += 1;
    return byte;
  }

  #word(): number {
    if (this.#at + 4 > this.#in.length) throw corrupt('it ends too early');
    this.#at += 4;
    return this.#in.readUInt32LE(this.#at - 4);
  }

  #skip(count: number): void {
    this.#at += count;
    if (this.#at > this.#in.length) throw corrupt('it ends too early');
  }
}

function corrupt(reason: string): KafkaError {
  return new KafkaError('CORRUPT_MESSAGE', reason);
}
