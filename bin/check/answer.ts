/**
 * Reads answers of OTLP/HTTP endpoints, strictly: export responses and `google.rpc.Status`, in
 * protobuf and JSON. It describes what it sees and never judges it.
 */
import type { Answer, Target } from './row.ts';
import { readFields } from './wire.ts';
import type { Field } from './wire.ts';

/** google.rpc.Status. */
export interface StatusBody {
  readonly code: number;
  readonly message: string;
  /** Whether the details hold a `google.rpc.BadRequest`. */
  readonly hasBadRequest: boolean;
}

/** Export*ServiceResponse. All three signals have the same fields under different JSON names. */
export interface ExportBody {
  readonly partial?: {
    readonly rejected: bigint;
    readonly message: string;
    /** In JSON: whether the number is written as proto3 JSON writes an int64. Else true. */
    readonly isTextual: boolean;
    /** Names in JSON; empty in protobuf. */
    readonly names: readonly string[];
  };
}

const charsShown = 100;

/** A byte order mark is part of a text, and no part of JSON. */
const strict = { fatal: true, ignoreBOM: true };

/** The media type of the answer without parameters. */
export function typeOf(answer: Answer): string {
  return (answer.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/** The answer's body as a Status by its own content type, or undefined when it is none. */
export function readStatus(answer: Answer): StatusBody | undefined {
  if (answer.body.length === 0) return undefined;
  if (typeOf(answer) === 'application/x-protobuf') return statusOfBytes(answer.body);
  return typeOf(answer) === 'application/json' ? statusOfJson(answer.body) : undefined;
}

function statusOfBytes(body: Uint8Array): StatusBody | undefined {
  const fields = readFields(body);
  if (fields === undefined || fields.some(({ field }) => field > 3)) return undefined;
  const message = text(last(fields, 2));
  const code = last(fields, 1) ?? 0n;
  if (typeof code !== 'bigint' || message === undefined) return undefined;
  const details = fields.filter(({ field }) => field === 3).map(({ value }) => value);
  const hasBadRequest = details.some((any) => {
    const inner = any instanceof Uint8Array ? readFields(any) : undefined;
    return (text(inner && last(inner, 1)) ?? '').endsWith('google.rpc.BadRequest');
  });
  return { code: Number(code), message, hasBadRequest };
}

function statusOfJson(body: Uint8Array): StatusBody | undefined {
  const value = parse(body);
  if (value === undefined) return undefined;
  const { code = 0, message = '', details = [], ...others } = value;
  if (Object.keys(others).length > 0 || typeof code !== 'number') return undefined;
  if (typeof message !== 'string' || !Array.isArray(details)) return undefined;
  const hasBadRequest = details.some((any) =>
    String((any as Record<string, unknown>)['@type']).endsWith('google.rpc.BadRequest'),
  );
  return { code, message, hasBadRequest };
}

/** The answer's body as an Export*ServiceResponse, or undefined when it is none. */
export function readExport(answer: Answer): ExportBody | undefined {
  if (typeOf(answer) === 'application/x-protobuf') return exportOfBytes(answer.body);
  return typeOf(answer) === 'application/json' ? exportOfJson(answer.body) : undefined;
}

function exportOfBytes(body: Uint8Array): ExportBody | undefined {
  const fields = readFields(body);
  if (fields === undefined || fields.some(({ field }) => field !== 1)) return undefined;
  const partial = last(fields, 1);
  if (partial === undefined) return {};
  const inner = partial instanceof Uint8Array ? readFields(partial) : undefined;
  const rejected = inner && (last(inner, 1) ?? 0n);
  const message = inner && text(last(inner, 2));
  if (typeof rejected !== 'bigint' || message === undefined) return undefined;
  return { partial: { rejected, message, isTextual: true, names: [] } };
}

function exportOfJson(body: Uint8Array): ExportBody | undefined {
  const value = parse(body);
  if (value === undefined || Object.keys(value).some((name) => name !== 'partialSuccess')) {
    return undefined;
  }
  const partial = value['partialSuccess'];
  if (partial === undefined) return {};
  if (typeof partial !== 'object' || partial === null) return undefined;
  const { errorMessage = '', ...counts } = partial as Record<string, unknown>;
  const [rejected = '0'] = Object.values(counts);
  if (typeof errorMessage !== 'string' || !/^-?\d+$/.test(String(rejected))) return undefined;
  return {
    partial: {
      rejected: BigInt(String(rejected)),
      message: errorMessage,
      isTextual: typeof rejected === 'string',
      names: Object.keys(partial),
    },
  };
}

/** The answer with its body decompressed, or undefined when it is not what it says. */
export function plainAnswer(
  { gunzip }: Pick<Target, 'gunzip'>,
  answer: Answer,
): Answer | undefined {
  if (answer.headers['content-encoding'] === undefined) return answer;
  try {
    return { ...answer, body: gunzip(answer.body) };
  } catch {
    return undefined;
  }
}

/** How many items the answer says were rejected; undefined when it says none of it. */
export function rejectedBy(answer: Answer): bigint | undefined {
  return readExport(answer)?.partial?.rejected;
}

/** True for 200 with a body that sets nothing, or sets an empty partial success. */
export function isTaken(answer: Answer): boolean {
  const body = readExport(answer);
  if (answer.status !== 200 || body === undefined) return false;
  return body.partial === undefined || body.partial.rejected === 0n;
}

/** True for a request refused as a whole, or a single item rejected. */
export function isRefused(answer: Answer): boolean {
  return isClientFault(answer) || (rejectedBy(answer) ?? 0n) > 0n;
}

/** True for 4xx answers but those that say "try again". */
export function isClientFault({ status }: Answer): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

/** One line for people: status, type, and what the body says. */
export function describeAnswer(answer: Answer): string {
  if (answer.status === 0) return `no answer (${answer.lost ?? 'unknown'})`;
  return `${answer.status} ${contentOf(answer)}`;
}

function contentOf(answer: Answer): string {
  if (answer.status === 200) {
    const body = readExport(answer);
    const partial = body?.partial;
    if (partial && partial.rejected === 0n && partial.message === '') {
      return 'an empty partial_success';
    }
    if (partial) return `rejected ${partial.rejected} "${shorten(partial.message)}"`;
    if (body) return typeOf(answer) === 'application/json' ? '{}' : 'empty';
  }
  const status = readStatus(answer);
  if (status) return `Status(${status.code}, "${shorten(status.message)}")`;
  const type = answer.headers['content-type'];
  if (answer.body.length === 0) return 'without a body';
  return `${type ?? 'untyped'} "${shorten(new TextDecoder().decode(answer.body))}"`;
}

function shorten(message: string): string {
  const line = message.replaceAll(/[\s\p{C}]+/gu, ' ').trim();
  return line.length > charsShown ? `${line.slice(0, charsShown)}…` : line;
}

function last(fields: readonly Field[], number: number): Field['value'] | undefined {
  return fields.findLast(({ field }) => field === number)?.value;
}

/** A string field; empty when it is absent, undefined when it is none. */
function text(value: Field['value'] | undefined): string | undefined {
  if (value === undefined) return '';
  if (typeof value === 'bigint') return undefined;
  try {
    return new TextDecoder('utf-8', strict).decode(value);
  } catch {
    return undefined;
  }
}

function parse(body: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', strict).decode(body));
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
