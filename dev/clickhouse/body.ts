/**
 * Receives a request's body: inflates it, keeps to the bound, finds the statement at its start and
 * puts the data that follows into a file. It never holds a large body in memory and runs nothing.
 */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from 'node:zlib';
import { clickHouseBodyBytesMax, clickHouseStatementBytesMax } from '../../schemas/limits/dev.ts';
import { fault } from './fault.ts';
import { unframed } from './frame.ts';
import { readStatement } from './statement.ts';
import type { Statement } from './statement.ts';

export interface ReceivedBody {
  readonly statement: Statement;
  /** Of an insert: the file that holds its data. The caller removes it. */
  readonly dataPath: string | undefined;
  readonly dataBytes: number;
}

/** What the URL says of a body. */
export interface BodyOptions {
  /** The statement's text, or empty. */
  readonly query: string;
  readonly framesBody: boolean;
}

/**
 * Receives the body of `message`. `dataPath` is where data goes if the statement carries any. Throws
 * `ClickHouseError`: 62 for no statement or more than one, 229 for a body past the bound, 354 for
 * corrupt compression, 210 for a cut connection, and what `unframed` throws.
 */
export async function receiveBody(
  message: IncomingMessage,
  { query, framesBody }: BodyOptions,
  dataPath: string,
): Promise<ReceivedBody> {
  const sent = inflated(message);
  const chunks = bounded(framesBody ? unframed(sent) : sent)[Symbol.asyncIterator]();
  const queryBytes = Buffer.from(query, 'utf8');
  const whole = query === '' ? undefined : insertOf(queryBytes);
  if (whole !== undefined) {
    const start = queryBytes.subarray(whole.dataStart);
    const dataBytes = await store(chunks, start, dataPath);
    return { statement: inUtf8(whole), dataPath, dataBytes };
  }
  const prefix = query === '' ? [] : [queryBytes, Buffer.from('\n')];
  const { head, isWhole } = await readHead(chunks, prefix);
  const statement = readStatement(head.toString('latin1'));
  if (statement.kind === 'insert') {
    const dataBytes = await store(chunks, head.subarray(statement.dataStart), dataPath);
    return { statement: inUtf8(statement), dataPath, dataBytes };
  }
  if (!isWhole) {
    const bound = clickHouseStatementBytesMax;
    throw fault(62, 'SYNTAX_ERROR', `Syntax error: statement is longer than ${bound} bytes`);
  }
  return { statement: inUtf8(statement), dataPath: undefined, dataBytes: 0 };
}

/** The statement of the URL if its data comes in the body. */
function insertOf(query: Buffer): Statement | undefined {
  const statement = readStatement(query.toString('latin1'));
  return statement.kind === 'insert' ? statement : undefined;
}

function inUtf8(statement: Statement): Statement {
  const text = Buffer.from(statement.text, 'latin1').toString('utf8');
  const settingsClause = Buffer.from(statement.settingsClause, 'latin1').toString('utf8');
  return { ...statement, text, settingsClause };
}

/** The first bytes of a body, enough to hold any statement, and whether that is all of it. */
async function readHead(
  chunks: AsyncIterator<Buffer>,
  prefix: readonly Buffer[],
): Promise<{ head: Buffer; isWhole: boolean }> {
  const parts = [...prefix];
  let bytes = parts.reduce((sum, part) => sum + part.length, 0);
  while (bytes <= clickHouseStatementBytesMax) {
    const { done, value } = await chunks.next();
    if (done === true) return { head: Buffer.concat(parts), isWhole: true };
    parts.push(value);
    bytes += value.length;
  }
  return { head: Buffer.concat(parts), isWhole: false };
}

/** Writes `start` and the rest of `chunks` to a file; a body that does not end well leaves none. */
async function store(
  chunks: AsyncIterator<Buffer>,
  start: Buffer,
  dataPath: string,
): Promise<number> {
  let bytes = 0;
  async function* data(): AsyncGenerator<Buffer> {
    bytes += start.length;
    if (start.length > 0) yield start;
    for await (const chunk of { [Symbol.asyncIterator]: () => chunks }) {
      bytes += chunk.length;
      yield chunk;
    }
  }
  try {
    await pipeline(Readable.from(data()), createWriteStream(dataPath));
  } catch (error) {
    await rm(dataPath, { force: true });
    throw error;
  }
  return bytes;
}

/** The chunks of a body as they come, until one passes the bound. */
async function* bounded(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > clickHouseBodyBytesMax) {
      const bound = clickHouseBodyBytesMax;
      throw fault(229, 'QUERY_IS_TOO_LARGE', `Request body is larger than ${bound} bytes`);
    }
    yield chunk;
  }
}

const inflaters = {
  gzip: createGunzip,
  deflate: createInflate,
  zstd: createZstdDecompress,
  br: createBrotliDecompress,
};

/** The body without its Content-Encoding. */
async function* inflated(message: IncomingMessage): AsyncGenerator<Buffer> {
  const encoding = (message.headers['content-encoding'] ?? 'identity').toLowerCase();
  try {
    if (encoding === 'identity' || encoding === '') {
      yield* message.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
      return;
    }
    if (!Object.hasOwn(inflaters, encoding)) throw unknownEncoding(encoding);
    const inflater = inflaters[encoding as keyof typeof inflaters]();
    message.on('error', (error) => inflater.destroy(error));
    yield* message.pipe(inflater) as AsyncIterable<Buffer>;
  } catch (error) {
    throw bodyFault(error);
  }
}

function unknownEncoding(encoding: string): Error {
  return fault(48, 'NOT_IMPLEMENTED', `Unsupported HTTP compression method: ${encoding}`);
}

/** Node's stream errors as ClickHouse's: a cut connection or corrupt compression. */
function bodyFault(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (typeof code !== 'string') return error;
  if (/^(Z_|ZSTD_|ERR__?(ZSTD|BROTLI)|ERR_[A-Z_]*DECOMP|ERR_PADDING)/.test(code)) {
    return fault(354, 'ZLIB_INFLATE_FAILED', `Cannot inflate the request body (${code})`);
  }
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') {
    return fault(210, 'NETWORK_ERROR', 'The connection closed before the body ended');
  }
  return error;
}
