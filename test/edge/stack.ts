/**
 * An edge for tests: the real conductor, transcoder and R2, with a ClickHouse, clock and names
 * that the test hands in.
 */
import { env } from 'cloudflare:workers';
import transcoder from '../../aggregator-as/build/transcode.wasm';
import { jsonToProtobuf } from '../../edge/json.ts';
import { createEdge } from '../../edge/serve.ts';
import type { Edge, Env } from '../../edge/serve.ts';

export interface Insert {
  readonly url: URL;
  readonly headers: Headers;
  readonly rows: Uint8Array;
}

export interface Options {
  readonly settings?: Record<string, string>;
  /** What ClickHouse does with an insert; by default it takes it. */
  readonly clickhouse?: (insert: Insert, signal: AbortSignal) => Promise<Response> | Response;
  readonly bucket?: Env['ARCHIVE'];
  /** Milliseconds since 1970; by default time stands still at `nowMs`. */
  readonly now?: () => number;
  /** Other bindings. Without keys the edge serves loopback addresses alone. */
  readonly bindings?: Partial<Env>;
}

export interface Stack {
  readonly edge: Edge;
  /** Inserts that were tried, in order. */
  readonly inserts: Insert[];
  readonly warnings: string[];
  /** POSTs to any path of the endpoint. */
  readonly postTo: (
    path: string,
    body: BodyInit | null,
    headers?: Record<string, string>,
  ) => Promise<Response>;
  /** POSTs to `/v1/traces`. */
  readonly post: (body: BodyInit | null, headers?: Record<string, string>) => Promise<Response>;
}

/** 2026-11-22T12:00:00Z. */
export const nowMs = 1_795_348_800_000;
export const protobufType = { 'content-type': 'application/x-protobuf' };
export const jsonType = { 'content-type': 'application/json' };
export { transcoder };

/** Makes an edge on the test's R2 bucket. */
export function stack(options: Options = {}): Stack {
  const inserts: Insert[] = [];
  const warnings: string[] = [];
  let requests = 0;
  const settings = { TIDEMARK_AUTH: 'off', ...options.settings };
  const edge = createEdge(
    {
      ARCHIVE: options.bucket ?? env.ARCHIVE,
      ...options.bindings,
      ...settings,
    },
    {
      module: transcoder,
      now: options.now ?? (() => nowMs),
      requestId: () => `request-${(requests += 1)}`,
      timeout: (ms) => AbortSignal.timeout(ms),
      warn: (message) => warnings.push(message),
      fetch: async (url, init) => {
        const rows = new Uint8Array(await new Response(init.body).arrayBuffer());
        const insert = { url: new URL(url), headers: new Headers(init.headers), rows };
        inserts.push(insert);
        const signal = init.signal ?? new AbortController().signal;
        return (await options.clickhouse?.(insert, signal)) ?? new Response(null);
      },
    },
  );
  const postTo: Stack['postTo'] = (path, body, headers = protobufType) =>
    edge.fetch(new Request(`http://localhost${path}`, { method: 'POST', body, headers }));
  const post: Stack['post'] = (body, headers) => postTo('/v1/traces', body, headers);
  return { edge, inserts, warnings, post, postTo };
}

/** A ClickHouse that never answers, until it is not waited for any more. */
export function silent(_insert: Insert, signal: AbortSignal): Promise<Response> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('aborted')));
  });
}

/** A span in OTLP/JSON; `index` makes its ids. */
export function span(index: number, fields: Record<string, unknown> = {}): object {
  const id = (index + 1).toString(16);
  return {
    traceId: id.padStart(32, '0'),
    spanId: id.padStart(16, '0'),
    name: `span ${index}`,
    startTimeUnixNano: `${nowMs}000000`,
    endTimeUnixNano: `${nowMs}001000`,
    ...fields,
  };
}

/** A request in OTLP/JSON with these spans. */
export function requestJson(spans: readonly object[]): string {
  return JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
}

/** The same in protobuf. */
export function requestBytes(spans: readonly object[]): Uint8Array {
  const json = new TextEncoder().encode(requestJson(spans));
  return jsonToProtobuf('ExportTraceServiceRequest', json, 1 << 26);
}

/** All keys of the bucket, in order. */
export async function keys(): Promise<string[]> {
  const { objects } = await env.ARCHIVE.list();
  return objects.map(({ key }) => key);
}

/** The bytes of one object. */
export async function stored(key: string): Promise<Uint8Array> {
  const object = await env.ARCHIVE.get(key);
  if (object === null) throw new Error(`there is no ${key}`);
  return new Uint8Array(await object.arrayBuffer());
}

/** Empties the bucket. */
export async function clear(): Promise<void> {
  const all = await keys();
  if (all.length > 0) await env.ARCHIVE.delete(all);
}
