/**
 * ClickHouse's exceptions as the HTTP interface shows them: their text and the HTTP status of their
 * code. It holds no state and sends nothing.
 */
import { ClickHouseError } from '../../schemas/errors.ts';

/** Codes by HTTP status, as in ClickHouse's `exceptionCodeToHTTPStatus`; all others are 500. */
const codesByStatus: Readonly<Record<number, readonly number[]>> = {
  400: [
    36, 427, 6, 25, 26, 38, 41, 72, 441, 675, 676, 27, 376, 15, 44, 37, 123, 8, 167, 168, 223, 62,
    117, 53, 321,
  ],
  401: [194],
  403: [192, 193, 516, 512, 497],
  404: [60, 46, 47, 50, 56, 81, 115, 152, 63, 73, 336, 78, 511],
  408: [159],
  411: [381],
  413: [229],
  415: [779],
  501: [48],
  503: [209, 76, 439],
};

/** HTTP status that ClickHouse gives an exception with this code. */
export function statusOfCode(clickhouseCode: number): number {
  for (const [status, codes] of Object.entries(codesByStatus)) {
    if (codes.includes(clickhouseCode)) return Number(status);
  }
  return 500;
}

/** An exception of the front itself, worded as ClickHouse words its own. */
export function fault(code: number, name: string, what: string): ClickHouseError {
  return new ClickHouseError(code, `Code: ${code}. DB::Exception: ${what}. (${name})`);
}

/** STD_EXCEPTION: what ClickHouse calls an error that has no code of its own. */
const unknownCode = 1001;

/**
 * The engine's error as a `ClickHouseError`: its code, and its text without the wrapping that the
 * in-process engine adds and without the paths of the front's own files.
 */
export function engineFault(error: unknown, ownPath: string): ClickHouseError {
  const raw = error instanceof Error ? error.message : String(error);
  const message = unwrap(raw).replaceAll(new RegExp(` ?\\(in file/uri [^)]*\\):?`, 'g'), '');
  const code = Number(/^Code: (\d+)\./.exec(message)?.[1] ?? unknownCode);
  const text = message.replaceAll(ownPath, '').trim();
  const named = text.startsWith('Code: ')
    ? text
    : `Code: ${code}. DB::Exception: ${text}. (STD_EXCEPTION)`;
  return new ClickHouseError(code, named, { cause: error });
}

/** `Code: N. DB::Exception: <inner message> (version …). (NAME)` holds the whole message again. */
function unwrap(message: string): string {
  const wrapped = /^Code: (\d+)\. DB::Exception: (Code: \1\.[^]*) \(version [^)]*\)\. \(\w+\)$/;
  const inner = wrapped.exec(message.trim())?.[2];
  return inner === undefined ? message.trim() : unwrap(inner);
}
