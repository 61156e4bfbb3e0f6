/**
 * What an answer of an object store, or the lack of one, means: which faults pass when the request
 * is sent again, and what a caller is told of the others. Never sends anything itself.
 */
import pRetry from 'p-retry';
import { TidemarkError } from '../../../schemas/errors.ts';
import * as limits from '../../../schemas/limits.ts';

/** A body that ended early, or that is not what its checksum says. */
export class BrokenBody extends Error {}

/**
 * Sends a request, and again after faults that pass, `requestTriesMax` times at most with growing,
 * random pauses. Throws TidemarkErrors of `send` as they are, everything else as OBJECT_STORE with
 * `action` and `key` in the message. Ends at once when `signal` aborts, in a pause too.
 */
export async function tried<T>(
  action: string,
  key: string,
  signal: AbortSignal | undefined,
  send: () => Promise<T>,
): Promise<T> {
  try {
    return await pRetry(send, {
      retries: limits.requestTriesMax - 1,
      minTimeout: limits.objectRetryMs,
      maxTimeout: limits.objectRetryMsMax,
      randomize: true,
      shouldRetry: ({ error }) => !(error instanceof TidemarkError) && isPassing(error),
      ...(signal && { signal }),
    });
  } catch (error) {
    throw error instanceof TidemarkError ? error : storeError(action, key, error);
  }
}

/** HTTP status of an SDK error, `undefined` when no answer came. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  return (error.$metadata as { httpStatusCode?: number }).httpStatusCode;
}

/** The store's own name of an error, such as NoSuchUpload; empty when there is none. */
export function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

/**
 * S3 answers 409 to a conditional write while another one of the same key is under way. A 200 that
 * is an error all the same was not understood: a proxy's page, or XML that was cut off.
 */
const passingStatus: ReadonlySet<number> = new Set([200, 408, 409, 425, 429]);

/** Refusals of bytes or times that went wrong on the way; the SDK mends its clock by the answer. */
const passingNames: ReadonlySet<string> = new Set([
  'BadDigest',
  'IncompleteBody',
  'InvalidDigest',
  'RequestTimeTooSkewed',
  'RequestTimeout',
  'XAmzContentChecksumMismatch',
  'XAmzContentSHA256Mismatch',
]);

/** What stands in the way of any answer until somebody changes a setting. */
const lasting = /^(?:CERT_|DEPTH_ZERO_|ERR_INVALID_URL|ERR_TLS_|SELF_SIGNED_|UNABLE_TO_)/;

function isPassing(error: unknown): boolean {
  const status = statusOf(error);
  if (status === undefined) return !isLasting(error);
  if (passingStatus.has(status) || passingNames.has(nameOf(error))) return true;
  return status >= 500 && status !== 501;
}

function isLasting(error: unknown): boolean {
  if (nameOf(error) === 'CredentialsProviderError') return true;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return lasting.test(code);
}

/** OBJECT_STORE, retryable when the same request may succeed later. */
export function storeError(action: string, key: string, cause: unknown): TidemarkError {
  const status = statusOf(cause);
  const what = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  const answer = status === undefined ? what : `HTTP ${status}, ${what}`;
  return new TidemarkError('OBJECT_STORE', `Cannot ${action} "${key}" in the store: ${answer}`, {
    cause,
    retryable: isPassing(cause),
  });
}
