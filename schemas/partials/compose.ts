/**
 * The partial of groups whose durations the kernel has encoded: the same bytes as `encodePartial` of
 * `spans.ts` makes of durations. It puts together, and encodes nothing.
 */
import { partialRunBytesMax } from '../limits/batch.ts';
import {
  beginHeader,
  finishHeader,
  writeSizes,
  writeTotals,
  type GroupNames,
  type GroupTotals,
} from './spans.ts';
import type { Section } from './section.ts';

const growthBytesMin = 256 * 1024;

/** A group whose durations have been encoded, by the kernel. */
export interface EncodedGroup extends GroupTotals {
  readonly bucketCount: number;
  /** Of each bucket the step from the last one and count * 2 + hot, as varints. */
  readonly bucketBytes: Uint8Array;
  /** Runs in order of their buckets, in pieces. */
  readonly hot: readonly Uint8Array[];
  readonly cold: readonly Uint8Array[];
}

/**
 * The partial of groups that are encoded when they are asked for, once, in the order of `groups`, which is
 * that of `compareKeys`: the same bytes as `encodePartial` gives. What `encode` returns is used up before
 * it is called again.
 */
export function composePartial<Group extends GroupNames>(
  groups: readonly Group[],
  encode: (group: Group) => EncodedGroup,
): Section {
  const { writer, names } = beginHeader(groups);
  const hot = new ByteList();
  const cold = new ByteList();
  for (const group of groups) {
    const encoded = encode(group);
    writeTotals(writer, encoded, names);
    writeSizes(writer, {
      filled: encoded.bucketCount,
      hotBytes: lengthOf(encoded.hot),
      coldBytes: lengthOf(encoded.cold),
      bytes: encoded.bucketBytes.length,
    });
    writer.raw(encoded.bucketBytes);
    for (const piece of encoded.hot) hot.add(piece);
    for (const piece of encoded.cold) cold.add(piece);
  }
  const header = writer.bytes();
  const [hotBytes, bodyBytes] = [hot.length, hot.length + cold.length];
  const write = (bytes: Uint8Array) => {
    bytes.set(header);
    hot.move(bytes, header.length);
    cold.move(bytes, header.length + hotBytes);
    finishHeader(bytes, header.length, { groups: groups.length, hotBytes, bodyBytes });
  };
  return { length: header.length + bodyBytes, write };
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

/** Bytes that are appended. They grow where they are: nothing is copied, and nothing left behind. */
class ByteList {
  readonly #buffer = new ArrayBuffer(0, { maxByteLength: partialRunBytesMax });
  readonly #bytes = new Uint8Array(this.#buffer);
  length = 0;

  add(piece: Uint8Array): void {
    const length = this.length + piece.length;
    const room = this.#buffer.byteLength;
    if (length > room) {
      const more = Math.max(length, room + Math.max(growthBytesMin, room >> 2));
      this.#buffer.resize(Math.min(more, partialRunBytesMax));
    }
    this.#bytes.set(piece, this.length);
    this.length = length;
  }

  /** Copies them, and gives up their memory. */
  move(to: Uint8Array, at: number): void {
    to.set(this.#bytes.subarray(0, this.length), at);
    this.#buffer.resize(0);
  }
}
