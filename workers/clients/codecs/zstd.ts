/**
 * How much room Zstandard frames take inflated (RFC 8878, section 3.1.1): what they state, or else
 * what their blocks may come to, since memory that is found bit by bit is copied. A guess: it
 * believes what it reads, inflates nothing, and never throws.
 */

const magic = 0xfd_2f_b5_28;
/** The longest header with its magic number, and the longest head of a block. */
const [headBytesMax, blockHeadBytes] = [18, 3];
/** A block inflates to so many bytes at most, and all but a frame's last mostly do (3.1.1.2.3). */
const blockBytesMax = 128 * 1024;
/** Bytes of a field by the flag for it in a frame's descriptor (3.1.1.1). */
const dictionaryIdBytes = [0, 1, 2, 4];
const contentSizeBytes = [0, 2, 4, 8];
const [rawBlock, runBlock] = [0, 1];
const checksumBytes = 4;

/** Bytes that `frames` hardly inflate to more than; less for what is broken or cut off. */
export function inflatedRoom(frames: Buffer): number {
  let [room, at] = [0, 0];
  while (at + headBytesMax <= frames.length && frames.readUInt32LE(at) === magic) {
    const { stated, bodyAt, hasChecksum } = frameHead(frames, at);
    const { blocks, end } = frameBlocks(frames, bodyAt);
    room += stated ?? blocks;
    at = end + (hasChecksum ? checksumBytes : 0);
  }
  return room;
}

function frameHead(frames: Buffer, at: number) {
  const descriptor = frames[at + 4] ?? 0;
  const isSingle = (descriptor & 0x20) !== 0;
  // A frame of one segment states its size instead of its window, in one byte at least.
  const sizeBytes = contentSizeBytes[descriptor >> 6] || Number(isSingle);
  const sizeAt = at + 5 + Number(!isSingle) + (dictionaryIdBytes[descriptor & 3] ?? 0);
  const hasChecksum = (descriptor & 4) !== 0;
  const stated = sizeBytes === 0 ? undefined : contentSize(frames, sizeAt, sizeBytes);
  return { stated, bodyAt: sizeAt + sizeBytes, hasChecksum };
}

function contentSize(frames: Buffer, at: number, bytes: number): number {
  if (bytes === 8) return Number(frames.readBigUInt64LE(at));
  return frames.readUIntLE(at, bytes) + (bytes === 2 ? 256 : 0);
}

/** What the blocks from `at` on may come to, and where they end. */
function frameBlocks(frames: Buffer, start: number): { blocks: number; end: number } {
  let [blocks, at, isLast] = [0, start, false];
  while (!isLast && at + blockHeadBytes <= frames.length) {
    const head = frames.readUIntLE(at, blockHeadBytes);
    isLast = (head & 1) === 1;
    const [type, size] = [(head >> 1) & 3, head >> 3];
    blocks += type === rawBlock || type === runBlock ? size : blockBytesMax;
    at += blockHeadBytes + (type === runBlock ? 1 : size);
  }
  return { blocks, end: at };
}
