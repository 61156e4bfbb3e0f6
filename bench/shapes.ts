/**
 * Requests of each signal as large as the edge accepts them: ordinary items, and items that are
 * small while what every row repeats (the resource) is large. The same on every run.
 */
import { Transcoder } from '../aggregator-as/host.ts';
import { jsonToProtobuf } from '../edge/json.ts';
import { signalWires } from '../edge/signal.ts';
import type { Signal } from '../schemas/archive.ts';
import { TidemarkError } from '../schemas/errors.ts';

/** A request in OTLP/JSON: `head`, the item so many times, `tail`. */
export interface Shape {
  readonly name: string;
  readonly signal: Signal;
  readonly head: string;
  readonly item: string;
  readonly tail: string;
}

/** What bounds a request. */
export interface Bounds {
  readonly bytesMax: number;
  readonly module: WebAssembly.Module;
  readonly pagesMax: number;
}

export const receivedMs = 1_795_348_800_000;
const nowNs = `${receivedMs}000000`;
const ids = '"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"';

const plain = resource([
  text('service.name', 'checkout'),
  text('service.version', '1.20.3'),
  text('host.name', 'checkout-7d9f8b6c5-12345'),
  text('telemetry.sdk.language', 'nodejs'),
]);
/** 64 KiB that every row repeats. */
const heavy = resource([text('k', 'v'.repeat(64 * 1024))]);

const attributes = [
  text('http.request.method', 'GET'),
  text('http.route', '/api/products/{id}'),
  '{"key":"http.response.status_code","value":{"intValue":"200"}}',
  text('server.address', 'shop.example.com'),
  text('user_agent.original', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36'),
].join(',');

const span =
  `{${ids},"name":"GET /api/products/{id}","kind":2,"startTimeUnixNano":"${nowNs}",` +
  `"endTimeUnixNano":"${nowNs}","attributes":[${attributes}]}`;
const tinySpan = `{${ids},"startTimeUnixNano":"${nowNs}"}`;
const line =
  `{${ids},"timeUnixNano":"${nowNs}","severityNumber":9,"severityText":"INFO",` +
  `"body":{"stringValue":"payment of order 4711 accepted after 12 ms"},"attributes":[${attributes}]}`;
const tinyLine = `{"timeUnixNano":"${nowNs}"}`;
const point = `{"timeUnixNano":"${nowNs}","asDouble":1.5,"attributes":[${attributes}]}`;
const tinyPoint = `{"timeUnixNano":"${nowNs}","asInt":"1"}`;
const buckets =
  `{"timeUnixNano":"${nowNs}","count":"8","sum":4,"bucketCounts":["1","2","3","2"],` +
  `"explicitBounds":[0.1,1,10],"attributes":[${attributes}]}`;

export const shapes: readonly Shape[] = [
  traces('spans', plain, span),
  traces('tiny spans', plain, tinySpan),
  traces('tiny spans of a large resource', heavy, tinySpan),
  logs('log records', plain, line),
  logs('tiny log records of a large resource', heavy, tinyLine),
  metrics('gauge points', plain, 'gauge', point),
  metrics('tiny points', plain, 'gauge', tinyPoint),
  metrics('tiny points of a large resource', heavy, 'gauge', tinyPoint),
  metrics('histogram points', plain, 'histogram', buckets),
];

/** The shape with so many items, in OTLP/JSON. */
export function jsonOf({ head, item, tail }: Shape, count: number): string {
  return `${head}${Array.from({ length: count }, () => item).join(',')}${tail}`;
}

/** The same in protobuf. */
export function protobufOf(shape: Shape, count: number): Uint8Array {
  const json = Buffer.from(jsonOf(shape, count));
  return jsonToProtobuf(signalWires[shape.signal].request, json, 2 ** 30);
}

/** How many items of the shape a request may have at most, in this encoding. */
export function largest(shape: Shape, encoding: 'protobuf' | 'json', bounds: Bounds): number {
  const size = (count: number) =>
    encoding === 'json' ? jsonOf(shape, count).length : protobufOf(shape, count).length;
  const itemBytes = (size(2000) - size(1000)) / 1000;
  let low = 1;
  let high = Math.floor((bounds.bytesMax - size(1)) / itemBytes);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(shape, middle, bounds)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Whether the rows fit the transcoder. */
function fits(shape: Shape, count: number, { module, pagesMax }: Bounds): boolean {
  try {
    new Transcoder(module, { pagesMax }).toRowBinary(shape.signal, protobufOf(shape, count), {
      tenantId: 'default',
      receivedMs,
      pastMaxMs: 1,
      futureMaxMs: 1,
    });
    return true;
  } catch (error) {
    if (error instanceof TidemarkError && error.code === 'CAPACITY') return false;
    throw error;
  }
}

function traces(name: string, of: string, item: string): Shape {
  const head = `{"resourceSpans":[{${of},"scopeSpans":[{"spans":[`;
  return { name, signal: 'traces', head, item, tail: ']}]}]}' };
}

function logs(name: string, of: string, item: string): Shape {
  const head = `{"resourceLogs":[{${of},"scopeLogs":[{"logRecords":[`;
  return { name, signal: 'logs', head, item, tail: ']}]}]}' };
}

function metrics(name: string, of: string, kind: string, item: string): Shape {
  const metric = `"name":"http.server.request.duration","unit":"s","${kind}":{"dataPoints":[`;
  const temporality = kind === 'gauge' ? '' : ',"aggregationTemporality":2';
  const head = `{"resourceMetrics":[{${of},"scopeMetrics":[{"metrics":[{${metric}`;
  return { name, signal: 'metrics', head, item, tail: `]${temporality}}}]}]}]}` };
}

function resource(list: readonly string[]): string {
  return `"resource":{"attributes":[${list.join(',')}]}`;
}

function text(key: string, value: string): string {
  return `{"key":"${key}","value":{"stringValue":"${value}"}}`;
}
