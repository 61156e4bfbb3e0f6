/**
 * The partial of groups whose durations the kernel has encoded: the same bytes as `encodePartial` of
 * `partial.ts` makes of durations. It puts together, and encodes nothing.
 */
import {
  beginHeader,
  finishHeader,
  writeSizes,
  writeTotals,
  type GroupNames,
  type GroupTotals,
} from './partial.ts';

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
): Uint8Array {
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
  const bytes = new Uint8Array(header.length + hot.length + cold.length);
  bytes.set(header);
  hot.copy(bytes, header.length);
  cold.copy(bytes, header.length + hot.length);
  const bodyBytes = hot.length + cold.length;
  finishHeader(bytes, header.length, { groups: groups.length, hotBytes: hot.length, bodyBytes });
  return bytes;
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

/** Bytes that are appended. */
class ByteList {
  #bytes = new Uint8Array(65_536);
  length = 0;

  add(piece: Uint8Array): void {
    const length = this.length + piece.length;
    if (length > this.#bytes.length) {
      const more = new Uint8Array(Math.max(length, Math.ceil(this.#bytes.length * 1.5)));
      more.set(this.#bytes.subarray(0, this.length));
      this.#bytes = more;
    }
    this.#bytes.set(piece, this.length);
    this.length = length;
  }

  copy(to: Uint8Array, at: number): void {
    to.set(this.#bytes.subarray(0, this.length), at);
  }
}
