/**
 * What HyperDX (ClickStack) asks of the tables, on the real engine, of data that the real SDK has sent. Its
 * queries are written here from its documented columns and what its views show; each answer is what was sent.
 */
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Span, Tracer } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startReceived } from '../support/received.ts';
import type { Received } from '../support/received.ts';

let received: Received;
/** The first minute of what is sent, ms since 1970: all of it lies in the three minutes from here. */
const startMs = Math.floor(Date.now() / 60_000) * 60_000 - 300_000;
const endMs = startMs + 180_000;
/** Of the purchase that fails. */
let traceId = '';

beforeAll(async () => {
  received = await startReceived();
  const shop = tracerOf('shop-web', { 'rum.sessionId': 'session-1' });
  const cart = tracerOf('cart', { 'k8s.pod.name': 'cart-0' });
  const payment = tracerOf('payment', {});
  for (let visit = 0; visit < 3; visit += 1) purchase(visit, shop, cart, payment);
  await Promise.all([shop, cart, payment].map(async ({ provider }) => provider.shutdown()));
  await Promise.all([sendLogs(), sendMetrics()]);
}, 120_000);
afterAll(() => received.close());

interface Sender {
  readonly provider: TracerProvider;
  readonly tracer: Tracer;
}

function tracerOf(service: string, attributes: Record<string, string>): Sender {
  const exporter = new OTLPTraceExporter({ url: `${received.endpoint}/v1/traces` });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, ...attributes }),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  });
  return { provider, tracer: provider.getTracer('hyperdx-test') };
}

/** A click, one call to the cart and one from there to payment; the last visit's payment fails. */
function purchase(visit: number, shop: Sender, cart: Sender, payment: Sender): void {
  const atMs = startMs + visit * 60_000;
  const fails = visit === 2;
  const click = shop.tracer.startSpan('click', {
    startTime: atMs,
    attributes: { component: 'user-interaction', userEmail: 'ada@example.com' },
  });
  const fetching = child(shop, click, 'POST /cart', SpanKind.CLIENT, atMs + 1);
  const serving = child(cart, fetching, 'POST /cart', SpanKind.SERVER, atMs + 2);
  serving.setAttributes({ 'http.route': '/cart', 'http.response.status_code': fails ? 500 : 200 });
  const paying = child(cart, serving, 'POST /pay', SpanKind.CLIENT, atMs + 3);
  const charging = child(payment, paying, 'POST /pay', SpanKind.SERVER, atMs + 4);
  if (fails) {
    traceId = click.spanContext().traceId;
    charging.recordException(new Error('card is declined'), atMs + 5);
    for (const span of [charging, serving]) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: 'card is declined' });
    }
  }
  charging.end(atMs + 10);
  paying.end(atMs + 12);
  serving.end(atMs + 20 + visit * 10);
  fetching.end(atMs + 50);
  click.end(atMs + 60);
}

function child({ tracer }: Sender, parent: Span, name: string, kind: SpanKind, ms: number): Span {
  return tracer.startSpan(name, { kind, startTime: ms }, trace.setSpan(context.active(), parent));
}

async function sendLogs(): Promise<void> {
  const exporter = new OTLPLogExporter({ url: `${received.endpoint}/v1/logs` });
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ 'service.name': 'payment', 'k8s.pod.name': 'payment-0' }),
    processors: [new BatchLogRecordProcessor({ exporter })],
  });
  const logger = provider.getLogger('hyperdx-test');
  for (let index = 0; index < 6; index += 1) {
    logger.emit({
      timestamp: startMs + index * 30_000,
      severityNumber: SeverityNumber.INFO,
      severityText: 'INFO',
      body: `charged order ${index} in ${index * 7} ms`,
      attributes: { 'order.id': index, currency: index % 2 === 0 ? 'EUR' : 'USD' },
    });
  }
  const inTrace = trace.setSpanContext(context.active(), {
    traceId,
    spanId: '00f067aa0ba902b7',
    traceFlags: 1,
  });
  logger.emit({
    timestamp: startMs + 120_005,
    severityNumber: SeverityNumber.ERROR,
    severityText: 'error',
    body: 'Payment failed: card is DECLINED',
    attributes: { 'order.id': 7, currency: 'EUR' },
    context: inTrace,
  });
  await provider.shutdown();
}

async function sendMetrics(): Promise<void> {
  const exporter = new OTLPMetricExporter({ url: `${received.endpoint}/v1/metrics` });
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const resource = resourceFromAttributes({ 'service.name': 'payment' });
  const provider = new MeterProvider({ resource, readers: [reader] });
  const meter = provider.getMeter('hyperdx-test');
  const charges = meter.createCounter('charges');
  const durations = meter.createHistogram('charge.duration', {
    advice: { explicitBucketBoundaries: [10, 20, 40] },
  });
  meter.createObservableGauge('queue.size').addCallback((result) => {
    result.observe(4, { queue: 'a' });
    result.observe(10, { queue: 'b' });
  });
  for (const [charge, ms] of [5, 15, 15, 30].entries()) {
    charges.add(charge, { currency: 'EUR' });
    durations.record(ms);
    if (charge === 1) await reader.forceFlush();
  }
  await provider.forceFlush();
  await provider.shutdown();
}

/** Rows, with 64-bit numbers as numbers, over the time that the view shows. */
async function rows(sql: string): Promise<unknown[]> {
  const range = `>= fromUnixTimestamp64Milli(${startMs}) AND`;
  const full = sql
    .replaceAll(/inRange\((\w+)\)/g, `($1 ${range} $1 <= fromUnixTimestamp64Milli(${endMs}))`)
    .replaceAll('TRACE', traceId);
  return received.query(`${full} SETTINGS output_format_json_quote_64bit_integers = 0`);
}

describe('HyperDX finds its way', () => {
  it('to the tables, by their names', async () => {
    const names = ['traces', 'logs', 'metrics_gauge', 'metrics_sum', 'metrics_histogram'];
    names.push('metrics_exp_histogram', 'metrics_summary');
    const list = names.map((name) => `'otel_${name}'`).join(', ');
    const found = await rows(
      `SELECT name FROM system.tables WHERE database = currentDatabase() AND name IN (${list})`,
    );
    expect(found).toHaveLength(names.length);
  });

  it('to columns, keys and skip indexes', async () => {
    const columns = await received.query('DESCRIBE TABLE otel_logs');
    const types = Object.fromEntries(columns.map(({ name, type }) => [String(name), type]));
    expect(types).toMatchObject({
      Timestamp: 'DateTime64(9)',
      TimestampTime: 'DateTime',
      Body: 'String',
      SeverityText: 'LowCardinality(String)',
      LogAttributes: 'Map(LowCardinality(String), String)',
    });
    const [table] = await received.query(
      `SELECT partition_key, sorting_key FROM system.tables
       WHERE database = currentDatabase() AND name = 'otel_traces'`,
    );
    expect(table).toMatchObject({ partition_key: expect.stringContaining('Timestamp') as unknown });
    const indexes = await received.query(
      `SELECT expr, type FROM system.data_skipping_indices
       WHERE database = currentDatabase() AND table = 'otel_logs'`,
    );
    expect(indexes.map(({ expr }) => expr)).toEqual(
      expect.arrayContaining(['TraceId', 'mapKeys(LogAttributes)', 'lower(Body)']),
    );
  });

  it('to the keys of attributes', async () => {
    const keys = await rows(
      `WITH sampled AS (SELECT LogAttributes.keys AS keys FROM otel_logs LIMIT 3000000)
       SELECT DISTINCT lowCardinalityKeys(arrayJoin(keys)) AS key FROM sampled ORDER BY key LIMIT 1000`,
    );
    // A dictionary has the empty text for what is not there; HyperDX leaves it out.
    expect(keys).toEqual([{ key: '' }, { key: 'currency' }, { key: 'order.id' }]);
    const spanKeys = await rows(
      `WITH sampled AS (SELECT SpanAttributes.keys AS keys FROM otel_traces LIMIT 3000000)
       SELECT groupUniqArrayArray(1000)(keys) AS keysArr FROM sampled`,
    );
    const [{ keysArr = [] } = {}] = spanKeys as { keysArr?: string[] }[];
    expect(keysArr.toSorted()).toEqual([
      'component',
      'http.response.status_code',
      'http.route',
      'userEmail',
    ]);
  });

  it('to the values of a field and how they are spread', async () => {
    const values = await rows(
      `WITH sampled AS (
         SELECT ServiceName AS param0, LogAttributes['currency'] AS param1
         FROM otel_logs WHERE inRange(TimestampTime) LIMIT 3000000)
       SELECT groupUniqArray(20)(param0) AS param0, arraySort(groupUniqArray(20)(param1)) AS param1
       FROM sampled`,
    );
    expect(values).toEqual([{ param0: ['payment'], param1: ['EUR', 'USD'] }]);
    const spread = await rows(
      `WITH stats AS (
         SELECT count() AS total, greatest(CAST(total / 100000 AS UInt32), 1) AS factor
         FROM otel_logs WHERE inRange(TimestampTime))
       SELECT LogAttributes['currency'] AS value, count() AS n, n / sum(n) OVER () * 100 AS percentage
       FROM otel_logs WHERE inRange(TimestampTime)
         AND cityHash64(TimestampTime, rand()) % (SELECT factor FROM stats) = 0
       GROUP BY value ORDER BY percentage DESC`,
    );
    expect(spread).toMatchObject([
      { value: 'EUR', n: 4 },
      { value: 'USD', n: 3 },
    ]);
  });
});

describe('its search', () => {
  it('lists what was logged, newest first', async () => {
    const found = await rows(
      `SELECT Timestamp, ServiceName, SeverityText, Body, TimestampTime FROM otel_logs
       WHERE inRange(TimestampTime) ORDER BY TimestampTime DESC, Timestamp DESC LIMIT 3 OFFSET 0`,
    );
    expect((found as { Body: string }[]).map(({ Body }) => Body)).toEqual([
      'charged order 5 in 35 ms',
      'Payment failed: card is DECLINED',
      'charged order 4 in 28 ms',
    ]);
  });

  it.each([
    ['a word of the body', `hasToken(lower(Body), lower('Declined'))`, 1],
    ['part of a word', `lower(Body) LIKE lower('%charg%')`, 6],
    ['two words', `hasToken(lower(Body), 'charged') AND hasToken(lower(Body), '3')`, 1],
    ['a field', `SeverityText ILIKE '%ERROR%'`, 1],
    ['an attribute', `LogAttributes['currency'] = 'EUR'`, 4],
    ['an attribute by its index', `mapContains(LogAttributes, 'currency')`, 7],
    ['an attribute that is missing', `NOT mapContains(LogAttributes, 'user')`, 7],
    ['a resource attribute', `ResourceAttributes['k8s.pod.name'] = 'payment-0'`, 7],
    [
      'what narrows the primary key',
      `toStartOfFiveMinutes(Timestamp) >= toStartOfFiveMinutes(fromUnixTimestamp64Milli(${startMs}))
         AND toDate(Timestamp) <= toDate(fromUnixTimestamp64Milli(${endMs}))`,
      7,
    ],
    ['a number', `toFloat64OrNull(LogAttributes['order.id']) BETWEEN 2 AND 4`, 3],
  ])('finds by %s', async (_, condition, count) => {
    const sql = `SELECT count() AS n FROM otel_logs WHERE inRange(TimestampTime) AND (${condition})`;
    expect(await rows(sql)).toEqual([{ n: count }]);
  });

  it('draws a histogram by severity, with empty buckets', async () => {
    const found = await rows(
      `SELECT count() AS n, SeverityText AS severity,
         toStartOfInterval(toDateTime(TimestampTime), INTERVAL 1 minute) AS bucket
       FROM otel_logs WHERE inRange(TimestampTime) GROUP BY severity, bucket
       ORDER BY bucket WITH FILL
         FROM toUnixTimestamp(toStartOfInterval(fromUnixTimestamp64Milli(${startMs - 60_000}), INTERVAL 1 minute))
         TO toUnixTimestamp(toStartOfInterval(fromUnixTimestamp64Milli(${endMs + 60_000}), INTERVAL 1 minute))
         STEP 60`,
    );
    const drawn = (found as { n: number; severity: string }[]).map((row) => [row.severity, row.n]);
    expect(drawn.filter(([, n]) => n === 0)).toHaveLength(2);
    expect(drawn.filter(([severity]) => severity === 'INFO')).toEqual([
      ['INFO', 2],
      ['INFO', 2],
      ['INFO', 2],
    ]);
    expect(drawn).toContainEqual(['error', 1]);
  });

  it('gives samples from which it makes patterns', async () => {
    const found = await rows(
      `SELECT Body AS field, TimestampTime AS at, SeverityText AS severity, ServiceName AS service
       FROM otel_logs WHERE inRange(TimestampTime) ORDER BY rand() DESC LIMIT 10000`,
    );
    const patterns = (found as { field: string }[]).map(({ field }) =>
      field.replaceAll(/\d+/g, '*'),
    );
    expect(patterns.filter((pattern) => pattern === 'charged order * in * ms')).toHaveLength(6);
    expect(new Set(patterns).size).toBe(2);
  });

  it('opens one row by its values', async () => {
    const found = await rows(
      `SELECT *, Timestamp AS at, Body AS body, toString(cityHash64(ResourceAttributes)) AS hash
       FROM otel_logs WHERE TimestampTime = toDateTime(${startMs / 1000 + 60})
         AND ServiceName = 'payment' AND Body = 'charged order 2 in 14 ms' LIMIT 1`,
    );
    expect(found).toMatchObject([{ LogAttributes: { 'order.id': '2', currency: 'EUR' } }]);
  });
});

/** One side of the service map's join. */
function sideOf(kinds: string): string {
  return `SELECT TraceId AS traceId, SpanId AS spanId, ServiceName AS serviceName,
      ParentSpanId AS parentSpanId, StatusCode AS statusCode
    FROM otel_traces
    WHERE inRange(Timestamp) AND cityHash64(TraceId) % 1 = 0 AND SpanKind IN (${kinds})`;
}

describe('its traces', () => {
  it('are searched by duration, root and error', async () => {
    const found = await rows(
      `SELECT Timestamp, ServiceName AS service, SpanName AS name, StatusCode AS status,
         round(Duration / 1e6) AS ms, TraceId, SpanId
       FROM otel_traces WHERE inRange(Timestamp) AND ParentSpanId = '' AND Duration >= 1e6
       ORDER BY Timestamp DESC LIMIT 200`,
    );
    expect(found).toMatchObject(
      [0, 1, 2].map(() => ({ service: 'shop-web', name: 'click', status: 'Unset', ms: 60 })),
    );
    expect(
      await rows(
        `SELECT DISTINCT TraceId FROM otel_traces WHERE inRange(Timestamp) AND StatusCode = 'Error'`,
      ),
    ).toEqual([{ TraceId: traceId }]);
  });

  it('are drawn as a waterfall, with what was logged', async () => {
    const spans = (await rows(
      `SELECT SpanName AS Body, Timestamp, SpanId, ServiceName, (Duration) / 1e9 AS Duration,
         ParentSpanId, StatusCode, SpanAttributes, Events.Name, Events.Attributes
       FROM otel_traces WHERE inRange(Timestamp) AND TraceId = 'TRACE'
       ORDER BY Timestamp ASC LIMIT 10001`,
    )) as Record<string, unknown>[];
    expect(spans.map(({ ServiceName, Body }) => `${String(ServiceName)} ${String(Body)}`)).toEqual([
      'shop-web click',
      'shop-web POST /cart',
      'cart POST /cart',
      'cart POST /pay',
      'payment POST /pay',
    ]);
    // Each span is the next one's parent.
    const ids = spans.map(({ SpanId }) => SpanId);
    expect(spans.map(({ ParentSpanId }) => ParentSpanId)).toEqual(['', ...ids.slice(0, -1)]);
    expect(spans[2]).toMatchObject({ StatusCode: 'Error', Duration: 0.038 });
    expect(spans[4]).toMatchObject({ 'Events.Name': ['exception'], StatusCode: 'Error' });
    const logged = await rows(
      `SELECT Body, Timestamp, SpanId, ServiceName, SeverityText FROM otel_logs
       WHERE inRange(TimestampTime) AND TraceId = 'TRACE' LIMIT 10001`,
    );
    expect(logged).toMatchObject([{ Body: 'Payment failed: card is DECLINED' }]);
  });

  it('show their exceptions', async () => {
    const found = await rows(
      `SELECT Events.Attributes[indexOf(Events.Name, 'exception')] AS exception
       FROM otel_traces WHERE inRange(Timestamp) AND has(Events.Name, 'exception')`,
    );
    expect(found).toMatchObject([{ exception: { 'exception.message': 'card is declined' } }]);
  });

  it('make the service map', async () => {
    const found = await rows(
      `WITH servers AS (${sideOf(`'Server', 'Consumer', 'SPAN_KIND_SERVER', 'SPAN_KIND_CONSUMER'`)}),
         clients AS (${sideOf(`'Client', 'Producer', 'SPAN_KIND_CLIENT', 'SPAN_KIND_PRODUCER'`)})
       SELECT servers.serviceName AS server, servers.statusCode AS status,
         clients.serviceName AS client, count() * 1 AS requests
       FROM servers LEFT JOIN clients
         ON servers.traceId = clients.traceId AND servers.parentSpanId = clients.spanId
       WHERE clients.serviceName IS NULL OR servers.serviceName != clients.serviceName
       GROUP BY server, status, client ORDER BY server, status, client`,
    );
    expect(found).toEqual([
      { server: 'cart', status: 'Error', client: 'shop-web', requests: 1 },
      { server: 'cart', status: 'Unset', client: 'shop-web', requests: 2 },
      { server: 'payment', status: 'Error', client: 'cart', requests: 1 },
      { server: 'payment', status: 'Unset', client: 'cart', requests: 2 },
    ]);
  });

  it('make the page of a service: quantiles, errors, slowest endpoints', async () => {
    const found = await rows(
      `SELECT SpanName AS endpoint, count() AS requests, countIf(StatusCode = 'Error') AS errors,
         round(quantile(0.5)(Duration / 1e6)) AS p50, round(max(Duration) / 1e6) AS most
       FROM otel_traces WHERE inRange(Timestamp) AND ServiceName = 'cart' AND SpanKind IN ('Server')
       GROUP BY endpoint ORDER BY most DESC LIMIT 20`,
    );
    expect(found).toEqual([{ endpoint: 'POST /cart', requests: 3, errors: 1, p50: 28, most: 38 }]);
  });

  it('make a heat map of durations', async () => {
    const found = await rows(
      `SELECT toStartOfInterval(toDateTime(Timestamp), INTERVAL 1 minute) AS x,
         widthBucket(Duration / 1e6, 0, 100, 10) AS y, count() AS n
       FROM otel_traces WHERE inRange(Timestamp) AND ServiceName = 'cart' AND SpanKind = 'Server'
       GROUP BY x, y ORDER BY x, y`,
    );
    expect((found as { y: number; n: number }[]).map(({ y, n }) => [y, n])).toEqual([
      [2, 1],
      [3, 1],
      [4, 1],
    ]);
  });

  it('make the sessions of browsers', async () => {
    const found = await rows(
      `WITH _sessions AS (
         SELECT ServiceName AS serviceName, ResourceAttributes['rum.sessionId'] AS sessionId,
           max(Timestamp) AS last, min(Timestamp) AS first, count() AS events,
           countIf(SpanAttributes['component'] = 'user-interaction') AS interactions,
           countIf(lower(StatusCode) = lower('error')) AS errors,
           max(SpanAttributes['userEmail']) AS userEmail
         FROM otel_traces
         WHERE inRange(Timestamp) AND mapContains(ResourceAttributes, 'rum.sessionId')
         GROUP BY serviceName, sessionId)
       SELECT * EXCEPT (first, last) FROM _sessions
       WHERE interactions > 0 ORDER BY last DESC LIMIT 500`,
    );
    expect(found).toEqual([
      {
        serviceName: 'shop-web',
        sessionId: 'session-1',
        events: 6,
        interactions: 3,
        errors: 0,
        userEmail: 'ada@example.com',
      },
    ]);
  });
});

describe('its charts of metrics', () => {
  it('have gauges by attribute', async () => {
    const found = await rows(
      `SELECT avg(toFloat64OrNull(toString(Value))) AS value, Attributes['queue'] AS queue,
         toStartOfInterval(toDateTime(TimeUnix), INTERVAL 1 hour) AS bucket
       FROM otel_metrics_gauge WHERE MetricName = 'queue.size' GROUP BY queue, bucket ORDER BY queue`,
    );
    expect(
      (found as { queue: string; value: number }[]).map((row) => [row.queue, row.value]),
    ).toEqual([
      ['a', 4],
      ['b', 10],
    ]);
  });

  it('have the increase of counters', async () => {
    const found = await rows(
      `WITH source AS (
         SELECT *, cityHash64(mapConcat(ScopeAttributes, ResourceAttributes, Attributes)) AS hash,
           any(hash) OVER (ORDER BY hash, TimeUnix ROWS BETWEEN 1 PRECEDING AND 1 PRECEDING) AS lastHash,
           any(Value) OVER (ORDER BY hash, TimeUnix ROWS BETWEEN 1 PRECEDING AND 1 PRECEDING) AS lastValue,
           if(AggregationTemporality = 1, Value, if(hash != lastHash, 0,
             if(Value < lastValue, Value, Value - lastValue))) AS rate
         FROM otel_metrics_sum WHERE MetricName = 'charges')
       SELECT sum(rate) AS increase, max(Value) AS total, any(AggregationTemporality) AS temporality FROM source`,
    );
    // 0 + 1, then + 2 + 3, cumulative; the first point has nothing before it.
    expect(found).toEqual([{ increase: 5, total: 6, temporality: 2 }]);
  });

  it('have quantiles of histograms', async () => {
    const found = await rows(
      `SELECT BucketCounts AS counts, ExplicitBounds AS bounds,
         toUInt64(0.5 * arraySum(counts)) AS rank, arrayCumSum(counts) AS cumulated,
         arrayFirstIndex(x -> x > rank, cumulated) AS low, bounds[low] AS upper
       FROM otel_metrics_histogram WHERE MetricName = 'charge.duration' ORDER BY TimeUnix DESC LIMIT 1`,
    );
    expect(found).toMatchObject([
      { counts: [1, 2, 1, 0], bounds: [10, 20, 40], low: 2, upper: 20 },
    ]);
  });

  it('find the names of metrics and their attributes', async () => {
    const found = await rows(
      `SELECT MetricName AS name, MetricUnit AS unit, groupUniqArrayArray(mapKeys(Attributes)) AS keys
       FROM otel_metrics_sum GROUP BY name, unit ORDER BY name`,
    );
    expect(found).toEqual([{ name: 'charges', unit: '', keys: ['currency'] }]);
  });
});
