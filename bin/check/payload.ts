/**
 * Makes the requests that rows send: small, valid unless asked otherwise, and recognizable by
 * `service.name = tidemark-check`. Never sends anything.
 */
import type { Encoding, Send, Signal, Target } from './row.ts';
import { bytes, fixed64, join, utf8, varint } from './wire.ts';

export const signals: readonly Signal[] = ['traces', 'metrics', 'logs'];

export const encodings: readonly Encoding[] = ['protobuf', 'json'];

export const mediaTypes = {
  protobuf: 'application/x-protobuf',
  json: 'application/json',
} as const satisfies Record<Encoding, string>;

const serviceName = 'tidemark-check';

const schemaUrl = 'https://opentelemetry.io/schemas/1.27.0';

export function pathOf(signal: Signal): string {
  return `/v1/${signal}`;
}

/** A POST of `body` to the signal's path. */
export function post(
  signal: Signal,
  encoding: Encoding,
  body: Uint8Array | string,
  headers: Readonly<Record<string, string>> = {},
): Send {
  return {
    path: pathOf(signal),
    headers: { 'content-type': mediaTypes[encoding], ...headers },
    body: typeof body === 'string' ? utf8(body) : body,
  };
}

/** A request of one valid item. */
export function valid(target: Target, signal: Signal, encoding: Encoding): Uint8Array {
  return encoding === 'protobuf'
    ? requestBytes(itemBytes(target, signal))
    : utf8(requestJson(signal, itemJson(target, signal)));
}

/** A request of two valid items around an invalid one. */
export function mixed(target: Target, signal: Signal, encoding: Encoding): Uint8Array {
  return encoding === 'protobuf'
    ? requestBytes(
        itemBytes(target, signal),
        invalidBytes(target, signal),
        itemBytes(target, signal),
      )
    : utf8(
        requestJson(
          signal,
          itemJson(target, signal),
          invalidJson(target, signal),
          itemJson(target, signal),
        ),
      );
}

/** A request with these items. All three signals nest alike: resource_x.scope_x.items. */
export function requestBytes(...items: readonly Uint8Array[]): Uint8Array {
  const resource = bytes(1, bytes(1, attributeBytes('service.name', serviceName)));
  const scope = bytes(1, bytes(1, serviceName));
  const schema = bytes(3, schemaUrl);
  return bytes(
    1,
    resource,
    bytes(2, scope, ...items.map((item) => bytes(2, item)), schema),
    schema,
  );
}

const jsonNames = {
  traces: ['resourceSpans', 'scopeSpans', 'spans'],
  metrics: ['resourceMetrics', 'scopeMetrics', 'metrics'],
  logs: ['resourceLogs', 'scopeLogs', 'logRecords'],
} as const satisfies Record<Signal, readonly [string, string, string]>;

/** The same in OTLP/JSON. */
export function requestJson(signal: Signal, ...items: readonly object[]): string {
  const [resources, scopes, list] = jsonNames[signal];
  const resource = {
    attributes: [{ key: 'service.name', value: { stringValue: serviceName } }],
  };
  const scope = { name: serviceName };
  return JSON.stringify({ [resources]: [{ resource, [scopes]: [{ scope, [list]: items }] }] });
}

/** A valid span, log record or gauge. */
export function itemBytes(target: Target, signal: Signal): Uint8Array {
  if (signal === 'traces') return spanBytes(target, {});
  if (signal === 'logs') return logBytes(target, {});
  return metricBytes('gauge', pointBytes(target));
}

export function itemJson(target: Target, signal: Signal): object {
  if (signal === 'traces') return spanJson(target);
  if (signal === 'logs') return logJson(target);
  return { name: metricName, gauge: { dataPoints: [pointJson(target)] } };
}

/** An item that breaks the comments of the protos: a short trace id, a point without a time. */
function invalidBytes(target: Target, signal: Signal): Uint8Array {
  const traceId = target.randomBytes(15);
  if (signal === 'traces') return spanBytes(target, { traceId });
  if (signal === 'logs') return logBytes(target, { traceId });
  return metricBytes('gauge', pointBytes(target, 0n));
}

function invalidJson(target: Target, signal: Signal): object {
  const traceId = hex(target.randomBytes(15));
  if (signal === 'traces') return { ...spanJson(target), traceId };
  if (signal === 'logs') return { ...logJson(target), traceId };
  const { timeUnixNano: _, ...timeless } = pointJson(target);
  return { name: metricName, gauge: { dataPoints: [timeless] } };
}

interface SpanParts {
  readonly traceId?: Uint8Array;
  readonly spanId?: Uint8Array;
  readonly startNs?: bigint;
  readonly endNs?: bigint;
  /** Fields that come after the others. */
  readonly more?: Uint8Array;
}

/** opentelemetry.proto.trace.v1.Span */
export function spanBytes(target: Target, parts: SpanParts): Uint8Array {
  const endNs = parts.endNs ?? target.nowNs();
  return join(
    bytes(1, parts.traceId ?? target.randomBytes(16)),
    bytes(2, parts.spanId ?? target.randomBytes(8)),
    bytes(5, 'check'),
    varint(6, 2),
    fixed64(7, parts.startNs ?? endNs - 1_000_000n),
    fixed64(8, endNs),
    parts.more ?? new Uint8Array(),
  );
}

export function spanJson(target: Target) {
  const endNs = target.nowNs();
  return {
    traceId: hex(target.randomBytes(16)),
    spanId: hex(target.randomBytes(8)),
    name: 'check',
    kind: 2,
    startTimeUnixNano: String(endNs - 1_000_000n),
    endTimeUnixNano: String(endNs),
  };
}

interface LogParts {
  readonly traceId?: Uint8Array;
  readonly timeNs?: bigint;
  readonly observedNs?: bigint;
  readonly more?: Uint8Array;
}

/** opentelemetry.proto.logs.v1.LogRecord */
export function logBytes(target: Target, parts: LogParts): Uint8Array {
  const nowNs = target.nowNs();
  return join(
    fixed64(1, parts.timeNs ?? nowNs),
    varint(2, 9),
    bytes(5, bytes(1, 'check')),
    bytes(9, parts.traceId ?? target.randomBytes(16)),
    bytes(10, target.randomBytes(8)),
    fixed64(11, parts.observedNs ?? nowNs),
    parts.more ?? new Uint8Array(),
  );
}

function logJson(target: Target) {
  return {
    timeUnixNano: String(target.nowNs()),
    severityNumber: 9,
    body: { stringValue: 'check' },
    traceId: hex(target.randomBytes(16)),
    spanId: hex(target.randomBytes(8)),
  };
}

const metricName = 'tidemark.check';

/** Field numbers of opentelemetry.proto.metrics.v1.Metric's oneof. */
const metricKinds = { gauge: 5, sum: 7, histogram: 9, exponential: 10, summary: 11 } as const;

/** A metric with one data point; `more` are further fields of the kind, such as temporality. */
export function metricBytes(
  kind: keyof typeof metricKinds,
  point: Uint8Array,
  ...more: readonly Uint8Array[]
): Uint8Array {
  return join(bytes(1, metricName), bytes(metricKinds[kind], bytes(1, point), ...more));
}

/** A NumberDataPoint of value 1. */
export function pointBytes(
  target: Target,
  timeNs = target.nowNs(),
  more: Uint8Array = new Uint8Array(),
): Uint8Array {
  return join(fixed64(3, timeNs), fixed64(6, 1n), more);
}

export function pointJson(target: Target) {
  return { timeUnixNano: String(target.nowNs()), asInt: '1' };
}

/** A KeyValue whose value is a string. */
export function attributeBytes(name: string, value: string): Uint8Array {
  return join(bytes(1, name), bytes(2, bytes(1, value)));
}

export function hex(value: Uint8Array): string {
  return Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
