/**
 * The object store: R2, S3 or any store with their API and conditional writes. Turns the SDK's
 * errors into ours; never decides what a key means and never holds more than one answer.
 */
import { Readable } from 'node:stream';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { ChecksumAlgorithm } from '@aws-sdk/client-s3';
import { ConflictError, SettingError, TidemarkError } from '../../../schemas/errors.ts';
import * as limits from '../../../schemas/limits.ts';
import type { Settings } from '../../../schemas/settings.ts';
import { BrokenBody, nameOf, statusOf, tried } from './answer.ts';
import { uploadParts } from './upload.ts';
import type { SendOptions } from './upload.ts';

export interface ObjectEntry {
  readonly key: string;
  readonly bytes: number;
  /** When it was stored by the store's own clock, ms since 1970; whole seconds in many stores. */
  readonly modifiedMs?: number | undefined;
}

export interface CallOptions {
  /** Ends the call early, with a retryable OBJECT_STORE error. */
  readonly signal?: AbortSignal | undefined;
}

export interface GetOptions extends CallOptions {
  /** Bytes [start, end) of the object; `end` may lie past its end, `start` may not. */
  readonly range?: { readonly start: number; readonly end: number };
  /** Where the bytes may go, if they are no more. @default to memory of their own */
  readonly into?: Uint8Array | undefined;
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
  /** How far the store's clock is ahead of this machine's, ms, by its last answer that told a time; else 0. */
  clockAheadMs(): number;
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
  | 'S3_ENDPOINT'
  | 'S3_BUCKET'
  | 'S3_REGION'
  | 'S3_ACCESS_KEY_ID'
  | 'S3_SECRET_ACCESS_KEY'
  | 'S3_SESSION_TOKEN'
  | 'S3_ADDRESSING'
  | 'S3_CHECKSUM'
  | 'S3_TIMEOUT_MS'
>;

/** The bucket that the settings name. Connects on first use. Throws `SettingError` when they name none. */
export function openStore(settings: StoreSettings): ObjectStore {
  if (settings.S3_BUCKET === '') {
    throw new SettingError('S3_BUCKET', 'Cannot use setting S3_BUCKET: it is empty');
  }
  return new S3Store(settings);
}

const checksums: Readonly<Record<string, ChecksumAlgorithm>> = { crc32: 'CRC32', sha256: 'SHA256' };

class S3Store implements ObjectStore {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #checksum: ChecksumAlgorithm | undefined;
  readonly #timeoutMs: number;

  constructor(settings: StoreSettings) {
    this.#bucket = settings.S3_BUCKET;
    this.#checksum = checksums[settings.S3_CHECKSUM];
    this.#timeoutMs = settings.S3_TIMEOUT_MS;
    const agent = { keepAlive: true, maxSockets: limits.objectConnectionsMax };
    this.#client = new S3Client({
      endpoint: settings.S3_ENDPOINT,
      region: settings.S3_REGION,
      forcePathStyle: settings.S3_ADDRESSING === 'path',
      ...credentialsOf(settings),
      // Requests are sent again by `tried`, which ends when it is told to, in its pauses too.
      maxAttempts: 1,
      // Checksums are asked for by each request, as the settings say. That of the whole body which
      // the signature carries (SHA-256) is there in any case.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // The local R2 endpoint never answers `Expect: 100-continue`, which the SDK sends with bodies
      // of 2 MiB and more and then waits for.
      expectContinueHeader: false,
      requestHandler: {
        connectionTimeout: Math.min(limits.objectConnectMs, this.#timeoutMs),
        requestTimeout: this.#timeoutMs,
        socketTimeout: this.#timeoutMs,
        throwOnRequestTimeout: true,
        httpAgent: agent,
        httpsAgent: agent,
      },
    });
  }

  /** The SDK takes it from the `Date` of answers, to sign with, where it differs by four minutes or more. */
  clockAheadMs(): number {
    return this.#client.config.systemClockOffset;
  }

  get(key: string, options: GetOptions = {}): Promise<Uint8Array | undefined> {
    const { range, into, signal } = options;
    const command = {
      Bucket: this.#bucket,
      Key: key,
      // RFC 9110, section 14.1.2: the last position of a byte range is included.
      ...(range && { Range: `bytes=${range.start}-${range.end - 1}` }),
      // Some stores send the checksum of the whole object with a part of it.
      ...(!range && this.#checksum && { ChecksumMode: 'ENABLED' as const }),
    };
    return tried('read', key, signal, async () => {
      try {
        const answer = await this.#client.send(new GetObjectCommand(command), this.#send(signal));
        return await readBody(answer.Body, answer.ContentLength, into);
      } catch (error) {
        if (isMissingKey(error)) return undefined;
        throw error;
      }
    });
  }

  head(key: string, { signal }: CallOptions = {}): Promise<number | undefined> {
    const command = { Bucket: this.#bucket, Key: key };
    return tried('read', key, signal, async () => {
      try {
        const answer = await this.#client.send(new HeadObjectCommand(command), this.#send(signal));
        return answer.ContentLength ?? 0;
      } catch (error) {
        if (isMissingKey(error)) return undefined;
        throw error;
      }
    });
  }

  async put(key: string, body: Uint8Array | string, options: PutOptions = {}): Promise<void> {
    const { ifNoneMatch, signal } = options;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    if (!ifNoneMatch && bytes.byteLength >= limits.objectInPartsBytesMin) {
      const target = { client: this.#client, Bucket: this.#bucket, Key: key, signal };
      const send = (byteCount: number) => this.#send(signal, byteCount);
      await uploadParts({ ...target, checksum: this.#checksum, send }, bytes);
      return;
    }
    await this.#putWhole(key, bytes, options);
  }

  #putWhole(key: string, bytes: Uint8Array, { ifNoneMatch, signal }: PutOptions): Promise<void> {
    const command = {
      Bucket: this.#bucket,
      Key: key,
      Body: bytes,
      ...(ifNoneMatch && { IfNoneMatch: ifNoneMatch }),
      ...(this.#checksum && { ChecksumAlgorithm: this.#checksum }),
    };
    const options = this.#send(signal, bytes.byteLength);
    return tried('write', key, signal, async () => {
      try {
        await this.#client.send(new PutObjectCommand(command), options);
      } catch (error) {
        if (ifNoneMatch && statusOf(error) === 412) throw new ConflictError(key, { cause: error });
        throw error;
      }
    });
  }

  /** A body may take as long as it needs on a line of `objectBytesPerMsMin`. */
  #send(signal: AbortSignal | undefined, bytes = 0): SendOptions {
    const requestTimeout = this.#timeoutMs + Math.ceil(bytes / limits.objectBytesPerMsMin);
    return { requestTimeout, ...(signal && { abortSignal: signal }) };
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<readonly ObjectEntry[]> {
    const maxKeys = options.maxKeys ?? limits.listPageKeys;
    let startAfter = options.startAfter;
    for (;;) {
      // Pages go on from the last key, not from a token, so deletes in between do no harm.
      const answer = await this.#listPage(prefix, maxKeys, { ...options, startAfter });
      const page = (answer.Contents ?? []).map(({ Key, Size, LastModified }) => ({
        key: Key ?? '',
        bytes: Size ?? 0,
        modifiedMs: LastModified?.getTime(),
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

  #listPage(
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
    const { signal } = options;
    return tried('list', prefix, signal, () => this.#client.send(command, this.#send(signal)));
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (let at = 0; at < keys.length; at += limits.deleteKeysMax) {
      await this.#deletePage(keys.slice(at, at + limits.deleteKeysMax), options);
    }
  }

  async #deletePage(keys: readonly string[], { signal }: CallOptions): Promise<void> {
    const first = keys[0] ?? '';
    const command = {
      Bucket: this.#bucket,
      Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true },
      // S3 demands a checksum here, whatever the setting; the SDK's own is CRC-32.
      ...(this.#checksum && { ChecksumAlgorithm: this.#checksum }),
    };
    const answer = await tried('delete', first, signal, () =>
      this.#client.send(new DeleteObjectsCommand(command), this.#send(signal)),
    );
    const fault = answer.Errors?.[0];
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

/** Without a key, the SDK looks for one where AWS has its own: environment, profile, role. */
function credentialsOf(settings: StoreSettings) {
  const { S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey } = settings;
  const { S3_SESSION_TOKEN: sessionToken } = settings;
  if (accessKeyId === '') return {};
  const token = sessionToken === '' ? {} : { sessionToken };
  return { credentials: { accessKeyId, secretAccessKey, ...token } };
}

/** 404 is also the answer for a bucket that does not exist, of which HEAD says nothing. */
function isMissingKey(error: unknown): boolean {
  return statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket';
}

async function readBody(
  body: { transformToByteArray(): Promise<Uint8Array> } | undefined,
  bytes: number | undefined,
  into: Uint8Array | undefined,
): Promise<Uint8Array> {
  let read: Uint8Array;
  try {
    const isRoom = into !== undefined && bytes !== undefined && bytes <= into.length;
    if (isRoom && body instanceof Readable) read = await readInto(body, into.subarray(0, bytes));
    else read = (await body?.transformToByteArray()) ?? new Uint8Array();
  } catch (error) {
    throw new BrokenBody('the body broke off', { cause: error });
  }
  if (bytes === undefined || read.byteLength === bytes) return read;
  throw new BrokenBody(`the body has ${read.byteLength} bytes, ${bytes} were announced`);
}

/** What fits of the body. Gives its pieces back at once: each has memory that a collector would find late. */
async function readInto(body: Readable, into: Uint8Array): Promise<Uint8Array> {
  let at = 0;
  for await (const piece of body as AsyncIterable<Uint8Array>) {
    if (at + piece.length > into.length) throw new BrokenBody('the body is longer than announced');
    into.set(piece, at);
    at += piece.length;
    if (piece.buffer instanceof ArrayBuffer && piece.length === piece.buffer.byteLength) {
      piece.buffer.transfer(0);
    }
  }
  return into.subarray(0, at);
}
