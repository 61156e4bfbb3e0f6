/**
 * Makes the answers of OTLP/HTTP: export responses and `google.rpc.Status` bodies, in the
 * encoding of the request. It decides which status an error has, and nothing else does.
 */
import type { Tally } from '../aggregator-as/host.ts';
import { DecodeError, ThrottleError, TidemarkError } from '../schemas/errors.ts';
import type { ErrorCode } from '../schemas/errors.ts';
import { answerMessageCharsMax, retryAfterSeconds } from '../schemas/limits.ts';
import type { MediaType } from './receive.ts';
import type { SignalWire } from './signal.ts';
import { Wire, wireBytes, wireVarint } from './json/wire.ts';

/** Codes of gRPC (google/rpc/code.proto) that we answer. */
const invalidArgument = 3;
const notFound = 5;
const permissionDenied = 7;
const resourceExhausted = 8;
const unimplemented = 12;
const internal = 13;
const unavailable = 14;
const unauthenticated = 16;

interface Verdict {
  readonly status: number;
  readonly grpc: number;
}

/**
 * OTLP 1.11 lets clients retry 429, 502, 503 and 504 alone: whatever may pass is 503, and 500 is
 * left to bugs. Codes that are not here cannot be a request's fault and pass as well.
 */
const verdicts: Partial<Record<ErrorCode, Verdict>> = {
  BAD_OTLP: { status: 400, grpc: invalidArgument },
  BAD_ENCODING: { status: 400, grpc: invalidArgument },
  BODY_TOO_LARGE: { status: 413, grpc: invalidArgument },
  CAPACITY: { status: 413, grpc: invalidArgument },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, grpc: invalidArgument },
  UNSUPPORTED_ENCODING: { status: 415, grpc: invalidArgument },
  UNAUTHENTICATED: { status: 401, grpc: unauthenticated },
  FORBIDDEN: { status: 403, grpc: permissionDenied },
  THROTTLED: { status: 429, grpc: resourceExhausted },
  NOT_FOUND: { status: 404, grpc: notFound },
};

const passing: Verdict = { status: 503, grpc: unavailable };

/** 200 for a request whose items were judged; tells what was rejected or set aside. */
export function exported(type: MediaType, wire: SignalWire, tally: Tally): Response {
  const message = shorten(remark(wire, tally));
  if (message === '')
    return answer(type, 200, type === 'application/json' ? '{}' : new Uint8Array());
  if (type === 'application/json') {
    // proto3 JSON writes an int64 as a string and leaves a zero out.
    const rejected = tally.rejected > 0 ? { [wire.rejectedName]: String(tally.rejected) } : {};
    return answer(
      type,
      200,
      JSON.stringify({ partialSuccess: { ...rejected, errorMessage: message } }),
    );
  }
  const body = newWire();
  nest(body, 1, () => {
    if (tally.rejected > 0) {
      body.key(1, wireVarint);
      body.varint(tally.rejected);
    }
    text(body, 2, message);
  });
  return answer(type, 200, body.written());
}

/** The status of the answer to an error. */
export function statusOf(error: unknown): number {
  if (!(error instanceof TidemarkError)) return 500;
  return (verdicts[error.code] ?? passing).status;
}

/** The answer to an error: its status, and a Status body that says why. */
export function refused(type: MediaType, error: unknown): Response {
  if (!(error instanceof TidemarkError)) {
    return statusAnswer(type, { status: 500, grpc: internal }, 'Cannot answer: a bug of Tidemark');
  }
  const verdict = verdicts[error.code] ?? passing;
  const field = error instanceof DecodeError ? error.field : '';
  const details = verdict.status === 400 ? [{ field, description: error.message }] : [];
  const response = statusAnswer(type, verdict, error.message, details);
  const pause = error instanceof ThrottleError ? error.retryAfterSeconds : retryAfterSeconds;
  if ([429, 503].includes(verdict.status)) response.headers.set('Retry-After', String(pause));
  if (verdict.status === 401) response.headers.set('WWW-Authenticate', 'Bearer');
  return response;
}

/** 405 for a method that a path does not have. */
export function wrongMethod(type: MediaType, allowed: string): Response {
  const verdict = { status: 405, grpc: unimplemented };
  const response = statusAnswer(type, verdict, `Cannot serve this method here: use ${allowed}`);
  response.headers.set('Allow', allowed);
  return response;
}

interface Violation {
  readonly field: string;
  readonly description: string;
}

const badRequestType = 'type.googleapis.com/google.rpc.BadRequest';

/** `violations` become a `google.rpc.BadRequest` in the details. */
function statusAnswer(
  type: MediaType,
  { status, grpc }: Verdict,
  message: string,
  violations: readonly Violation[] = [],
): Response {
  const short = shorten(message);
  const fieldViolations = violations.map(({ field, description }) => ({
    field: shorten(field),
    description: shorten(description),
  }));
  if (type === 'application/json') {
    const details =
      violations.length > 0 ? { details: [{ '@type': badRequestType, fieldViolations }] } : {};
    return answer(type, status, JSON.stringify({ code: grpc, message: short, ...details }));
  }
  const wire = newWire();
  wire.key(1, wireVarint);
  wire.varint(grpc);
  text(wire, 2, short);
  if (fieldViolations.length > 0) nest(wire, 3, () => writeBadRequest(wire, fieldViolations));
  return answer(type, status, wire.written());
}

/** google.protobuf.Any { type_url = 1; value = 2 } that holds a BadRequest. */
function writeBadRequest(wire: Wire, violations: readonly Violation[]): void {
  text(wire, 1, badRequestType);
  nest(wire, 2, () => {
    for (const { field, description } of violations) {
      nest(wire, 1, () => {
        text(wire, 1, field);
        text(wire, 2, description);
      });
    }
  });
}

/** What a client should know about a request that was taken; empty when all is well. */
function remark({ items }: SignalWire, tally: Tally): string {
  const parts: string[] = [];
  if (tally.rejected > 0) {
    const all = tally.accepted + tally.rejected;
    const first = tally.firstRejection === undefined ? '' : `; first: ${tally.firstRejection}`;
    parts.push(`${tally.rejected} of ${all} ${items} rejected (${reasons(tally)})${first}`);
  }
  if (tally.quarantined > 0) {
    const far = `${tally.quarantined} ${items} whose time is too far off`;
    parts.push(`archived, but not shown live: ${far}`);
  }
  return parts.join('. ');
}

function reasons({ rejectedBy }: Tally): string {
  return Object.entries(rejectedBy)
    .map(([reason, count]) => `${reason}: ${count}`)
    .join(', ');
}

function answer(type: MediaType, status: number, body: string | Uint8Array): Response {
  return new Response(body, { status, headers: { 'Content-Type': type } });
}

function newWire(): Wire {
  return new Wire(256, 64 * answerMessageCharsMax);
}

function text(wire: Wire, field: number, value: string): void {
  wire.key(field, wireBytes);
  wire.text(value);
}

function nest(wire: Wire, field: number, write: () => void): void {
  wire.key(field, wireBytes);
  const start = wire.open(1);
  write();
  wire.close(start, 1);
}

function shorten(message: string): string {
  if (message.length <= answerMessageCharsMax) return message;
  return `${message.slice(0, answerMessageCharsMax - 1)}…`;
}
