/**
 * The front: ClickHouse's HTTP interface before an engine in this process, as far as
 * `@clickhouse/client`, curl and the edge use it. The conductor of this folder: receive → run → answer.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ClickHouseError, TidemarkError } from '../../schemas/errors.ts';
import { sendAnswer, sendFault } from './answer.ts';
import type { Answer } from './answer.ts';
import { receiveBody } from './body.ts';
import type { ReceivedBody } from './body.ts';
import { Engine } from './engine.ts';
import type { EngineResult } from './engine.ts';
import { engineFault } from './fault.ts';
import { Inserter } from './insert.ts';
import { readRequest } from './request.ts';
import type { FrontRequest } from './request.ts';

export interface FrontOptions {
  readonly dataDir: string;
  /** Configuration of the engine's users, for tests of what they may do. @default none */
  readonly configPath?: string | undefined;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Called for faults that no client hears of. */
  readonly log: (line: string) => void;
  /** Nanoseconds of a clock that never goes back. */
  readonly nowNs: () => bigint;
  readonly randomId: () => string;
}

export interface Front {
  readonly port: number;
  /** Refuses new requests, ends those under way, closes the engine. */
  close(): Promise<void>;
}

const nothing: EngineResult = { bytes: new Uint8Array(), rowsRead: 0, bytesRead: 0 };

/**
 * Opens the data directory and serves it. Throws `TidemarkError` PORT_TAKEN or DATA_DIRECTORY; then
 * nothing is left open.
 */
export async function startFront(options: FrontOptions): Promise<Front> {
  const server = createServer({ keepAliveTimeout: 10_000 });
  await listen(server, options);
  try {
    return serve(server, options);
  } catch (error) {
    server.close();
    throw error;
  }
}

function serve(server: Server, options: FrontOptions): Front {
  const engine = new Engine(options.dataDir, options.configPath);
  const incoming = join(options.dataDir, 'incoming');
  rmSync(incoming, { recursive: true, force: true });
  mkdirSync(incoming, { recursive: true });
  const handler = new Handler(engine, incoming, options);
  server.on('request', (message, response) => {
    void handler.handle(message, response);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      handler.closeConnections();
      await closed;
      await handler.idle();
      engine.close();
    },
  };
}

async function listen(server: Server, { host, port }: FrontOptions): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    const why = code === 'EADDRINUSE' ? 'another program has taken it' : code;
    const message = `Cannot serve ClickHouse on ${host}:${port}: ${why}`;
    throw new TidemarkError('PORT_TAKEN', message, { cause: error });
  }
}

class Handler {
  readonly #engine: Engine;
  readonly #inserter: Inserter;
  readonly #incoming: string;
  readonly #options: FrontOptions;
  /** Inserts that were answered before they were in. */
  readonly #behind = new Set<Promise<void>>();
  readonly #answering = new Set<ServerResponse>();
  #closing = false;

  constructor(engine: Engine, incoming: string, options: FrontOptions) {
    this.#engine = engine;
    this.#inserter = new Inserter(engine, () => Number(options.nowNs()) / 1e6);
    this.#incoming = incoming;
    this.#options = options;
  }

  /** Resolves when every insert that was answered early is in or refused. */
  async idle(): Promise<void> {
    await Promise.all(this.#behind);
  }

  /** Every connection ends with the answer that it waits for, instead of staying open for more. */
  closeConnections(): void {
    this.#closing = true;
    for (const response of this.#answering) {
      if (!response.headersSent) response.setHeader('connection', 'close');
    }
  }

  async handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#answering.add(response);
    response.once('close', () => this.#answering.delete(response));
    if (this.#closing) response.setHeader('connection', 'close');
    const url = new URL(message.url ?? '/', 'http://front');
    try {
      if (sendFixed(message, response, url)) return;
      const request = readRequest(url.searchParams, message.headers, message.method === 'GET');
      response.setHeader('x-clickhouse-query-id', request.queryId ?? this.#options.randomId());
      const answer = await this.#answer(message, request);
      await sendAnswer(message, response, answer, request);
    } catch (error) {
      this.#refuse(response, error, url.searchParams.get('compress') === '1');
    } finally {
      // What the client still sends is read and dropped, so that it comes to read its answer.
      message.unpipe();
      message.resume();
    }
  }

  #refuse(response: ServerResponse, error: unknown, framesAnswer: boolean): void {
    if (!(error instanceof ClickHouseError)) this.#options.log(`Cannot answer: ${String(error)}`);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const known = error instanceof ClickHouseError ? error : engineFault(error, '');
    sendFault(response, known, framesAnswer);
  }

  async #answer(message: IncomingMessage, request: FrontRequest): Promise<Answer> {
    const startNs = this.#options.nowNs();
    const dataPath = join(this.#incoming, this.#options.randomId());
    const body = await receiveBody(message, request, dataPath);
    const isInsert = body.dataPath !== undefined;
    const result = isInsert
      ? await this.#insert(request, body, body.dataPath)
      : await this.#query(request, body);
    return {
      result,
      format: isInsert ? request.defaultFormat : (body.statement.format ?? request.defaultFormat),
      writtenRows: isInsert ? result.rowsRead : 0,
      writtenBytes: isInsert ? result.bytesRead : 0,
      elapsedNs: this.#options.nowNs() - startNs,
    };
  }

  #query(request: FrontRequest, { statement }: ReceivedBody): Promise<EngineResult> {
    return this.#engine.run({
      sql: statement.text,
      format: request.defaultFormat,
      setup: request.setup,
      keepsSession: statement.kind === 'read',
      lane: 'query',
    });
  }

  async #insert(
    request: FrontRequest,
    { statement, dataBytes }: ReceivedBody,
    dataPath: string,
  ): Promise<EngineResult> {
    const job = { statement, setup: request.setup, dataPath, dataBytes };
    if (request.asyncInsert === 'no') return this.#inserter.insert(job);
    const done = this.#inserter.insertTogether(job, request.asyncToken);
    if (request.asyncInsert === 'wait') await done;
    else this.#leaveBehind(done);
    return nothing;
  }

  #leaveBehind(done: Promise<void>): void {
    const logged = done
      .catch((error: unknown) => this.#options.log(`Cannot insert: ${String(error)}`))
      .finally(() => this.#behind.delete(logged));
    this.#behind.add(logged);
  }
}

/** Answers what needs no engine: liveness, unknown paths and methods. */
function sendFixed(message: IncomingMessage, response: ServerResponse, url: URL): boolean {
  const isGet = message.method === 'GET' || message.method === 'HEAD';
  const isLive =
    url.pathname === '/ping' || (url.pathname === '/' && !url.searchParams.has('query'));
  response.setHeader('content-type', 'text/plain; charset=UTF-8');
  if (isGet && isLive) {
    response.end('Ok.\n');
    return true;
  }
  if (url.pathname !== '/') {
    response.statusCode = 404;
    response.end(`There is no handle ${url.pathname}\nUse / or /ping.\n`);
    return true;
  }
  if (message.method === 'GET' || message.method === 'POST') return false;
  response.statusCode = 405;
  response.setHeader('allow', 'GET, POST');
  response.end('Use GET or POST.\n');
  return true;
}
