/** The part of workerd's own `node:zlib` that the edge uses; its types package has none. */
declare module 'node:zlib' {
  export interface ZlibOptions {
    chunkSize?: number;
    /** Output past this many bytes is an error with the code ERR_BUFFER_TOO_LARGE. */
    maxOutputLength?: number;
    params?: Record<number, number>;
    /** Makes the answer an `Inflated`. */
    info: true;
  }
  export interface Inflated {
    buffer: Uint8Array;
    /** `bytesWritten` counts the bytes of the input that were used. */
    engine: { bytesWritten: number };
  }
  export namespace constants {
    const ZSTD_d_windowLogMax: number;
  }
  export function crc32(bytes: Uint8Array): number;
  export function gunzipSync(bytes: Uint8Array, options: ZlibOptions): Inflated;
  export function inflateSync(bytes: Uint8Array, options: ZlibOptions): Inflated;
  export function inflateRawSync(bytes: Uint8Array, options: ZlibOptions): Inflated;
  export function zstdDecompressSync(bytes: Uint8Array, options: ZlibOptions): Inflated;
}
