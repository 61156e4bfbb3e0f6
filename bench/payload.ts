/**
 * Trace requests shaped as SDKs send them: 512 spans each, 6 resource attributes, 6 to 10 span
 * attributes of several kinds, some events and links. The same bytes on every run.
 */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import type { Signal } from '../schemas/archive.ts';

const protos = fileURLToPath(new URL('../schemas/otlp/', import.meta.url));

const services = {
  traces: { file: 'trace/v1/trace_service', name: 'ExportTraceServiceRequest' },
  logs: { file: 'logs/v1/logs_service', name: 'ExportLogsServiceRequest' },
  metrics: { file: 'metrics/v1/metrics_service', name: 'ExportMetricsServiceRequest' },
} as const;

/** The request of a signal as protobufjs builds it from the official protos. */
export function requestType(signal: Signal = 'traces'): protobuf.Type {
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => `${protos}${target}`;
  const { file, name } = services[signal];
  root.loadSync(`opentelemetry/proto/collector/${file}.proto`);
  return root.lookupType(name);
}

export const spansPerRequest = 512;
/** Start of the spans, ms since 1970. */
export const startMs = 1_763_800_000_000;

export type Next = (bound: number) => number;

const names = ['frontend', 'cart', 'checkout', 'payment', 'shipping', 'catalog', 'email', 'ads'];
const methods = ['GET', 'POST', 'PUT', 'DELETE'];
const routes = [
  '/api/products/{id}',
  '/api/cart',
  '/api/checkout',
  '/api/users/{id}/orders',
  '/health',
];

/** `count` different requests, as the encoder's bytes. */
export function makeRequests(type: protobuf.Type, count: number): Uint8Array[] {
  const next = makeNext(20_261_122);
  return Array.from({ length: count }, () =>
    type
      .encode(type.fromObject(makeRequest(next)))
      .finish()
      .slice(),
  );
}

/** A linear congruential generator (Knuth's MMIX constants), the high bits of its state. */
export function makeNext(seed: number): Next {
  let state = BigInt(seed);
  return (bound) => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number((state >> 33n) % BigInt(bound));
  };
}

export function text(key: string, stringValue: string): object {
  return { key, value: { stringValue } };
}

export function whole(key: string, intValue: number): object {
  return { key, value: { intValue } };
}

export function pick(next: Next, items: readonly string[]): string {
  return items[next(items.length)] ?? '';
}

export function bytes(next: Next, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => 1 + next(255));
}

function makeRequest(next: Next): Record<string, unknown> {
  const service = pick(next, names);
  const traces = Array.from({ length: 64 }, () => bytes(next, 16));
  const spans = Array.from({ length: spansPerRequest }, () =>
    makeSpan(next, traces[next(traces.length)] ?? bytes(next, 16)),
  );
  const scope = { name: '@opentelemetry/instrumentation-http', version: '0.223.0' };
  const resource = { attributes: resourceAttributes(next, service) };
  return { resourceSpans: [{ resource, scopeSpans: [{ scope, spans }] }] };
}

/** Six, as SDKs have them. */
export function resourceAttributes(next: Next, service = pick(next, names)): object[] {
  return [
    text('service.name', service),
    text('service.version', `1.${next(20)}.${next(10)}`),
    text('telemetry.sdk.language', 'nodejs'),
    text('telemetry.sdk.name', 'opentelemetry'),
    text('telemetry.sdk.version', '2.12.1'),
    text('host.name', `${service}-7d9f8b6c5-${next(100_000)}`),
  ];
}

function makeSpan(next: Next, traceId: Uint8Array): object {
  const method = pick(next, methods);
  const route = pick(next, routes);
  const start =
    BigInt(startMs) * 1_000_000n + BigInt(next(60_000)) * 1_000_000n + BigInt(next(1e6));
  const status = next(100) < 3 ? 500 : 200;
  return {
    traceId,
    spanId: bytes(next, 8),
    ...(next(8) > 0 ? { parentSpanId: bytes(next, 8) } : {}),
    name: `${method} ${route}`,
    kind: 1 + next(5),
    startTimeUnixNano: String(start),
    endTimeUnixNano: String(start + BigInt(1 + next(50_000_000))),
    attributes: makeAttributes(next, method, route, status),
    events: status === 500 ? [exception(start)] : next(10) === 0 ? [makeEvent(start)] : [],
    links: next(20) === 0 ? [{ traceId: bytes(next, 16), spanId: bytes(next, 8) }] : [],
    status: status === 500 ? { code: 2, message: 'internal error' } : {},
    flags: 257,
  };
}

/** 6 to 10 of them. */
function makeAttributes(next: Next, method: string, route: string, status: number): object[] {
  return [
    text('http.request.method', method),
    text('http.route', route),
    text('url.path', route.replace('{id}', String(next(100_000)))),
    whole('http.response.status_code', status),
    text('server.address', 'shop.example.com'),
    whole('server.port', 443),
    text('network.peer.address', `10.${next(256)}.${next(256)}.${next(256)}`),
    text('user_agent.original', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0'),
    { key: 'http.response.cached', value: { boolValue: next(2) === 0 } },
    { key: 'app.cart.total', value: { doubleValue: next(100_000) / 100 } },
  ].slice(0, 6 + next(5));
}

function makeEvent(start: bigint): object {
  return {
    timeUnixNano: String(start + 1000n),
    name: 'cache.miss',
    attributes: [text('cache.key', 'product:1234'), whole('cache.size', 4096)],
  };
}

function exception(start: bigint): object {
  const frames = Array.from(
    { length: 6 },
    (_, index) => `    at handler (/app/src/route.js:${index}:11)`,
  );
  return {
    timeUnixNano: String(start + 2000n),
    name: 'exception',
    attributes: [
      text('exception.type', 'TypeError'),
      text('exception.message', "Cannot read properties of undefined (reading 'id')"),
      text('exception.stacktrace', `TypeError: Cannot read properties\n${frames.join('\n')}`),
    ],
  };
}
