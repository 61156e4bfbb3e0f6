/**
 * Writes answers of ClickHouse's HTTP interface: results, summaries and exceptions, with the headers
 * that clients read. It decides nothing about statements.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { ClickHouseError } from '../../schemas/errors.ts';
import type { EngineResult } from './engine.ts';
import { statusOfCode } from './fault.ts';
import { framed } from './frame.ts';
import { nativeOf } from './native.ts';
import type { FrontRequest } from './request.ts';

export interface Answer {
  readonly result: EngineResult;
  readonly format: string;
  readonly writtenRows: number;
  readonly writtenBytes: number;
  readonly elapsedNs: bigint;
}

/** Media types of the formats that have one; all others are bytes. */
const mediaTypes: readonly (readonly [RegExp, string])[] = [
  [/^JSON(Compact|Strings)?\w*EachRow/, 'application/x-ndjson; charset=UTF-8'],
  [/^JSON/, 'application/json; charset=UTF-8'],
  [/^(TabSeparated|TSV)/, 'text/tab-separated-values; charset=UTF-8'],
  [/^CSV/, 'text/csv; charset=UTF-8'],
  [/^(Pretty|Vertical|Values|Markdown|TSKV|Raw|LineAs)/, 'text/plain; charset=UTF-8'],
];

/** How the client reads its answer. */
export type Reading = Pick<FrontRequest, 'compressAnswer' | 'framesAnswer' | 'revision'>;

/**
 * Sends a result, compressed if the client asked for it twice, as ClickHouse wants it. Throws
 * `ClickHouseError` 48 for what it cannot send to a native client.
 */
export async function sendAnswer(
  message: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  reading: Reading,
): Promise<void> {
  const { result, format } = answer;
  const native = format === 'Native' ? nativeOf(result.bytes, reading.revision) : result.bytes;
  const bytes = reading.framesAnswer ? framed(native) : native;
  const type = mediaTypes.find(([pattern]) => pattern.test(format))?.[1];
  response.setHeader('content-type', type ?? 'application/octet-stream');
  response.setHeader('x-clickhouse-format', format);
  response.setHeader('x-clickhouse-timezone', 'UTC');
  response.setHeader('x-clickhouse-summary', summary(answer));
  const accepted = message.headers['accept-encoding'] ?? '';
  if (!reading.compressAnswer || !/\bgzip\b/.test(accepted)) {
    response.end(bytes);
    return;
  }
  response.setHeader('content-encoding', 'gzip');
  response.end(await promisify(gzip)(bytes));
}

/** Sends an exception: its text, in frames if the client reads those, code and status. */
export function sendFault(
  response: ServerResponse,
  error: ClickHouseError,
  framesAnswer: boolean,
): void {
  response.statusCode = statusOfCode(error.clickhouseCode);
  response.setHeader('content-type', 'text/plain; charset=UTF-8');
  response.setHeader('x-clickhouse-exception-code', error.clickhouseCode);
  const text = `${error.message}\n`;
  response.end(framesAnswer ? framed(Buffer.from(text)) : text);
}

/** Counts are strings, because 64-bit numbers are. */
function summary({ result, writtenRows, writtenBytes, elapsedNs }: Answer): string {
  return JSON.stringify({
    read_rows: String(result.rowsRead),
    read_bytes: String(result.bytesRead),
    written_rows: String(writtenRows),
    written_bytes: String(writtenBytes),
    total_rows_to_read: '0',
    result_rows: '0',
    result_bytes: String(result.bytes.length),
    elapsed_ns: String(elapsedNs),
  });
}
