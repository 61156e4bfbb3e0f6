/** Resources about traces: search, and one trace's spans. Only data. */
import * as z from 'zod/mini';
import { apiTraceSpansMax } from '../../schemas/limits/api.ts';
import {
  bound,
  cursor,
  described,
  hexTraceId,
  limit,
  number,
  range,
  rangeOf,
  resource,
  text,
  where,
  withinRange,
} from './resource.ts';

const service = text('Only traces with a span of this service');
const operation = text('Only traces with a span of this operation (the span name)');
const duration = z.optional(number('Milliseconds of the span, inclusive', 0, 1e9));

const time = described(z.string(), 'ISO 8601, ns');

export const traces = resource({
  path: '/traces',
  name: 'traces',
  summary: 'Spans that match, with their traces, the latest first',
  query: z.object({
    ...range,
    service,
    operation,
    status: z.optional(described(z.enum(['Unset', 'Ok', 'Error']), 'Of the span')),
    minDurationMs: duration,
    maxDurationMs: duration,
    attribute: text('Only spans with this attribute, as `key=value`'),
    limit,
    cursor,
  }),
  row: z.object({
    time,
    timeNs: z.string(),
    traceId: z.string(),
    spanId: z.string(),
    service: z.string(),
    operation: z.string(),
    kind: z.string(),
    status: z.string(),
    durationMs: z.number(),
  }),
  orderedBy: 'timeNs',
  read: (asked) => {
    const [key, value] = splitAttribute(asked.attribute);
    return {
      sql: `SELECT Timestamp AS time, toString(toUnixTimestamp64Nano(Timestamp)) AS timeNs,
          TraceId AS traceId, SpanId AS spanId, ServiceName AS service, SpanName AS operation,
          SpanKind AS kind, StatusCode AS status, Duration / 1e6 AS durationMs
        FROM otel_traces ${where([
          'TenantId = {tenant:String}',
          ...withinRange,
          asked.service !== undefined && 'ServiceName = {service:String}',
          asked.operation !== undefined && 'SpanName = {operation:String}',
          asked.status !== undefined && 'StatusCode = {status:String}',
          asked.minDurationMs !== undefined && 'Duration >= {min:Float64} * 1e6',
          asked.maxDurationMs !== undefined && 'Duration <= {max:Float64} * 1e6',
          key !== undefined && 'SpanAttributes[{key:String}] = {value:String}',
          asked.cursor && 'Timestamp <= fromUnixTimestamp64Nano({at:Int64})',
        ])}
        ORDER BY Timestamp DESC, TraceId, SpanId, SpanKind
        LIMIT {rows:UInt32} OFFSET {skip:UInt32}`,
      parameters: bound({
        ...rangeOf(asked),
        service: asked.service,
        operation: asked.operation,
        status: asked.status,
        min: asked.minDurationMs,
        max: asked.maxDurationMs,
        key,
        value,
        at: asked.cursor?.at,
        skip: asked.cursor?.skip ?? 0,
      }),
    };
  },
});

/** When the trace began and ended, of whatever tenant: the wider range shows nobody more. */
const ofTrace = 'FROM otel_traces_trace_id_ts WHERE TraceId = lower({traceId:String})';

const attributes = z.record(z.string(), z.string());

export const trace = resource({
  path: '/traces/{traceId}',
  name: 'trace',
  summary:
    'The spans of one trace, by start, from the speed layer, else from the archive; copies of a span are shown once',
  query: z.object({}),
  pathParameters: z.object({
    traceId: hexTraceId,
  }),
  row: z.object({
    time,
    spanId: z.string(),
    parentSpanId: z.string(),
    service: z.string(),
    operation: z.string(),
    kind: z.string(),
    status: z.string(),
    statusMessage: z.string(),
    durationMs: z.number(),
    attributes,
    resource: attributes,
    events: z.array(z.object({ time, name: z.string(), attributes })),
    layer: described(z.enum(['realtime', 'archive']), 'Where the spans are from'),
  }),
  isOneThing: true,
  archivedTrace: ({ traceId }) => traceId,
  read: ({ traceId }) => ({
    sql: `SELECT Timestamp AS time, SpanId AS spanId, ParentSpanId AS parentSpanId,
        ServiceName AS service, SpanName AS operation, SpanKind AS kind, StatusCode AS status,
        StatusMessage AS statusMessage, Duration / 1e6 AS durationMs,
        SpanAttributes AS attributes, ResourceAttributes AS resource,
        arrayMap((at, name, own) -> CAST((at, name, own),
          'Tuple(time DateTime64(9), name String, attributes Map(String, String))'),
          Events.Timestamp, Events.Name, Events.Attributes) AS events, 'realtime' AS layer
      FROM otel_traces
      WHERE TenantId = {tenant:String} AND TraceId = lower({traceId:String})
        AND Timestamp >= (SELECT min(Start) ${ofTrace})
        AND Timestamp <= (SELECT max(End) + 1 ${ofTrace})
      ORDER BY Timestamp, SpanId, SpanKind
      LIMIT 1 BY SpanId, SpanKind
      LIMIT ${apiTraceSpansMax}`,
    parameters: { traceId },
  }),
});

/** Key and value of `key=value`; none when nothing was given, no value when there is no `=`. */
function splitAttribute(given: string | undefined): readonly [string?, string?] {
  if (given === undefined) return [];
  const at = given.indexOf('=');
  return at === -1 ? [given, ''] : [given.slice(0, at), given.slice(at + 1)];
}
