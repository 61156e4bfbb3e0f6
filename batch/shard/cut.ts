/**
 * Cuts record batches to the ids of a shard. Pruning by range stands on the order of a file's rows, so
 * it is checked, and a file that is not in it is refused.
 */
import { TidemarkError } from '../../schemas/errors.ts';
import { idEnd, type ShardRange } from '../../schemas/shard.ts';
import type { ArrowBatch } from './arrow.ts';

const idBytes = 16;

export class IdCut {
  readonly #column: string;
  readonly #from: Uint8Array | undefined;
  readonly #to: Uint8Array | undefined;

  /** `column` holds ids of 16 bytes, which rows ascend by. */
  constructor(column: string, range: Pick<ShardRange, 'idFrom' | 'idTo'>) {
    this.#column = column;
    this.#from = range.idFrom === 0n ? undefined : bytesOf(range.idFrom);
    this.#to = range.idTo === idEnd ? undefined : bytesOf(range.idTo);
  }

  /** The batch's rows [from, to) are those within the range. Throws CORRUPT_ARCHIVE. */
  rows(arrow: ArrowBatch): { from: number; to: number } {
    const ids = arrow.fixed(this.#column, idBytes);
    assertSorted(ids, this.#column);
    const from = this.#from === undefined ? 0 : lowerBound(ids, this.#from);
    const to = this.#to === undefined ? arrow.rows : lowerBound(ids, this.#to);
    return { from, to: Math.max(from, to) };
  }

  /** Ids of those rows, 16 bytes each. */
  ids(arrow: ArrowBatch): Uint8Array {
    const { from, to } = this.rows(arrow);
    return arrow.fixed(this.#column, idBytes).subarray(from * idBytes, to * idBytes);
  }
}

function bytesOf(id: bigint): Uint8Array {
  return Buffer.from(id.toString(16).padStart(2 * idBytes, '0'), 'hex');
}

/** First row whose id is not less than `bound`, in sorted ids. */
function lowerBound(ids: Uint8Array, bound: Uint8Array): number {
  let low = 0;
  let high = ids.length / idBytes;
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = middle * idBytes;
    if (Buffer.compare(ids.subarray(at, at + idBytes), bound) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function assertSorted(ids: Uint8Array, column: string): void {
  const words = new Uint32Array(ids.buffer, ids.byteOffset, ids.length / 4);
  for (let row = 4; row < words.length; row += 4) {
    for (let word = row; word < row + 4; word += 1) {
      const now = words[word] ?? 0;
      const before = words[word - 4] ?? 0;
      if (now === before) continue;
      if (bigEndian(now) > bigEndian(before)) break;
      throw new TidemarkError(
        'CORRUPT_ARCHIVE',
        `Cannot use row ${row / 4}: it is not in the order of ${column}`,
      );
    }
  }
}

/** The bytes of a word that a little-endian machine has read, first byte highest. */
function bigEndian(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
