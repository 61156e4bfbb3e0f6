/**
 * What the archiver and its encoding threads say to each other. A thread answers each request but
 * `reset` with one reply, and keeps nothing of a request but the flush itself.
 */
import type { Signal } from '../../schemas/archive.ts';
import { DecodeError, TidemarkError } from '../../schemas/errors.ts';
import type { ErrorCode } from '../../schemas/errors.ts';
import type { PendingFile } from './commit.ts';
import type { Added, AddOptions, RawRecord, StageTimes } from './encode.ts';

/** What a thread is given when it starts. */
export interface ThreadContext {
  readonly transcoder: WebAssembly.Module;
  /** Bound on the memory of the columns, in pages of 64 KiB. */
  readonly pagesMax: number;
  readonly attributesMax: number;
}

/** A record whose bytes lie in a buffer that it shares with others, one after the other. */
export type PackedRecord = Omit<RawRecord, 'request'> & { readonly byteLength: number };

export type ThreadRequest =
  | {
      readonly type: 'add';
      readonly signal: Signal;
      readonly records: readonly PackedRecord[];
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly options: AddOptions;
    }
  /** Asks for the next file. */
  | { readonly type: 'next'; readonly signal: Signal }
  /** Forgets the flush. */
  | { readonly type: 'reset' };

/** An error as a message: a copy of an `Error` would lose its fields. */
export interface Fault {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly byteOffset: number | undefined;
}

export type PackedAdded = Omit<Added, 'dead'> & {
  readonly dead: readonly { readonly index: number; readonly fault: Fault }[];
};

export type ThreadReply =
  | {
      readonly type: 'added';
      readonly added: PackedAdded;
      readonly times: StageTimes;
      /** The records' buffer, for the next ones. */
      readonly spare: ArrayBuffer;
    }
  | { readonly type: 'file'; readonly file: PendingFile; readonly times: StageTimes }
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly fault: Fault };

/** The records without their bytes, and these in a buffer of their own: `spare`, if they fit into it. */
export function pack(
  records: readonly RawRecord[],
  spare?: ArrayBuffer,
): {
  readonly records: PackedRecord[];
  readonly bytes: Uint8Array<ArrayBuffer>;
} {
  const length = records.reduce((sum, { request }) => sum + request.byteLength, 0);
  const fits = spare !== undefined && spare.byteLength >= length;
  const bytes = new Uint8Array(fits ? spare : new ArrayBuffer(length), 0, length);
  let at = 0;
  const packed = records.map(({ request, offset, receivedMs, edgeMs, tenantId, name, fault }) => {
    bytes.set(request, at);
    at += request.byteLength;
    const { byteLength } = request;
    const packedRecord = { offset, receivedMs, edgeMs, tenantId, name, byteLength };
    return fault === undefined ? packedRecord : { ...packedRecord, fault };
  });
  return { records: packed, bytes };
}

/** The records again; their requests are views of `bytes`. */
export function unpack(records: readonly PackedRecord[], bytes: Uint8Array): RawRecord[] {
  let at = 0;
  return records.map(({ byteLength, ...record }) => {
    at += byteLength;
    return { ...record, request: bytes.subarray(at - byteLength, at) };
  });
}

/** The error as a message. */
export function toFault(error: TidemarkError): Fault {
  const { code, message, retryable } = error;
  const byteOffset = error instanceof DecodeError ? error.byteOffset : undefined;
  return { code, message, retryable, byteOffset };
}

/** The error again, of the class that it was of. */
export function fromFault({ code, message, retryable, byteOffset }: Fault): TidemarkError {
  if (byteOffset !== undefined) return new DecodeError(message, byteOffset, { retryable });
  return new TidemarkError(code, message, { retryable });
}
