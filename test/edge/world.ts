/**
 * Everything around an edge, with faults: the real R2 of workerd, a Kafka REST proxy, and a
 * ClickHouse that knows inserts again by their token. Nothing in it waits for time: a service that
 * is slow aborts the call's own time-out.
 */
import { env } from 'cloudflare:workers';
import { createEdge } from '../../edge/serve.ts';
import type { Edge, Env } from '../../edge/serve.ts';
import { KafkaProxy } from './kafka.ts';
import { nowMs, protobufType, transcoder } from './stack.ts';

/** `slow` does what it is asked and does not say so in time. */
export type SinkMode = 'up' | 'failing' | 'slow' | 'one table failing';

export class World {
  readonly kafka = new KafkaProxy();
  readonly warnings: string[] = [];
  /** Rows by table and token: what ClickHouse has kept. */
  readonly inserted = new Map<string, string>();
  /** Every call of R2 that writes or reads an object. */
  readonly objectCalls: string[] = [];
  readonly edge: Edge;
  speed: SinkMode = 'up';
  r2: Exclude<SinkMode, 'one table failing'> = 'up';
  nowMs = nowMs;
  /** The most calls that were under way at once. */
  callsMost = 0;
  #calls = 0;
  #hanging = 0;
  #requests = 0;
  readonly #timeouts = new Map<AbortSignal, AbortController>();
  #lastTimeout: AbortController | undefined;

  constructor(settings: Record<string, string>, bindings: Partial<Env> = {}) {
    const texts = { TIDEMARK_AUTH: 'off', ...settings };
    this.edge = createEdge(
      { ARCHIVE: this.#bucket(), ...bindings, ...texts },
      {
        module: transcoder,
        now: () => this.nowMs,
        requestId: () => `request-${(this.#requests += 1)}`,
        timeout: () => this.#timeout(),
        warn: (message) => this.warnings.push(message),
        fetch: (url, init) => this.#open(() => this.#fetch(url, init)),
      },
    );
  }

  post(path: string, body: Uint8Array): Promise<Response> {
    const init = { method: 'POST', body, headers: protobufType };
    return this.edge.fetch(new Request(`http://localhost${path}`, init));
  }

  /** All faults are over. */
  recover(): void {
    this.kafka.mode = 'up';
    this.speed = 'up';
    this.r2 = 'up';
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const signal = init.signal ?? new AbortController().signal;
    if (url.startsWith(kafkaUrl)) {
      return this.kafka.answer(url, init, () => this.#never(this.#timeouts.get(signal)));
    }
    const { searchParams } = new URL(url);
    const table = /INTO (\w+)/.exec(searchParams.get('query') ?? '')?.[1] ?? '';
    const isOfGauges = table === 'otel_metrics_gauge';
    if (this.speed === 'failing' || (this.speed === 'one table failing' && isOfGauges)) {
      return new Response('', { status: 503 });
    }
    const rows = new Uint8Array(await new Response(init.body).arrayBuffer());
    const token = searchParams.get('insert_deduplication_token') ?? '';
    this.inserted.set(`${table} ${token}`, latin1(rows));
    return this.speed === 'slow' ? this.#never(this.#timeouts.get(signal)) : new Response(null);
  }

  #bucket(): Env['ARCHIVE'] {
    const call = <T>(what: string, isObject: boolean, make: () => Promise<T>): Promise<T> => {
      if (isObject) this.objectCalls.push(what);
      if (this.r2 === 'failing') return Promise.reject(new Error('R2 is gone'));
      const [isSlow, timeout] = [this.r2 === 'slow', this.#lastTimeout];
      return this.#open(async () => {
        const value = await make();
        return isSlow ? this.#never<T>(timeout) : value;
      });
    };
    return {
      put: (key, value) => call(`put ${key}`, true, () => env.ARCHIVE.put(key, value)),
      get: (key) => call(`get ${key}`, true, () => env.ARCHIVE.get(key)),
      list: (options) => call('list', false, () => env.ARCHIVE.list(options)),
      delete: (keys) => call('delete', false, () => env.ARCHIVE.delete(keys)),
    };
  }

  async #open<T>(call: () => Promise<T>): Promise<T> {
    this.#calls += 1;
    this.callsMost = Math.max(this.callsMost, this.#calls);
    try {
      return await call();
    } finally {
      this.#calls -= 1;
    }
  }

  #timeout(): AbortSignal {
    const controller = new AbortController();
    this.#timeouts.set(controller.signal, controller);
    this.#lastTimeout = controller;
    return controller.signal;
  }

  /** An answer that does not come: its time is over when all other calls have had theirs. */
  async #never<T>(timeout: AbortController | undefined): Promise<T> {
    this.#hanging += 1;
    while (this.#calls > this.#hanging) await scheduler.wait(1);
    this.#hanging -= 1;
    timeout?.abort();
    throw new Error('aborted');
  }
}

export const kafkaUrl = 'http://kafka.example';

export function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}
