/**
 * The edge's promise in every combination of faults: the archive leg, ClickHouse and R2, each in
 * each of its states. What was acknowledged has to be in the input of both layers after recovery,
 * as often as DESIGN.md allows: in the archive's once or, where an answer was lost, more often; in
 * ClickHouse once, because it knows a request again by its token.
 */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { jsonToProtobuf } from '../../edge/json.ts';
import { breakerFailuresMax, sinkConnectionsMax } from '../../schemas/limits.ts';
import type { KafkaMode } from './kafka.ts';
import { decode } from './proto.ts';
import { clear, keys, nowMs, stored } from './stack.ts';
import { statusOf } from './status.ts';
import { kafkaUrl, latin1, World } from './world.ts';
import type { SinkMode } from './world.ts';

const points = 40;

/** Sums and gauges by turns, each a metric of its own name. */
function request(name: string): Uint8Array {
  const metrics = Array.from({ length: points }, (_, index) => {
    const point = { timeUnixNano: `${nowMs}000000`, asInt: String(index) };
    const data =
      index % 2 === 0
        ? { gauge: { dataPoints: [point] } }
        : { sum: { dataPoints: [point], aggregationTemporality: 2, isMonotonic: true } };
    return { name: `${name}-${String(index).padStart(3, '0')}`, unit: 'x'.repeat(60), ...data };
  });
  const json = JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] });
  return jsonToProtobuf('ExportMetricsServiceRequest', new TextEncoder().encode(json), 1 << 20);
}

const names = Array.from(
  { length: points },
  (_, index) => `item-${String(index).padStart(3, '0')}`,
);

/** How often each item is in these texts, in the order of `names`. */
function counts(texts: readonly string[]): number[] {
  const found = texts.flatMap((text) => text.match(/item-\d{3}/g) ?? []);
  return names.map((name) => found.filter((other) => other === name).length);
}

/** What the archiver will find: records of Kafka and objects of the spool, each a valid request. */
async function archiveInput(world: World): Promise<string[]> {
  const spooled = (await keys()).filter((key) => key.startsWith('spool/archive/otlp_metrics/'));
  const all = [
    ...world.kafka.stored.map(({ value }) => value),
    ...(await Promise.all(spooled.map(stored))),
  ];
  for (const otlp of all) decode('ExportMetricsServiceRequest', otlp);
  return all.map(latin1);
}

type Archive = 'spool only' | `${'v2' | 'v3'} ${KafkaMode | 'open'}`;

const kafkaModes = [
  'up',
  'slow',
  'failing',
  'partly',
  'karapace',
  'dropping',
  'page',
  'open',
] as const;
const archives: Archive[] = [
  'spool only',
  ...(['v2', 'v3'] as const).flatMap((version) =>
    kafkaModes
      .filter((mode) => version === 'v2' || mode !== 'karapace')
      .map((mode): Archive => `${version} ${mode}`),
  ),
];
const speeds: SinkMode[] = ['up', 'slow', 'failing', 'one table failing'];
const stores: World['r2'][] = ['up', 'failing', 'slow'];

const rows = archives.flatMap((archive) =>
  speeds.flatMap((speed) => stores.map((r2) => ({ archive, speed, r2 }))),
);

/** Pieces of a kilobyte, two in a call: the request becomes several records in several calls. */
const small = {
  KAFKA_REST_URL: kafkaUrl,
  KAFKA_REST_CLUSTER: 'c1',
  KAFKA_REST_RECORD_BYTES_MAX: '1024',
  KAFKA_REST_REQUEST_BYTES_MAX: '5000',
};

async function worldOf(archive: Archive): Promise<World> {
  const [version, mode] = archive.split(' ') as [
    'v2' | 'v3' | 'spool',
    KafkaMode | 'open' | 'only',
  ];
  if (version === 'spool') return new World({});
  const world = new World({ ...small, KAFKA_REST_VERSION: version });
  if (mode === 'open') {
    world.kafka.mode = 'failing';
    for (let index = 0; index < breakerFailuresMax; index += 1) {
      expect((await world.post('/v1/metrics', request(`warm-${index}`))).status).toBe(200);
    }
    world.kafka.mode = 'up';
  } else if (mode !== 'only') world.kafka.mode = mode;
  return world;
}

beforeEach(clear);

describe('the edge', () => {
  it.each(rows)('archive $archive, ClickHouse $speed, R2 $r2', async ({ archive, speed, r2 }) => {
    const world = await worldOf(archive);
    Object.assign(world, { speed, r2 });
    const callsBefore = world.kafka.calls.length;
    const objectsBefore = world.objectCalls.length;
    const body = request('item');

    // The promise: durable in the archive leg, and in ClickHouse or spooled for it.
    const kafkaTakesAll = archive === 'v2 up' || archive === 'v3 up';
    const isKept = (kafkaTakesAll || r2 === 'up') && (speed === 'up' || r2 === 'up');
    const response = await world.post('/v1/metrics', body);
    expect(response.status).toBe(isKept ? 200 : 503);
    if (isKept) expect((await response.arrayBuffer()).byteLength).toBe(0);
    else {
      expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
      expect((await statusOf(response)).code).toBe(14);
    }
    if (archive.endsWith('open')) expect(world.kafka.calls.length).toBe(callsBefore);
    if (kafkaTakesAll && speed === 'up') expect(world.objectCalls.length).toBe(objectsBefore);

    // Clients send again what was not acknowledged.
    world.recover();
    if (!isKept) expect((await world.post('/v1/metrics', body)).status).toBe(200);
    for (let tick = 0; tick < 3; tick += 1) {
      world.nowMs += 60_000;
      await world.edge.drain();
    }
    expect((await keys()).filter((key) => key.startsWith('spool/speed/'))).toEqual([]);
    expect(counts([...world.inserted.values()]), 'once in ClickHouse').toEqual(names.map(() => 1));
    const archived = counts(await archiveInput(world));
    const isLost = /slow|dropping/.test(archive) || r2 === 'slow' || !isKept;
    for (const count of archived) {
      expect(count).toBeGreaterThanOrEqual(1);
      expect(count).toBeLessThanOrEqual(isLost ? 3 : 1);
    }
    expect(world.callsMost).toBeLessThanOrEqual(sinkConnectionsMax);
  });

  it.each(['v2 partly', 'v2 karapace', 'v3 partly'] as const)(
    'of a request that Kafka (%s) takes in part, only the rest is spooled',
    async (archive) => {
      const world = await worldOf(archive);
      expect((await world.post('/v1/metrics', request('item'))).status).toBe(200);
      const spooled = await keys();
      expect(world.kafka.stored.length).toBeGreaterThan(1);
      expect(spooled.length).toBeGreaterThan(1);
      // Piece by piece, under names that the archiver reads.
      for (const key of spooled) {
        expect(key).toMatch(
          new RegExp(`^spool/archive/otlp_metrics/${nowMs}\\+request-1-p\\d+\\+default$`),
        );
      }
      const texts = [
        ...world.kafka.stored.map(({ value }) => latin1(value)),
        ...(await Promise.all(spooled.map(stored))).map(latin1),
      ];
      expect(counts(texts)).toEqual(names.map(() => 1));
      expect(new Set(world.kafka.stored.map(({ key }) => key))).toEqual(
        new Set(['default/request-1']),
      );
      expect(await counters(world)).toMatchObject({
        'records_total{result="stored",tenant="default"}': world.kafka.stored.length,
        'records_total{result="failed",tenant="default"}': spooled.length,
      });
    },
  );

  it('a stream of reports that breaks off is believed as far as it came', async () => {
    const world = await worldOf('v3 dropping');
    expect((await world.post('/v1/metrics', request('item'))).status).toBe(200);
    const calls = world.kafka.calls.length;
    // Of each call, the last record alone is not known to be stored.
    expect(await keys()).toHaveLength(calls);
    expect(world.kafka.stored.length).toBeGreaterThan(calls);
  });

  it('an item too large for a record takes the spool, and the others go to Kafka', async () => {
    const world = new World(small);
    const json = {
      resourceSpans: [
        {
          scopeSpans: [
            {
              spans: ['a', 'b'.repeat(4000), 'c'].map((name, index) => ({
                traceId: String(index + 1).padStart(32, '0'),
                spanId: String(index + 1).padStart(16, '0'),
                name,
                startTimeUnixNano: `${nowMs}000000`,
              })),
            },
          ],
        },
      ],
    };
    const bytes = new TextEncoder().encode(JSON.stringify(json));
    const otlp = jsonToProtobuf('ExportTraceServiceRequest', bytes, 1 << 20);
    expect((await world.post('/v1/traces', otlp)).status).toBe(200);
    const spooled = await keys();
    expect(spooled).toEqual([`spool/archive/otlp_spans/${nowMs}+request-1-p1+default`]);
    const pieces = [
      ...world.kafka.stored.map(({ value }) => value),
      await stored(spooled[0] ?? ''),
    ];
    const spans = pieces.map((piece) => latin1(piece).replaceAll(/[^abc]/g, ''));
    expect(spans).toEqual(['a', 'c', 'b'.repeat(4000)]);
  });

  it('a proxy that stalls is not waited for by every call of a large request', async () => {
    const world = new World({ ...small, KAFKA_REST_REQUEST_BYTES_MAX: '4096' });
    world.kafka.mode = 'slow';
    const one = request('item');
    const body = new Uint8Array(20 * one.length);
    for (let copy = 0; copy < 20; copy += 1) body.set(one, copy * one.length);
    expect((await world.post('/v1/metrics', body)).status).toBe(200);
    // Those under way when the breaker opened, and no more.
    expect(world.kafka.calls.length).toBeLessThanOrEqual(breakerFailuresMax + sinkConnectionsMax);
    expect(await keys()).toEqual([`spool/archive/otlp_metrics/${nowMs}+request-1+default`]);
    expect(world.callsMost).toBe(sinkConnectionsMax);
  });

  it('a client certificate, when one is bound, is what the proxy is called with', async () => {
    const urls: string[] = [];
    const certificate = {
      fetch: (url: string) => {
        urls.push(url);
        return Promise.resolve(Response.json({ offsets: [{ offset: 0 }] }));
      },
    };
    const world = new World({ KAFKA_REST_URL: kafkaUrl }, { KAFKA_REST_MTLS: certificate });
    expect((await world.post('/v1/metrics', request('item'))).status).toBe(200);
    expect(urls).toEqual([`${kafkaUrl}/topics/otlp_metrics`]);
    expect(world.kafka.calls).toEqual([]);
    expect((await env.ARCHIVE.list()).objects).toEqual([]);
  });
});

/** The counters of an edge, without their common prefix. */
async function counters(world: World): Promise<Record<string, number>> {
  const response = await world.edge.fetch(new Request('http://localhost/metrics'));
  const lines = (await response.text()).split('\n').filter((line) => /^[a-z]/.test(line));
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice('tidemark_edge_'.length, at), Number(line.slice(at + 1))];
    }),
  );
}
