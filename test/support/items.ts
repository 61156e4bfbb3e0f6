/**
 * The items of a request as protobufjs reads them by the official protos, each as one line of JSON
 * with what it stands under: two requests say the same exactly when they have the same lines. What
 * proto3 does not tell apart (a field of 0 and none, an empty message and none) is one here too.
 */
import type { Signal } from '../../schemas/archive.ts';
import { bytesOf, decode, listOf } from '../aggregator-as/oracle.ts';
import type { Decoded } from '../aggregator-as/oracle.ts';

const requests: Record<Signal, { type: string; resources: string; scopes: string; items: string }> =
  {
    traces: {
      type: 'ExportTraceServiceRequest',
      resources: 'resourceSpans',
      scopes: 'scopeSpans',
      items: 'spans',
    },
    logs: {
      type: 'ExportLogsServiceRequest',
      resources: 'resourceLogs',
      scopes: 'scopeLogs',
      items: 'logRecords',
    },
    metrics: {
      type: 'ExportMetricsServiceRequest',
      resources: 'resourceMetrics',
      scopes: 'scopeMetrics',
      items: 'metrics',
    },
  };

/** Members of Metric's oneof, with the types of their points. */
const data: Record<string, readonly [type: string, point: string]> = {
  gauge: ['Gauge', 'NumberDataPoint'],
  sum: ['Sum', 'NumberDataPoint'],
  histogram: ['Histogram', 'HistogramDataPoint'],
  exponentialHistogram: ['ExponentialHistogram', 'ExponentialHistogramDataPoint'],
  summary: ['Summary', 'SummaryDataPoint'],
};

/** Fields that are told from none when they are 0 or empty. */
const present = new Set(
  `stringValue boolValue intValue doubleValue arrayValue kvlistValue bytesValue asDouble asInt min max
   positive negative`.split(/\s+/),
);

/** Members of the oneofs that are named `value`: of several that were sent, the last counts. */
const members = new Set(
  `stringValue boolValue intValue doubleValue arrayValue kvlistValue bytesValue asDouble asInt`.split(
    ' ',
  ),
);

/** The lines of a request's items, in its order; a data point is an item. */
export function linesOf(signal: Signal, request: Uint8Array): string[] {
  const names = requests[signal];
  return listOf(decode(names.type, request), names.resources).flatMap((envelope) => {
    const resource = owner(envelope, 'resource', 'Resource');
    return listOf(envelope, names.scopes).flatMap((scoped) => {
      const above = { resource, scope: owner(scoped, 'scope', 'InstrumentationScope') };
      const items = listOf(scoped, names.items) as unknown as Uint8Array[];
      return items.flatMap((bytes) =>
        (signal === 'metrics' ? pointsOf(bytes) : [itemOf(signal, bytes)]).map((item) =>
          JSON.stringify({ ...above, ...item }),
        ),
      );
    });
  });
}

function owner(envelope: Decoded, name: string, type: string): unknown {
  const schemaUrl = Buffer.from(bytesOf(envelope, 'schemaUrl')).toString();
  return { message: plain(decode(type, bytesOf(envelope, name))), schemaUrl };
}

function itemOf(signal: Signal, bytes: Uint8Array): { item: unknown } {
  const decoded = decode(signal === 'traces' ? 'Span' : 'LogRecord', bytes);
  const isBody = Object.hasOwn(decoded, 'body');
  const body = isBody ? plain(decode('AnyValue', bytesOf(decoded, 'body'))) : {};
  return { item: { ...(plain(decoded) as object), body } };
}

function pointsOf(bytes: Uint8Array): { metric: unknown; point: unknown }[] {
  const decoded = decode('Metric', bytes);
  const member = decoded['data'] as string | undefined;
  const [type, pointType] = data[member ?? ''] ?? [];
  if (member === undefined || type === undefined || pointType === undefined) return [];
  const rest = Object.entries(decoded).filter(([name]) => !Object.hasOwn(data, name));
  const kind = decode(type, bytesOf(decoded, member));
  const points = listOf(kind, 'dataPoints') as unknown as Uint8Array[];
  const shared = Object.entries(kind).filter(([name]) => name !== 'dataPoints');
  const metric = { [member]: fieldsOf(shared), ...fieldsOf(rest) };
  return points.map((point) => ({
    metric,
    point: { pointType, ...(plain(decode(pointType, point), pointType) as object) },
  }));
}

/** A decoded value in a form that is equal for what says the same. */
function plain(value: unknown, type = ''): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map((each) => plain(each));
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (Object.is(value, -0)) return '-0';
  if (typeof value !== 'object' || value === null) return value;
  const { low, high } = value as { low?: number; high?: number };
  if (low !== undefined && high !== undefined) return `${high >>> 0}:${low >>> 0}`;
  const isPoint = type !== '' && type !== 'SummaryDataPoint';
  return fieldsOf(
    Object.entries(value).filter(([name]) => isCurrent(value, name)),
    isPoint,
  );
}

/** protobufjs names the member that was sent last in a virtual property. */
function isCurrent(message: object, name: string): boolean {
  return !members.has(name) || (message as Decoded)['value'] === name;
}

function fieldsOf(entries: readonly [string, unknown][], isPoint = false): Record<string, unknown> {
  const fields = entries
    .map(([name, value]): [string, unknown] => [
      name,
      name === '$unknowns' ? unknowns(value) : plain(value),
    ])
    .filter(([name, value]) => present.has(name) || (isPoint && name === 'sum') || !isEmpty(value))
    .toSorted(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(fields);
}

function unknowns(value: unknown): unknown {
  return (value as Uint8Array[]).map((bytes) => Buffer.from(bytes).toString('hex'));
}

function isEmpty(value: unknown): boolean {
  if (value === 0 || value === '' || value === false || value === '0:0') return true;
  return value === null || (typeof value === 'object' && Object.keys(value).length === 0);
}
