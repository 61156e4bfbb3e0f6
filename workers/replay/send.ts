/**
 * Sends OTLP/HTTP requests as the protocol wants it (OTLP 1.11, "OTLP/HTTP"): gzip, protobuf, again
 * after what may pass, never again after what will not. Counts nothing and remembers nothing.
 */
import { promisify } from 'node:util';
import { gzip as gzipCallback } from 'node:zlib';
import type { Signal } from '../../schemas/archive.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { FieldReader } from '../../schemas/field.ts';
import * as limits from '../../schemas/limits/replay.ts';

const gzip = promisify(gzipCallback);

export interface SendOptions {
  /** Where `/v1/traces`, `/v1/logs` and `/v1/metrics` are, with or without a slash at the end. */
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** A number in [0, 1): spreads retries. */
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Hears of each try that failed and is made again. */
  readonly onRetry: (reason: string, pauseMs: number) => void;
}

/** What became of a request. `too large`: it was refused for its size and may be sent in parts. */
export type Sent =
  | {
      readonly outcome: 'taken';
      /** Items that the receiver says it refused, and why. */
      readonly rejected: number;
      readonly message: string;
      /** Bytes on the wire. */
      readonly bytes: number;
    }
  | { readonly outcome: 'too large' };

/** Statuses after which OTLP lets a client send again. */
const retryable: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/**
 * Sends one request until it is taken. Throws `TidemarkError` SINK_FAILED: retryable when the tries
 * are spent, not retryable for an answer that sending again does not change.
 */
export async function sendRequest(
  signal: Signal,
  request: Uint8Array,
  options: SendOptions,
  headers: Readonly<Record<string, string>> = {},
): Promise<Sent> {
  const body = await gzip(request);
  for (let attempt = 1; ; attempt += 1) {
    options.signal.throwIfAborted();
    const answer = await post(signal, body, options, headers);
    if (answer.status === 413) return { outcome: 'too large' };
    if (answer.status >= 200 && answer.status < 300) {
      return { outcome: 'taken', ...partialSuccess(answer.body), bytes: body.length };
    }
    const text = `Cannot send to ${urlOf(signal, options)}: ${answer.reason}`;
    if (answer.status === 0 ? isLasting(answer.cause) : !retryable.has(answer.status)) {
      throw new TidemarkError('SINK_FAILED', text, { cause: answer.cause });
    }
    if (attempt === limits.replayTriesMax) {
      const tries = `${text}, after ${attempt} tries`;
      throw new TidemarkError('SINK_FAILED', tries, { cause: answer.cause, retryable: true });
    }
    const pauseMs = answer.retryAfterMs ?? backoffMs(attempt, options.random());
    options.onRetry(answer.reason, pauseMs);
    await options.sleep(pauseMs, options.signal);
  }
}

/** Exponential, with half of it random. */
function backoffMs(attempt: number, random: number): number {
  const ms = Math.min(limits.replayPauseMsMax, limits.replayPauseMs * 2 ** (attempt - 1));
  return Math.round(ms * (0.5 + random / 2));
}

interface Answer {
  /** HTTP status, 0 when there was no answer. */
  readonly status: number;
  readonly body: Uint8Array;
  readonly reason: string;
  readonly retryAfterMs: number | undefined;
  readonly cause: unknown;
}

async function post(
  signal: Signal,
  body: Uint8Array,
  options: SendOptions,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const deadline = AbortSignal.timeout(limits.replayRequestMs);
  try {
    const response = await options.fetch(urlOf(signal, options), {
      method: 'POST',
      headers: {
        ...options.headers,
        ...headers,
        'content-type': 'application/x-protobuf',
        'content-encoding': 'gzip',
      },
      body: body as Uint8Array<ArrayBuffer>,
      redirect: 'manual',
      signal: AbortSignal.any([options.signal, deadline]),
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const { status } = response;
    const said = status >= 300 ? statusMessage(response.headers.get('content-type'), bytes) : '';
    const reason = `HTTP ${status}${said === '' ? '' : `, ${said}`}`;
    const retryAfterMs = retryAfter(response.headers.get('retry-after'), options.now());
    return { status, body: bytes, reason, retryAfterMs, cause: undefined };
  } catch (cause) {
    options.signal.throwIfAborted();
    const reason = faultOf(cause);
    return { status: 0, body: new Uint8Array(), reason, retryAfterMs: undefined, cause };
  }
}

/** Faults of a certificate, which stay until somebody mends them. */
const lasting = /^(?:CERT_|DEPTH_ZERO_|ERR_TLS_|SELF_SIGNED_|UNABLE_TO_)/;

/**
 * Whether nothing was sent, nor ever will be: a header that no request may have, or a port that fetch blocks
 * (WHATWG Fetch, "Port blocking"). What the network did is the cause of a `TypeError`, with a code of its own.
 */
function isLasting(error: unknown): boolean {
  if (!(error instanceof TypeError)) return false;
  const { cause } = error;
  if (!(cause instanceof Error)) return true;
  return cause.message === 'bad port' || ('code' in cause && lasting.test(String(cause.code)));
}

function urlOf(signal: Signal, { endpoint }: SendOptions): string {
  return `${endpoint.replace(/\/+$/, '')}/v1/${signal}`;
}

/** undici hides what went wrong in the cause. */
function faultOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? cause.message || cause.name : error.message;
}

/** Seconds or a date (RFC 9110, section 10.2.3), as ms from now. */
function retryAfter(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  if (Number.isNaN(ms)) return undefined;
  return Math.min(limits.replayRetryAfterMsMax, Math.max(0, ms));
}

/** Export…ServiceResponse: partial_success 1 { rejected_… 1, error_message 2 }. */
function partialSuccess(body: Uint8Array): { rejected: number; message: string } {
  const answer = body.subarray(0, limits.replayAnswerBytesMax);
  const success = fieldOf(answer, 1);
  if (success === undefined) return { rejected: 0, message: '' };
  const message = fieldOf(success, 2);
  return {
    rejected: varintOf(success, 1),
    message: message === undefined ? '' : Buffer.from(message).toString(),
  };
}

/** The message of a `google.rpc.Status` (field 2), or the beginning of a text. */
function statusMessage(contentType: string | null, body: Uint8Array): string {
  const isProtobuf = contentType?.includes('protobuf') === true;
  const bytes = isProtobuf ? (fieldOf(body, 2) ?? new Uint8Array()) : body;
  const text = Buffer.from(bytes.subarray(0, 1000)).toString();
  return text
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, 300);
}

function fieldOf(message: Uint8Array, number: number): Uint8Array | undefined {
  const field = new FieldReader();
  let found: Uint8Array | undefined;
  for (let at = 0; field.read(message, at, message.length); at = field.to) {
    if (field.number === number && field.wireType === 2) {
      found = message.subarray(field.contents, field.to);
    }
  }
  return found;
}

function varintOf(message: Uint8Array, number: number): number {
  const field = new FieldReader();
  let value = 0;
  for (let at = 0; field.read(message, at, message.length); at = field.to) {
    if (field.number !== number || field.wireType !== 0) continue;
    value = 0;
    const bytes = message.subarray(field.contents, field.to);
    for (const [index, byte] of bytes.entries()) value += (byte & 127) * 128 ** index;
  }
  return value;
}
