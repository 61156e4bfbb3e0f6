/**
 * The lookup service: answers the read API's question for a trace that ClickHouse does not have, from the
 * archive. `GET /traces/{trace id}` with the tenant in the header `tidemark-tenant` gives that tenant's
 * spans alone. Only reads; whom the tenant's key belongs to is for the Worker to know.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tenantPattern } from '../schemas/archive.ts';
import { SettingError, TidemarkError } from '../schemas/errors.ts';
import { apiTraceSpansMax } from '../schemas/limits/api.ts';
import { traceDaysSearched } from '../schemas/limits/archive.ts';
import * as limits from '../schemas/limits/lookup.ts';
import type { Settings } from '../schemas/settings.ts';
import type { ObjectStore } from './clients/store/objects.ts';
import type { Log } from './context.ts';
import { admitOnly, isLoopback } from './gateway/admit.ts';
import type { Admit } from './gateway/admit.ts';
import { listenOn } from './listen.ts';
import { AnswerCache } from './lookup/cache.ts';
import { findTrace } from './trace.ts';

const dayMs = 86_400_000;

export interface LookupOptions {
  readonly store: ObjectStore;
  readonly settings: Pick<
    Settings,
    'TIDEMARK_LOOKUP_HOST' | 'TIDEMARK_LOOKUP_PORT' | 'TIDEMARK_LOOKUP_TOKEN'
  >;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A signal that aborts after so many milliseconds. */
  readonly timeout: (ms: number) => AbortSignal;
}

export interface LookupServer {
  /** Where it listens, such as `http://127.0.0.1:8124`. */
  readonly url: string;
  /** Answers what it has been asked, then closes. */
  close(): Promise<void>;
}

/**
 * Serves until it is closed. Throws PORT_TAKEN when it cannot listen, and `SettingError` for an address that
 * others can reach and no token.
 */
export async function startLookup(options: LookupOptions): Promise<LookupServer> {
  const {
    TIDEMARK_LOOKUP_HOST: host,
    TIDEMARK_LOOKUP_PORT: port,
    TIDEMARK_LOOKUP_TOKEN: token,
  } = options.settings;
  if (token === '' && !isLoopback(host)) {
    const message = `Cannot serve lookups on ${host}: others can reach it, and there is no token`;
    throw new SettingError('TIDEMARK_LOOKUP_TOKEN', message);
  }
  const lookup = new Lookup(options);
  const server = createServer((message, response) => void lookup.handle(message, response));
  const hint = 'choose another TIDEMARK_LOOKUP_PORT';
  const url = await listenOn(server, { host, port, what: 'trace lookups', hint });
  return {
    url,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      await closed;
    },
  };
}

/** An answer as it is sent. */
interface Answer {
  readonly status: number;
  readonly body: string;
  readonly bytes: number;
  readonly forMs: number;
}

class Lookup {
  readonly #options: LookupOptions;
  readonly #cache: AnswerCache<Answer>;
  readonly #admit: Admit;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: LookupOptions) {
    this.#options = options;
    const { TIDEMARK_LOOKUP_TOKEN: token } = options.settings;
    this.#admit = admitOnly(token === '' ? [] : [`bearer ${token}`]);
    this.#cache = new AnswerCache(limits.lookupCacheBytesMax, options.now);
  }

  async handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { status, body } = await this.#answer(message);
      send(response, status, body);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'Cannot look a trace up');
      const isOver = error instanceof TidemarkError && error.code === 'CAPACITY';
      if (response.headersSent) response.destroy();
      else send(response, isOver ? 422 : 503, fault('Cannot look into the archive now'));
    }
  }

  async #answer(message: IncomingMessage): Promise<Pick<Answer, 'status' | 'body'>> {
    const path = (message.url ?? '').split('?')[0] ?? '';
    if (message.method !== 'GET') return { status: 405, body: fault('Use GET') };
    if (path === '/healthz') return { status: 200, body: '{"ok":true}' };
    if (!this.#admit(message.headers.authorization)) {
      return { status: 401, body: fault('No valid token') };
    }
    const traceId = /^\/traces\/([0-9a-f]{32})$/.exec(path)?.[1];
    const tenantId = message.headers['tidemark-tenant'];
    if (traceId === undefined) return { status: 404, body: fault('Here is /traces/{trace id}') };
    if (typeof tenantId !== 'string' || !tenantPattern.test(tenantId)) {
      return { status: 400, body: fault('The header tidemark-tenant names no tenant') };
    }
    return await this.#cache.get(`${tenantId} ${traceId}`, () => this.#find(tenantId, traceId));
  }

  async #find(tenantId: string, traceId: string): Promise<Answer> {
    await this.#turn();
    try {
      return await this.#search(tenantId, traceId);
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #turn(): Promise<void> {
    if (this.#running >= limits.lookupsAtOnce) {
      if (this.#waiting.length >= limits.lookupsWaitingMax) {
        throw new TidemarkError(
          'OVERLOADED',
          'Cannot look a trace up: too many are being looked up',
        );
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#running += 1;
  }

  async #search(tenantId: string, traceId: string): Promise<Answer> {
    const { store, now, timeout } = this.#options;
    const nowMs = now();
    const found = await findTrace(
      store,
      {
        traceId,
        tenantId,
        // Spans may be ahead of this clock by a day, else they are quarantined.
        toMs: nowMs + dayMs,
        fromMs: nowMs - traceDaysSearched * dayMs,
        untilWhole: true,
        // As in the speed tables.
        withQuarantined: false,
      },
      { signal: timeout(limits.lookupMsMax) },
    );
    const rows = found.spans.filter(({ isDuplicate }) => !isDuplicate).map(({ row }) => row());
    if (rows.length === 0) {
      const body = fault('There is no such trace');
      return {
        status: 404,
        body,
        bytes: limits.lookupMissingBytes,
        forMs: limits.lookupMissingMs,
      };
    }
    const shown = rows.toSorted(inOrder).slice(0, apiTraceSpansMax);
    const body = JSON.stringify({ data: shown });
    if (body.length > limits.lookupAnswerBytesMax) {
      throw new TidemarkError('CAPACITY', `Cannot show a trace of ${body.length} bytes`);
    }
    return { status: 200, body, bytes: body.length, forMs: limits.lookupFoundMs };
  }
}

type Shown = Readonly<Record<'time' | 'spanId' | 'kind', string>>;

/** The order of the read API. Times are of one length. */
function inOrder(left: Shown, right: Shown): number {
  return (
    order(left.time, right.time) || order(left.spanId, right.spanId) || order(left.kind, right.kind)
  );
}

function order(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}

function fault(detail: string): string {
  return JSON.stringify({ detail });
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...(status === 503 && { 'retry-after': '1' }),
  });
  response.end(body);
}
