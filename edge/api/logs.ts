/** The resource of log records. Only data. */
import * as z from 'zod/mini';
import {
  bound,
  cursor,
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

export const logs = resource({
  path: '/logs',
  name: 'logs',
  summary: 'Log records, the latest first',
  query: z.object({
    ...range,
    service: text('Only this service'),
    severity: z.optional(number('Least severity number: 9 is INFO, 13 WARN, 17 ERROR', 0, 24)),
    search: text('Only bodies that hold this text; letter case does not matter'),
    traceId: z.optional(hexTraceId),
    limit,
    cursor,
  }),
  row: z.object({
    time: z.string(),
    timeNs: z.string(),
    service: z.string(),
    severity: z.string(),
    severityNumber: z.int(),
    body: z.string(),
    traceId: z.string(),
    spanId: z.string(),
    attributes: z.record(z.string(), z.string()),
  }),
  orderedBy: 'timeNs',
  read: (asked) => ({
    sql: `SELECT Timestamp AS time, toString(toUnixTimestamp64Nano(Timestamp)) AS timeNs,
        ServiceName AS service, SeverityText AS severity, SeverityNumber AS severityNumber,
        Body AS body, TraceId AS traceId, SpanId AS spanId, LogAttributes AS attributes
      FROM otel_logs ${where([
        'TenantId = {tenant:String}',
        ...withinRange,
        asked.service !== undefined && 'ServiceName = {service:String}',
        asked.severity !== undefined && 'SeverityNumber >= {severity:UInt8}',
        asked.search !== undefined && 'positionCaseInsensitiveUTF8(Body, {search:String}) > 0',
        asked.traceId !== undefined && 'TraceId = lower({traceId:String})',
        asked.cursor && 'Timestamp <= fromUnixTimestamp64Nano({at:Int64})',
      ])}
      ORDER BY Timestamp DESC, ServiceName, TraceId, SpanId, Body
      LIMIT {rows:UInt32} OFFSET {skip:UInt32}`,
    parameters: bound({
      ...rangeOf(asked),
      service: asked.service,
      severity: asked.severity,
      search: asked.search,
      traceId: asked.traceId,
      at: asked.cursor?.at,
      skip: asked.cursor?.skip ?? 0,
    }),
  }),
});
