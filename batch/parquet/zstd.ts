/**
 * Inflates pages into memory that the caller has. Node's own call makes a context and a buffer for each page, which costs
 * more than a small page itself, and what it leaves behind makes the collector run.
 */
import { constants, createZstdDecompress, zstdDecompressSync } from 'node:zlib';

/** What Node's stream is made of. It is not documented, so nothing relies on its being there. */
interface Parts {
  readonly _handle?: {
    writeSync?(
      flush: number,
      from: Uint8Array,
      fromAt: number,
      fromBytes: number,
      to: Uint8Array,
      toAt: number,
      toBytes: number,
    ): void;
  } | null;
  /** Bytes of room left after a write, and of input. */
  readonly _writeState?: Uint32Array;
}

/** A stream of this thread that is never read from: its context is used again and again. */
let stream: ReturnType<typeof createZstdDecompress> | undefined;
/** A little more than a page takes: a piece that is filled to the end makes zlib begin another. */
const spareBytes = 64;

/**
 * Inflates one zstd frame to `to`, which it fills. False where it has another length; throws what zlib
 * throws for what is no frame.
 */
export function inflateZstd(stored: Uint8Array, to: Uint8Array): boolean {
  return inflateByStream(stored, to) || inflateByCall(stored, to);
}

/** False for whatever is not as expected: the other one has to judge then. */
function inflateByStream(stored: Uint8Array, to: Uint8Array): boolean {
  stream ??= createZstdDecompress({ chunkSize: spareBytes }).on('error', () => undefined);
  const { _handle: handle, _writeState: state } = stream as Parts;
  if (typeof handle?.writeSync !== 'function' || state === undefined) return false;
  handle.writeSync(constants.ZSTD_e_end, stored, 0, stored.length, to, 0, to.length);
  const isWhole = !stream.destroyed && state[0] === 0 && state[1] === 0;
  if (isWhole) return true;
  // It may be in the middle of a frame.
  stream.destroy();
  stream = undefined;
  return false;
}

function inflateByCall(stored: Uint8Array, to: Uint8Array): boolean {
  const most = to.length + spareBytes;
  const body = zstdDecompressSync(stored, { chunkSize: most, maxOutputLength: most });
  if (body.length !== to.length) return false;
  to.set(body);
  return true;
}
