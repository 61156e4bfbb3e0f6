/** Checks the edge's own telemetry: one Analytics Engine point for each export request. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { pointOf } from '../../../edge/meter/point.ts';
import type { Point } from '../../../edge/meter/point.ts';
import { keySettings, testKey } from '../key.ts';
import { clear, nowMs, protobufType, requestBytes, requestJson, span, stack } from '../stack.ts';

beforeEach(clear);

/** A stack that keeps its points. */
function observed(options: Parameters<typeof stack>[0] = {}) {
  const points: Point[] = [];
  const TELEMETRY = { writeDataPoint: (point: Point) => void points.push(point) };
  return { points, ...stack({ ...options, bindings: { TELEMETRY } }) };
}

describe('pointOf()', () => {
  it('pointOf() puts sums, waits and the most frequent reason where DEPLOY.md says', () => {
    const point = pointOf({
      signal: 'logs',
      tenantId: 'shop',
      keyId: '0123456789abcdef',
      code: 'OK',
      status: 200,
      mediaType: 'application/json',
      region: 'FRA',
      durationMs: 41,
      reading: [
        ['received_bytes_total', 'signal="logs"', 1000],
        ['items_accepted_total', 'signal="logs"', 8],
        ['items_rejected_total', 'signal="logs",reason="a"', 1],
        ['items_rejected_total', 'signal="logs",reason="b"', 2],
        ['items_quarantined_total', 'signal="logs"', 4],
        ['sink_seconds', 'service="clickhouse"', 1, 3],
        ['sink_seconds', 'service="clickhouse"', 0.02, 'sum'],
        ['sink_seconds', 'service="kafka_rest"', 0.03, 'sum'],
        ['sink_seconds', 'service="r2"', 0.01, 'sum'],
        ['sink_total', 'sink="clickhouse",result="failed"', 1],
        ['sink_total', 'sink="archive",result="ok"', 1],
      ],
    });
    expect(point).toEqual({
      indexes: ['shop'],
      blobs: ['logs', 'OK', 'application/json', '0123456789abcdef', 'b', 'FRA'],
      doubles: [200, 41, 1000, 8, 3, 4, 20, 30, 10, 1],
    });
  });
});

describe('createEdge() telemetry', () => {
  it('writes one point for a request that is taken, with what each service took', async () => {
    const key = await testKey(1, 'shop');
    let ms = nowMs;
    const { points, post } = observed({
      settings: keySettings(key),
      now: () => ms,
      clickhouse: () => {
        ms += 30;
        return new Response(null);
      },
    });
    const body = requestBytes([span(0), span(1, { traceId: '00' })]);
    await post(body, { ...protobufType, 'x-api-key': key.key });
    expect(points).toEqual([
      {
        indexes: ['shop'],
        blobs: ['traces', 'OK', 'application/x-protobuf', key.id, 'trace_id_length', 'local'],
        doubles: [200, 30, body.length, 1, 1, 0, 30, 0, expect.any(Number), 0],
      },
    ]);
  });

  it('writes one point for a request that is refused, with its code', async () => {
    const key = await testKey(1, 'shop');
    const { points, post } = observed({ settings: keySettings(key) });
    await post(new Uint8Array(1), protobufType);
    await post('garbage', { ...protobufType, 'x-api-key': key.key });
    await post(requestJson([]), { 'content-type': 'text/plain', 'x-api-key': key.key });
    expect(points.map(({ indexes, blobs, doubles }) => [...indexes, blobs[1], doubles[0]])).toEqual(
      [
        ['', 'UNAUTHENTICATED', 401],
        ['shop', 'BAD_OTLP', 400],
        ['shop', 'UNSUPPORTED_MEDIA_TYPE', 415],
      ],
    );
  });

  it('counts a service that failed', async () => {
    const { points, post } = observed({ clickhouse: () => new Response(null, { status: 500 }) });
    await post(requestBytes([span(0)]));
    expect(points[0]?.doubles[9]).toBe(1);
  });

  it('never fails a request, and never sends OTLP', async () => {
    const TELEMETRY = { writeDataPoint: () => expect.unreachable('it is full') };
    const { post, inserts, warnings } = stack({ bindings: { TELEMETRY } });
    expect((await post(requestBytes([span(0)]))).status).toBe(200);
    expect(warnings).toEqual([expect.stringContaining('telemetry')]);
    expect(inserts.map(({ url }) => url.pathname)).toEqual(['/']);
  });

  it('fits the binding of wrangler.toml', async () => {
    const { post, warnings } = stack({ bindings: { TELEMETRY: env.TELEMETRY } });
    expect((await post(requestBytes([span(0)]))).status).toBe(200);
    expect(warnings).toEqual([]);
  });
});
