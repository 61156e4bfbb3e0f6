/**
 * Uploads of many parts, for objects that are large: a part that fails is sent again by itself, and
 * parts go side by side. Holds nothing but views of the body. Never conditional: a condition on the
 * last step is not known to every store, and not what `assertConditionalPut` has tried.
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { ChecksumAlgorithm, CompletedPart, S3Client } from '@aws-sdk/client-s3';
import { TidemarkError } from '../../../schemas/errors.ts';
import * as limits from '../../../schemas/limits.ts';
import { nameOf, storeError, tried } from './answer.ts';
import { mapParallel } from '../parallel.ts';

/** What the SDK wants to know of one request: when to end it, and how long it may take, in ms. */
export interface SendOptions {
  readonly requestTimeout: number;
  readonly abortSignal?: AbortSignal;
}

/** Where an upload goes, and how each of its requests is sent. */
export interface Target {
  readonly client: S3Client;
  readonly Bucket: string;
  readonly Key: string;
  readonly checksum: ChecksumAlgorithm | undefined;
  /** Options of a request with a body of so many bytes. */
  readonly send: (bytes: number) => SendOptions;
  readonly signal: AbortSignal | undefined;
}

/**
 * Stores `body` in parts of `objectPartBytes` (all equal but the last, as R2 wants them). Throws
 * OBJECT_STORE; the parts are dropped then, as far as the store lets us.
 */
export async function uploadParts(target: Target, body: Uint8Array): Promise<void> {
  const { Key, signal } = target;
  // A repeated last step may meet its own first try, whose answer was lost: there is no such upload
  // any more, and the object is there or it is not. All of it is sent again then.
  await tried('write', Key, signal, async () => {
    try {
      await uploadOnce(target, body);
    } catch (error) {
      const isLost = error instanceof TidemarkError && nameOf(error.cause) === 'NoSuchUpload';
      throw isLost ? new LostUpload('its parts are gone') : error;
    }
  });
}

class LostUpload extends Error {}

async function uploadOnce(target: Target, body: Uint8Array): Promise<void> {
  const { client, Bucket, Key, checksum, signal } = target;
  const algorithm = checksum && { ChecksumAlgorithm: checksum };
  const { UploadId } = await tried('write', Key, signal, () =>
    client.send(new CreateMultipartUploadCommand({ Bucket, Key, ...algorithm }), target.send(0)),
  );
  if (UploadId === undefined) throw storeError('write', Key, 'it gave no id for the upload');
  try {
    const Parts = await sendParts(target, UploadId, body);
    const command = { Bucket, Key, UploadId, MultipartUpload: { Parts } };
    await tried('write', Key, signal, () =>
      client.send(new CompleteMultipartUploadCommand(command), target.send(0)),
    );
  } catch (error) {
    await abort(target, UploadId);
    throw error;
  }
}

function sendParts(target: Target, UploadId: string, body: Uint8Array): Promise<CompletedPart[]> {
  const { client, Bucket, Key, checksum, signal } = target;
  const count = Math.ceil(body.byteLength / limits.objectPartBytes);
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  return mapParallel(numbers, limits.objectPartsAtOnce, async (PartNumber) => {
    const start = (PartNumber - 1) * limits.objectPartBytes;
    const Body = body.subarray(start, start + limits.objectPartBytes);
    const algorithm = checksum && { ChecksumAlgorithm: checksum };
    const command = { Bucket, Key, UploadId, PartNumber, Body, ...algorithm };
    const answer = await tried('write', Key, signal, () =>
      client.send(new UploadPartCommand(command), target.send(Body.byteLength)),
    );
    // Checksums are given back in the last step where the store has told them, and nowhere else.
    const { ETag, ChecksumCRC32, ChecksumSHA256 } = answer;
    return {
      PartNumber,
      ETag,
      ...(ChecksumCRC32 !== undefined && { ChecksumCRC32 }),
      ...(ChecksumSHA256 !== undefined && { ChecksumSHA256 }),
    };
  });
}

/**
 * Drops the parts: they cost room, and no listing shows them. One try, and its failure is nobody's
 * fault to mend: stores can be told to drop unfinished uploads after a day (docs/STORES.md).
 */
async function abort(target: Target, UploadId: string): Promise<void> {
  const { client, Bucket, Key } = target;
  const options = { abortSignal: AbortSignal.timeout(limits.objectAbortMs) };
  await client
    .send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }), options)
    .catch(() => undefined);
}
