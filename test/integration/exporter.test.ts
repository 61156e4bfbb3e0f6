/**
 * The Worker under its development server, fed by the real SDK exporters over real sockets. The
 * ClickHouse beside it is an HTTP server that keeps what it is sent and can be told to fail.
 */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import zlib from 'node:zlib';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { SpanStatusCode } from '@opentelemetry/api';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtoExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import protobuf from 'protobufjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unstable_startWorker } from 'wrangler';
import { Transcoder } from '../../aggregator-as/host.ts';
import {
  archiveSpoolPrefix,
  drainStateKey,
  parseSpoolKey,
  speedSpoolPrefix,
} from '../../schemas/archive.ts';
import { settings } from '../../schemas/settings.ts';

const top = path.join(import.meta.dirname, '../..');
const persist = mkdtempSync(path.join(os.tmpdir(), 'tidemark-exporter-'));
const archivePrefix = archiveSpoolPrefix('otlp_spans');

/** An insert into the tables of items; what the edge notes for the books goes to another table. */
interface Insert {
  readonly token: string;
  readonly rows: Buffer;
}

const inserts: Insert[] = [];
let clickhouseStatus = 200;
const clickhouse = http.createServer((request, response) => {
  void keep(request).finally(() => response.writeHead(clickhouseStatus).end());
});

async function keep(request: http.IncomingMessage): Promise<void> {
  const { searchParams } = new URL(request.url ?? '', 'http://clickhouse');
  const token = searchParams.get('insert_deduplication_token') ?? '';
  const rows = await buffer(request);
  const isItems = searchParams.get('query')?.includes('otel_traces') ?? false;
  if (clickhouseStatus === 200 && isItems) inserts.push({ token, rows });
}

let worker: Awaited<ReturnType<typeof unstable_startWorker>>;
let url: URL;
let s3: S3Client;

beforeAll(async () => {
  await once(clickhouse.listen(0, '127.0.0.1'), 'listening');
  const { port } = clickhouse.address() as AddressInfo;
  worker = await unstable_startWorker({
    config: path.join(top, 'wrangler.toml'),
    bindings: { CLICKHOUSE_URL: { type: 'plain_text', value: `http://127.0.0.1:${port}` } },
    dev: {
      server: { hostname: '127.0.0.1', port: 0 },
      inspector: false,
      persist,
      watch: false,
      logLevel: 'none',
    },
  });
  await worker.ready;
  url = await worker.url;
  s3 = new S3Client({
    endpoint: new URL('/cdn-cgi/local/r2/s3', url).href,
    region: 'auto',
    forcePathStyle: true,
    credentials: {
      accessKeyId: settings.S3_ACCESS_KEY_ID.default,
      secretAccessKey: settings.S3_SECRET_ACCESS_KEY.default,
    },
  });
});

afterAll(async () => {
  s3.destroy();
  await worker.dispose();
  clickhouse.close();
  rmSync(persist, { recursive: true, force: true });
});

/** The enum that has this value belongs to a package that the exporters do not export. */
const gzip = 'gzip' as never;

const traces = () => new URL('/v1/traces', url).href;

/** Triggers the cron. */
function tick(): Promise<Response> {
  return fetch(new URL('/cdn-cgi/handler/scheduled', url));
}

async function keys(prefix: string): Promise<string[]> {
  const listed = await s3.send(new ListObjectsV2Command({ Bucket: 'tidemark', Prefix: prefix }));
  return (listed.Contents ?? []).map(({ Key }) => Key ?? '');
}

async function stored(key: string): Promise<Uint8Array> {
  const object = await s3.send(new GetObjectCommand({ Bucket: 'tidemark', Key: key }));
  return (await object.Body?.transformToByteArray()) ?? new Uint8Array();
}

/** Makes `count` spans with the SDK and sends them; rejects when the exporter says it failed. */
async function send(exporter: SpanExporter, service: string, count: number): Promise<void> {
  const processor = new BatchSpanProcessor({ exporter, maxExportBatchSize: 512 });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'process.pid': 7 }),
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer('exporter-test', '1.0');
  for (let index = 0; index < count; index += 1) {
    const span = tracer.startSpan(`operation ${index}`, {
      attributes: { index, ratio: index / 3, ok: true, list: ['a', 'b'], text: 'é🎉' },
    });
    span.addEvent('event', { detail: 'x' });
    if (index % 10 === 0) span.setStatus({ code: SpanStatusCode.ERROR, message: 'failed' });
    span.end();
  }
  await provider.forceFlush();
  await provider.shutdown();
}

function decode(bytes: Uint8Array): Record<string, unknown> {
  const root = new protobuf.Root();
  const protos = path.join(top, 'schemas/otlp');
  root.resolvePath = (_origin, target) => path.join(protos, target);
  root.loadSync('opentelemetry/proto/collector/trace/v1/trace_service.proto');
  const type = root.lookupType('ExportTraceServiceRequest');
  return type.toObject(type.decode(bytes), { longs: String, bytes: String });
}

interface Request {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] };
    scopeSpans: { spans: { name: string; status: { code: number } }[] }[];
  }[];
}

function spansOf(
  request: Request,
  service: string,
): Request['resourceSpans'][0]['scopeSpans'][0]['spans'] {
  return request.resourceSpans
    .filter(({ resource }) =>
      resource.attributes.some(({ value }) => value.stringValue === service),
    )
    .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}

const tokenIn = (key: string) => parseSpoolKey(key)?.requestId ?? '';

describe('the SDK exporters', () => {
  it.each([
    ['protobuf', () => new ProtoExporter({ url: traces() })],
    ['protobuf gzip', () => new ProtoExporter({ url: traces(), compression: gzip })],
    ['JSON', () => new JsonExporter({ url: traces() })],
    ['JSON gzip', () => new JsonExporter({ url: traces(), compression: gzip })],
  ])('%s: every span is archived, and its row inserted', async (service, exporter) => {
    inserts.length = 0;
    const before = new Set(await keys(archivePrefix));
    await send(exporter(), service, 700);
    const fresh = (await keys(archivePrefix)).filter((key) => !before.has(key));
    expect(fresh).toHaveLength(2);
    const archived = await Promise.all(fresh.map(stored));
    const spans = archived.flatMap((bytes) =>
      spansOf(decode(bytes) as unknown as Request, service),
    );
    expect(new Set(spans.map(({ name }) => name)).size).toBe(700);
    expect(spans.filter(({ status }) => status.code === 2)).toHaveLength(70);
    const wasm = readFileSync(path.join(top, 'aggregator-as/build/transcode.wasm'));
    const transcoder = new Transcoder(new WebAssembly.Module(wasm));
    for (const [index, key] of fresh.entries()) {
      const parts = parseSpoolKey(key);
      const receipt = {
        tenantId: 'default',
        receivedMs: parts?.receivedMs ?? 0,
        pastMaxMs: Number(settings.TIDEMARK_PAST_MAX_MS.default),
        futureMaxMs: Number(settings.TIDEMARK_FUTURE_MAX_MS.default),
      };
      const { rows } = transcoder.tracesToRowBinary(archived[index] ?? new Uint8Array(), receipt);
      expect(inserts.some((insert) => insert.rows.equals(rows))).toBe(true);
    }
    expect(inserts).toHaveLength(2);
  });

  it('spans go on arriving while ClickHouse is down, and the cron trigger brings them', async () => {
    inserts.length = 0;
    clickhouseStatus = 500;
    await send(new ProtoExporter({ url: traces() }), 'down', 600);
    const spooled = await keys(speedSpoolPrefix('otel_traces'));
    expect(spooled).toHaveLength(2);
    const rows = await Promise.all(spooled.map(stored));
    await tick();
    expect(await keys(speedSpoolPrefix('otel_traces'))).toEqual(spooled);
    clickhouseStatus = 200;
    // The table has a pause now; nobody waits for it here.
    await s3.send(new DeleteObjectCommand({ Bucket: 'tidemark', Key: drainStateKey }));
    expect((await tick()).status).toBe(200);
    expect(await keys(speedSpoolPrefix('otel_traces'))).toEqual([]);
    for (const [index, key] of spooled.entries()) {
      const insert = inserts.find(({ token }) => token === tokenIn(key));
      expect(new Uint8Array(insert?.rows ?? [])).toEqual(rows[index]);
    }
    expect(inserts).toHaveLength(2);
  });
});

describe('the Worker on real sockets', () => {
  const headers = { 'content-type': 'application/x-protobuf' };

  it('row 27: a 1 GiB gzip bomb is 413, and the Worker goes on', async () => {
    const before = await keys('');
    const member = zlib.gzipSync(Buffer.alloc(1 << 20));
    const body = Buffer.concat(Array.from({ length: 1024 }, () => member));
    const bomb = { method: 'POST', body, headers: { ...headers, 'content-encoding': 'gzip' } };
    const answers = await Promise.all([fetch(traces(), bomb), fetch(traces(), bomb)]);
    expect(answers.map(({ status }) => status)).toEqual([413, 413]);
    expect((await fetch(traces(), { method: 'POST', body: '', headers })).status).toBe(200);
    expect(await keys('')).toEqual(before);
  });

  it('rows 26, 28: a body of more than 16 MiB is 413', async () => {
    const body = new Uint8Array((16 << 20) + 1);
    expect((await fetch(traces(), { method: 'POST', body, headers })).status).toBe(413);
  });

  it('a client that goes away in the middle of its body leaves nothing', async () => {
    const before = await keys('');
    const socket = net.connect(Number(url.port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      'POST /v1/traces HTTP/1.1\r\nHost: edge\r\nContent-Type: application/x-protobuf\r\n' +
        'Content-Length: 100000\r\n\r\nhalf',
    );
    socket.destroy();
    expect((await fetch(new URL('/healthz', url))).status).toBe(200);
    expect(await keys('')).toEqual(before);
    const metrics = async () => (await fetch(new URL('/metrics', url))).text();
    await expect.poll(metrics).toContain('tidemark_edge_in_flight_bytes 0\n');
  });
});
