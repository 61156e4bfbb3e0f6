/**
 * The object store: R2, S3 or any store with their API and conditional writes. Turns the SDK's
 * errors into ours; never decides what a key means and never holds more than one answer.
 */
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import pRetry from 'p-retry';
import { ConflictError, TidemarkError } from '../../schemas/errors.ts';
import * as limits from '../../schemas/limits.ts';
import type { Settings } from '../../schemas/settings.ts';

export interface ObjectEntry {
  readonly key: string;
  readonly bytes: number;
}

export interface CallOptions {
  /** Ends the call early, with a retryable OBJECT_STORE error. */
  readonly signal?: AbortSignal | undefined;
}

export interface GetOptions extends CallOptions {
  /** Bytes [start, end) of the object; `end` may lie past its end, `start` may not. */
  readonly range?: { readonly start: number; readonly end: number };
}

export interface PutOptions extends CallOptions {
  /** `*`: only if no object has this key, else `ConflictError`. */
  readonly ifNoneMatch?: '*';
}

export interface ListOptions extends CallOptions {
  /** Only keys that sort after this one. */
  readonly startAfter?: string;
  /** Keys per page, at most `listPageKeys`. */
  readonly maxKeys?: number;
}

/**
 * A bucket. Every method throws `TidemarkError` OBJECT_STORE (with `retryable`) once its tries are
 * spent. A failed `put` may have been stored all the same, or may still be: only the key tells.
 */
export interface ObjectStore {
  /** The object's bytes, or `undefined` when there is no such object. */
  get(key: string, options?: GetOptions): Promise<Uint8Array | undefined>;
  /** The object's size in bytes, or `undefined` when there is no such object. */
  head(key: string, options?: CallOptions): Promise<number | undefined>;
  /** Stores `body` whole. Throws `ConflictError` when `ifNoneMatch` is not met. */
  put(key: string, body: Uint8Array | string, options?: PutOptions): Promise<void>;
  /** Objects under `prefix` in key order; each page is one request, the first may be empty. */
  list(prefix: string, options?: ListOptions): AsyncIterable<readonly ObjectEntry[]>;
  /** The folders right under `prefix` (which ends in a slash), each ending in a slash. */
  listFolders(prefix: string, options?: CallOptions): Promise<readonly string[]>;
  /** Deletes objects, a thousand a request; keys that do not exist are no error. */
  delete(keys: readonly string[], options?: CallOptions): Promise<void>;
  /** Closes the connections; the store is not used afterwards. */
  close(): void;
}

export type StoreSettings = Pick<
  Settings,
  'S3_ENDPOINT' | 'S3_BUCKET' | 'S3_REGION' | 'S3_ACCESS_KEY_ID' | 'S3_SECRET_ACCESS_KEY'
>;

/** The bucket that the settings name. Connects on first use. */
export function openStore(settings: StoreSettings): ObjectStore {
  return new S3Store(settings);
}

class S3Store implements ObjectStore {
  readonly #client: S3Client;
  readonly #bucket: string;

  constructor(settings: StoreSettings) {
    this.#bucket = settings.S3_BUCKET;
    const agent = { keepAlive: true, maxSockets: limits.objectConnectionsMax };
    this.#client = new S3Client({
      endpoint: settings.S3_ENDPOINT,
      region: settings.S3_REGION,
      forcePathStyle: true,
      credentials: {
        accessKeyId: settings.S3_ACCESS_KEY_ID,
        secretAccessKey: settings.S3_SECRET_ACCESS_KEY,
      },
      maxAttempts: limits.requestTriesMax,
      // Uploads are covered by the SHA-256 that the signature carries; not every store knows the
      // newer checksum headers, so those are sent only where S3 demands one (DeleteObjects).
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // The local R2 endpoint never answers `Expect: 100-continue`, which the SDK sends with bodies
      // of 2 MiB and more and then waits for.
      expectContinueHeader: false,
      requestHandler: {
        connectionTimeout: limits.objectConnectMs,
        requestTimeout: limits.objectTimeoutMs,
        socketTimeout: limits.objectTimeoutMs,
        throwOnRequestTimeout: true,
        httpAgent: agent,
        httpsAgent: agent,
      },
    });
  }

  get(key: string, options: GetOptions = {}): Promise<Uint8Array | undefined> {
    const { range } = options;
    const command = {
      Bucket: this.#bucket,
      Key: key,
      // RFC 9110, section 14.1.2: the last position of a byte range is included.
      ...(range && { Range: `bytes=${range.start}-${range.end - 1}` }),
    };
    // The SDK tries the request again, but not a body that breaks off after its headers came.
    return retried(isBrokenBody, options.signal, async () => {
      try {
        const answer = await this.#client.send(new GetObjectCommand(command), sdkOptions(options));
        return await readBody(answer.Body, answer.ContentLength);
      } catch (error) {
        if (statusOf(error) === 404) return undefined;
        throw storeError('read', key, error);
      }
    });
  }

  async head(key: string, options: CallOptions = {}): Promise<number | undefined> {
    const command = new HeadObjectCommand({ Bucket: this.#bucket, Key: key });
    try {
      const answer = await this.#client.send(command, sdkOptions(options));
      return answer.ContentLength ?? 0;
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw storeError('read', key, error);
    }
  }

  put(key: string, body: Uint8Array | string, options: PutOptions = {}): Promise<void> {
    const condition = options.ifNoneMatch && { IfNoneMatch: options.ifNoneMatch };
    const command = { Bucket: this.#bucket, Key: key, Body: body, ...condition };
    return retried(isConditionalRace, options.signal, async () => {
      try {
        await this.#client.send(new PutObjectCommand(command), sdkOptions(options));
      } catch (error) {
        if (condition && statusOf(error) === 412) throw new ConflictError(key, { cause: error });
        throw storeError('write', key, error);
      }
    });
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<readonly ObjectEntry[]> {
    const maxKeys = options.maxKeys ?? limits.listPageKeys;
    let startAfter = options.startAfter;
    for (;;) {
      // Pages go on from the last key, not from a token, so deletes in between do no harm.
      const answer = await this.#listPage(prefix, maxKeys, { ...options, startAfter });
      const page = (answer.Contents ?? []).map(({ Key, Size }) => ({
        key: Key ?? '',
        bytes: Size ?? 0,
      }));
      yield page;
      startAfter = page.at(-1)?.key;
      if (answer.IsTruncated !== true || startAfter === undefined) return;
    }
  }

  async listFolders(prefix: string, options: CallOptions = {}): Promise<readonly string[]> {
    const folders: string[] = [];
    let token: string | undefined;
    do {
      const answer = await this.#listPage(prefix, limits.listPageKeys, {
        ...options,
        delimiter: '/',
        token,
      });
      folders.push(...(answer.CommonPrefixes ?? []).map((folder) => folder.Prefix ?? ''));
      token = answer.NextContinuationToken;
    } while (token !== undefined);
    return folders;
  }

  async #listPage(
    prefix: string,
    maxKeys: number,
    options: CallOptions & {
      startAfter?: string | undefined;
      delimiter?: '/';
      token?: string | undefined;
    },
  ) {
    const command = new ListObjectsV2Command({
      Bucket: this.#bucket,
      Prefix: prefix,
      MaxKeys: maxKeys,
      StartAfter: options.startAfter,
      Delimiter: options.delimiter,
      ContinuationToken: options.token,
    });
    try {
      return await this.#client.send(command, sdkOptions(options));
    } catch (error) {
      throw storeError('list', prefix, error);
    }
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (let at = 0; at < keys.length; at += limits.deleteKeysMax) {
      await this.#deletePage(keys.slice(at, at + limits.deleteKeysMax), options);
    }
  }

  async #deletePage(keys: readonly string[], options: CallOptions): Promise<void> {
    const first = keys[0] ?? '';
    const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
    const command = new DeleteObjectsCommand({ Bucket: this.#bucket, Delete });
    let fault;
    try {
      const answer = await this.#client.send(command, sdkOptions(options));
      fault = answer.Errors?.[0];
    } catch (error) {
      throw storeError('delete', first, error);
    }
    // S3 answers 200 also when single keys failed; deleting them again later does no harm.
    if (!fault) return;
    const { Key = first, Code = '', Message = '' } = fault;
    const text = `Cannot delete "${Key}" in the store: ${Code} ${Message}`;
    throw new TidemarkError('OBJECT_STORE', text, { retryable: Code !== 'AccessDenied' });
  }

  close(): void {
    this.#client.destroy();
  }
}

/**
 * Refuses a store that lets a second writer win: stores one random key twice, each time only if
 * it does not exist. Throws `TidemarkError` UNSUPPORTED_STORE with the reason. The archive's
 * promise (nothing twice) stands on this. `name` is random and ends up in a key.
 */
export async function assertConditionalPut(store: ObjectStore, name: string): Promise<void> {
  const key = `_probe/${name}`;
  const reason = await probe(store, key);
  await store.delete([key]);
  if (reason === undefined) return;
  throw new TidemarkError(
    'UNSUPPORTED_STORE',
    `Cannot use this object store for the archive: ${reason}`,
  );
}

async function probe(store: ObjectStore, key: string): Promise<string | undefined> {
  try {
    await store.put(key, 'first', { ifNoneMatch: '*' });
    await store.put(key, 'second', { ifNoneMatch: '*' });
    return 'it overwrote a key in spite of If-None-Match: *';
  } catch (error) {
    if (error instanceof ConflictError) return undefined;
    if (error instanceof TidemarkError && statusOf(error.cause) === 501) {
      return 'it does not implement If-None-Match: *';
    }
    throw error;
  }
}

/** Calls `send` again, a bounded number of times, for the faults that the SDK does not retry. */
function retried<T>(
  isPassing: (fault: unknown) => boolean,
  signal: AbortSignal | undefined,
  send: () => Promise<T>,
): Promise<T> {
  return pRetry(send, {
    retries: limits.requestTriesMax - 1,
    minTimeout: 100,
    shouldRetry: ({ error }) => isPassing(error) && signal?.aborted !== true,
  });
}

/** S3 answers 409 to a conditional write while another one of the same key is under way. */
function isConditionalRace(error: unknown): boolean {
  return error instanceof TidemarkError && statusOf(error.cause) === 409;
}

class BrokenBody extends Error {}

function isBrokenBody(error: unknown): boolean {
  return error instanceof TidemarkError && error.cause instanceof BrokenBody;
}

async function readBody(
  body: { transformToByteArray(): Promise<Uint8Array> } | undefined,
  bytes: number | undefined,
): Promise<Uint8Array> {
  let read: Uint8Array;
  try {
    read = (await body?.transformToByteArray()) ?? new Uint8Array();
  } catch (error) {
    throw new BrokenBody('the body broke off', { cause: error });
  }
  if (bytes === undefined || read.byteLength === bytes) return read;
  throw new BrokenBody(`the body has ${read.byteLength} bytes, ${bytes} were announced`);
}

function sdkOptions({ signal }: CallOptions) {
  return signal ? { abortSignal: signal } : {};
}

/** HTTP status of an SDK error, `undefined` when no answer came. */
function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  return (error.$metadata as { httpStatusCode?: number }).httpStatusCode;
}

function storeError(action: string, key: string, cause: unknown): TidemarkError {
  const status = statusOf(cause);
  const retryable = status === undefined || status >= 500 || [408, 409, 429].includes(status);
  const what = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  const answer = status === undefined ? what : `HTTP ${status}, ${what}`;
  return new TidemarkError('OBJECT_STORE', `Cannot ${action} "${key}" in the store: ${answer}`, {
    cause,
    retryable: retryable && status !== 501,
  });
}
