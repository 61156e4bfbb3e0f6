/** Buckets for tests: a real R2 bucket behind its S3 API, and wrappers that count its requests. */
import { Miniflare, convertV4MiniflareOptions } from 'miniflare';
import { listPageKeys } from '../../schemas/limits.ts';
import { readSettings } from '../../schemas/settings.ts';
import { openStore } from '../../workers/clients/store/objects.ts';
import type {
  GetOptions,
  ListOptions,
  ObjectEntry,
  ObjectStore,
  PutOptions,
  StoreSettings,
} from '../../workers/clients/store/objects.ts';

export interface Bucket {
  readonly store: ObjectStore;
  readonly settings: StoreSettings;
  /** Where the S3 API is, without a slash at the end. */
  readonly endpoint: string;
  close(): Promise<void>;
}

/** Starts an empty R2 bucket in memory, served by workerd on a free port of 127.0.0.1. */
export async function startBucket(): Promise<Bucket> {
  const settings = readSettings({});
  const credentials = {
    accessKeyId: settings.S3_ACCESS_KEY_ID,
    secretAccessKey: settings.S3_SECRET_ACCESS_KEY,
  };
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: 'export default { fetch: () => new Response("a bucket") }',
      compatibilityDate: '2026-01-01',
      host: '127.0.0.1',
      port: 0,
      r2Buckets: { ARCHIVE: { id: settings.S3_BUCKET, s3Credentials: credentials } },
    }),
  );
  const endpoint = new URL('/cdn-cgi/local/r2/s3', await miniflare.ready).href;
  const bucketSettings = { ...settings, S3_ENDPOINT: endpoint };
  const store = openStore(bucketSettings);
  const close = async (): Promise<void> => {
    store.close();
    await miniflare.dispose();
  };
  return { store, settings: bucketSettings, endpoint, close };
}

export interface RequestCounts {
  get: number;
  head: number;
  put: number;
  list: number;
  delete: number;
}

/** Passes every call on to `store` and counts what it costs in requests and in bytes read. */
export class CountingStore implements ObjectStore {
  readonly requests: RequestCounts = { get: 0, head: 0, put: 0, list: 0, delete: 0 };
  bytesRead = 0;
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Requests of all kinds since the last `reset`. */
  get total(): number {
    return Object.values<number>({ ...this.requests }).reduce((sum, count) => sum + count, 0);
  }

  clockAheadMs(): number {
    return this.#store.clockAheadMs();
  }

  reset(): void {
    Object.assign(this.requests, { get: 0, head: 0, put: 0, list: 0, delete: 0 });
    this.bytesRead = 0;
  }

  async get(key: string, options?: GetOptions): Promise<Uint8Array | undefined> {
    this.requests.get += 1;
    const bytes = await this.#store.get(key, options);
    this.bytesRead += bytes?.byteLength ?? 0;
    return bytes;
  }

  head(key: string): Promise<number | undefined> {
    this.requests.head += 1;
    return this.#store.head(key);
  }

  put(key: string, body: Uint8Array | string, options?: PutOptions): Promise<void> {
    this.requests.put += 1;
    return this.#store.put(key, body, options);
  }

  async *list(prefix: string, options?: ListOptions): AsyncIterable<readonly ObjectEntry[]> {
    for await (const page of this.#store.list(prefix, options)) {
      this.requests.list += 1;
      yield page;
    }
  }

  async listFolders(prefix: string): Promise<readonly string[]> {
    const folders = await this.#store.listFolders(prefix);
    this.requests.list += Math.max(1, Math.ceil(folders.length / listPageKeys));
    return folders;
  }

  delete(keys: readonly string[]): Promise<void> {
    this.requests.delete += Math.ceil(keys.length / listPageKeys);
    return this.#store.delete(keys);
  }

  close(): void {
    this.#store.close();
  }
}
