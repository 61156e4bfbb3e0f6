/** Tests of the whole generator against a plain HTTP receiver that decodes with protobufjs. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import protobuf from 'protobufjs';
import { afterEach, describe, expect, it } from 'vitest';
import { Traffic } from '../../dev/traffic.ts';

interface Received {
  readonly service: string;
  readonly type: string;
  readonly body: string;
  readonly spans: { traceId: string; spanId: string; startMs: number }[];
}

interface Otlp {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] };
    scopeSpans: { spans: { traceId: string; spanId: string; startTimeUnixNano: string }[] }[];
  }[];
}

const root = new protobuf.Root();
root.resolvePath = (_origin, target) =>
  path.join(import.meta.dirname, '../../schemas/otlp', target);
const collector = 'opentelemetry/proto/collector';
root.loadSync(`${collector}/trace/v1/trace_service.proto`);
root.loadSync(`${collector}/logs/v1/logs_service.proto`);
root.loadSync(`${collector}/metrics/v1/metrics_service.proto`);
const request = root.lookupType('ExportTraceServiceRequest');

function decode(type: string, body: Buffer): Otlp {
  if (type.includes('json')) return JSON.parse(body.toString()) as Otlp;
  return request.toObject(request.decode(body), { longs: String, bytes: String }) as Otlp;
}

function receive(type: string, body: Buffer): Received {
  const otlp = decode(type, body);
  const [first] = otlp.resourceSpans;
  const name = first?.resource.attributes.find(({ key }) => key === 'service.name');
  const spans = otlp.resourceSpans
    .flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans))
    .map(({ traceId, spanId, startTimeUnixNano }) => ({
      traceId,
      spanId,
      startMs: Number(BigInt(startTimeUnixNano) / 1_000_000n),
    }));
  return { service: name?.value.stringValue ?? '', type, body: body.toString('base64'), spans };
}

/** Log records or metrics of a request, as protobufjs reads it. */
function itemsOf(name: 'Logs' | 'Metrics', body: Buffer): Record<string, unknown>[] {
  const type = root.lookupType(`Export${name}ServiceRequest`);
  const decoded = type.toObject(type.decode(body), { oneofs: true }) as Record<string, Envelope[]>;
  return (decoded[`resource${name}`] ?? [])
    .flatMap((resource) => (resource[`scope${name}`] ?? []) as Envelope[])
    .flatMap((scope) => (scope['logRecords'] ?? scope['metrics'] ?? []) as Envelope[]);
}

type Envelope = Record<string, unknown>;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A receiver that answers `status` and keeps what it got. */
async function receiver(status = 200) {
  const received: Received[] = [];
  /** Bodies of the other signals' requests, by path, those in protobuf alone. */
  const others: Record<string, Buffer[]> = { '/v1/logs': [], '/v1/metrics': [] };
  const server = createServer((incoming, answer) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const raw = Buffer.concat(chunks);
      const body = incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
      const type = incoming.headers['content-type'] ?? '';
      const other = others[incoming.url ?? ''];
      if (other === undefined) received.push(receive(type, body));
      else if (!type.includes('json')) other.push(body);
      answer.writeHead(status, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { endpoint: `http://127.0.0.1:${port}/v1/traces`, received, others };
}

const nowMs = Date.UTC(2026, 10, 22, 9, 30);

describe('Traffic', () => {
  it('delivers every span of its truth, repeats 3 % and keeps late ones back', async () => {
    const { endpoint, received } = await receiver();
    const traffic = new Traffic({ endpoint, seed: 11, nowMs, spans: 30_000 });
    const prompt = await traffic.sendPrompt();
    const promptRequests = received.length;
    expect(prompt.requests).toBe(promptRequests);
    expect(prompt.spans + prompt.keptBackSpans).toBeGreaterThanOrEqual(30_000);
    expect(prompt.repeatedRequests / (prompt.requests - prompt.repeatedRequests)).toBeCloseTo(
      0.03,
      2,
    );

    const late = await traffic.sendLate();
    expect(late).toBe(prompt.keptBackSpans);
    expect(late).toBeGreaterThan(0);
    const midnightMs = Date.UTC(2026, 10, 22);
    const lateSpans = received.slice(promptRequests).flatMap(({ spans }) => spans);
    // A trace that begins right before midnight may end after it.
    expect(lateSpans.every(({ startMs }) => startMs < midnightMs + 60_000)).toBe(true);

    const all = received.flatMap(({ spans }) =>
      spans.map(({ traceId, spanId }) => traceId + spanId),
    );
    const truth = traffic.truth.operations();
    expect(new Set(all).size).toBe(truth.reduce((sum, { spans }) => sum + spans, 0));
    const repeated = truth.reduce((sum, operation) => sum + operation.repeated, 0);
    expect(all.length - new Set(all).size).toBe(repeated);
    const bodies = new Set(received.map(({ body }) => body));
    expect(received.length - bodies.size).toBe(traffic.counts.repeatedRequests);
    await traffic.close();
  });

  it('sends at most 512 spans a request, one service as JSON and the others as protobuf', async () => {
    const { endpoint, received } = await receiver();
    const traffic = new Traffic({ endpoint, seed: 12, nowMs, spans: 8000 });
    await traffic.sendPrompt();
    await traffic.close();
    expect(Math.max(...received.map(({ spans }) => spans.length))).toBeLessThanOrEqual(512);
    const json = received.filter(({ type }) => type === 'application/json');
    expect(new Set(json.map(({ service }) => service))).toEqual(new Set(['courier-app']));
    expect(new Set(received.map(({ service }) => service)).size).toBe(13);
  });

  it('writes logs and measures metrics of the same spans, each sent once', async () => {
    const { endpoint, others } = await receiver();
    const traffic = new Traffic({ endpoint, seed: 15, nowMs, spans: 8000 });
    const { logRecords, points } = await traffic.sendPrompt();
    await traffic.close();
    const logs = (others['/v1/logs'] ?? []).flatMap((body) => itemsOf('Logs', body));
    const metrics = (others['/v1/metrics'] ?? []).flatMap((body) => itemsOf('Metrics', body));
    // One service speaks JSON.
    expect(logs.length).toBeGreaterThan(logRecords * 0.7);
    expect(logs.length).toBeLessThanOrEqual(logRecords);
    const recorded = [...traffic.truth.records.values()].reduce((sum, count) => sum + count, 0);
    expect(recorded).toBe(logRecords);
    expect(logs.every(({ traceId, body }) => traceId !== undefined && body !== undefined)).toBe(
      true,
    );
    const kinds = new Set(metrics.map((metric) => String(metric['data'])));
    expect(kinds).toEqual(new Set(['sum', 'gauge', 'histogram', 'exponentialHistogram']));
    expect(points).toBeGreaterThan(metrics.length);
    const ended = [...traffic.truth.ended.values()].reduce((sum, count) => sum + count, 0);
    expect(ended).toBeGreaterThanOrEqual(8000);
  });

  it('has spans on both days although today has only begun', async () => {
    const { endpoint } = await receiver();
    const midnightMs = Date.UTC(2026, 10, 22);
    const traffic = new Traffic({ endpoint, seed: 13, nowMs: midnightMs, spans: 2000 });
    await traffic.sendPrompt();
    await traffic.close();
    const count = (day: string) =>
      traffic.truth.operations(day).reduce((sum, { spans }) => sum + spans, 0);
    expect(traffic.yesterday).toBe('2026-11-21');
    expect(count('2026-11-21')).toBeGreaterThan(1000);
    expect(count('2026-11-22')).toBeGreaterThan(500);
  });

  it('fails with SINK_FAILED when the endpoint refuses the spans', async () => {
    const { endpoint } = await receiver(400);
    const traffic = new Traffic({ endpoint, seed: 14, nowMs, spans: 2000 });
    await expect(traffic.sendPrompt()).rejects.toMatchObject({ code: 'SINK_FAILED' });
    await traffic.close();
  });
});
