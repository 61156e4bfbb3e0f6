/** Vite's imports of a file's text. */
declare module '*?raw' {
  const text: string;
  export default text;
}

/** The bindings of wrangler.toml, as `env` of `cloudflare:workers` has them. */
declare namespace Cloudflare {
  interface Env {
    readonly ARCHIVE: R2Bucket;
    readonly KEYS: KVNamespace;
    readonly RATE_LIMIT_LOW: RateLimit;
    readonly TELEMETRY: AnalyticsEngineDataset;
  }
}

/** What the tests compress with; the edge itself never does. */
declare module 'node:zlib' {
  export function gzipSync(bytes: Uint8Array): Uint8Array;
  export function deflateSync(bytes: Uint8Array): Uint8Array;
  export function deflateRawSync(bytes: Uint8Array, options?: { finishFlush: number }): Uint8Array;
  export function zstdCompressSync(bytes: Uint8Array): Uint8Array;
  export namespace constants {
    const Z_FULL_FLUSH: number;
  }
}
