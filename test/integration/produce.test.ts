/**
 * The whole archive leg for real: the Worker in workerd, over sockets to `tidemark kafka-rest`, to a
 * Kafka that is stopped on the way. Records are read back from the topic, not from the gateway.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unstable_startWorker } from 'wrangler';
import { clusterId } from '../../dev/kafka/broker.ts';
import { parseRecordKey, recordHeaders, topics } from '../../schemas/archive.ts';
import { settings as rows } from '../../schemas/settings.ts';
import type { KafkaRecord } from '../../workers/clients/kafka/consumer.ts';
import { startGateway } from '../../workers/gateway.ts';
import type { Gateway } from '../../workers/gateway.ts';
import { noKafka, startTestKafka } from '../support/kafka.ts';
import type { TestKafka } from '../support/kafka.ts';

const nowNs = BigInt(Date.now()) * 1_000_000n;
const recordBytesMax = Number(rows.KAFKA_REST_RECORD_BYTES_MAX.default);

/** A length-delimited field of protobuf, by hand; number below 16. */
function field(number: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  const head = [(number << 3) | 2];
  let rest = body.length;
  for (; rest > 127; rest >>>= 7) head.push((rest & 127) | 128);
  return Buffer.concat([Uint8Array.from([...head, rest]), body]);
}

/** A span whose name is found again in any bytes. */
function span(name: string, index: number, filler: number): Buffer {
  const start = Buffer.alloc(9);
  start[0] = (7 << 3) | 1;
  start.writeBigUInt64LE(nowNs, 1);
  const id = Buffer.alloc(16, 1);
  id.writeUInt32BE(index + 1, 12);
  const text = Buffer.from(`${name}-${String(index).padStart(6, '0')};${'x'.repeat(filler)}`);
  return field(2, field(1, id), field(2, id.subarray(8)), field(5, text), start);
}

function request(name: string, count: number, filler = 120): Buffer {
  const spans = Array.from({ length: count }, (_, index) => span(name, index, filler));
  const service = field(
    1,
    field(1, Buffer.from('service.name')),
    field(2, field(1, Buffer.from(name))),
  );
  return field(1, field(1, service), field(2, ...spans));
}

/** How often each span of `name` is in these bytes. */
function counts(name: string, count: number, all: readonly Uint8Array[]): Map<number, number> {
  const found = new Map<number, number>(Array.from({ length: count }, (_, index) => [index, 0]));
  for (const bytes of all) {
    for (const [, digits = ''] of Buffer.from(bytes)
      .toString('latin1')
      .matchAll(new RegExp(`${name}-(\\d{6});`, 'g'))) {
      found.set(Number(digits), (found.get(Number(digits)) ?? 0) + 1);
    }
  }
  return found;
}

/** The values of records. */
function valuesOf(all: readonly KafkaRecord[]): Uint8Array[] {
  return all.map(({ value }) => value ?? Buffer.alloc(0));
}

type Worker = Awaited<ReturnType<typeof unstable_startWorker>>;

describe.skipIf(noKafka)('the archive leg on a real Kafka', () => {
  let kafka: TestKafka;
  let gateway: Gateway;
  const clickhouse = http.createServer((message, response) => {
    message.resume().once('end', () => response.end());
  });
  const workers: Worker[] = [];
  const directories: string[] = [];
  const credentials = { KAFKA_REST_USER: 'edge', KAFKA_REST_PASSWORD: 'p:ß' };

  beforeAll(async () => {
    await once(clickhouse.listen(0, '127.0.0.1'), 'listening');
    kafka = await startTestKafka();
    const admin = await kafka.client.openAdmin();
    await admin.createTopics([{ topic: topics.traces, partitions: 2 }]);
    await admin.close();
    const settings = { ...kafka.settings, ...credentials, KAFKA_REST_TOKEN: 't0ken' };
    gateway = await startGateway({
      kafka: kafka.client,
      settings: { ...settings, TIDEMARK_KAFKA_REST_PORT: 0 },
      log: pino({ level: 'silent' }),
      now: Date.now,
      monotonicMs: () => performance.now(),
    });
  }, 120_000);

  afterAll(async () => {
    for (const worker of workers) await worker.dispose();
    await gateway.close();
    await kafka.close();
    clickhouse.close();
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  }, 60_000);

  /** A Worker with a bucket of its own. */
  async function startEdge(settings: Record<string, string>) {
    const { port } = clickhouse.address() as AddressInfo;
    const all = {
      CLICKHOUSE_URL: `http://127.0.0.1:${port}`,
      KAFKA_REST_URL: gateway.url,
      ...settings,
    };
    const persist = mkdtempSync(path.join(os.tmpdir(), 'tidemark-produce-'));
    directories.push(persist);
    const worker = await unstable_startWorker({
      config: path.join(import.meta.dirname, '../../wrangler.toml'),
      bindings: Object.fromEntries(
        Object.entries(all).map(([name, value]) => [name, { type: 'plain_text', value }]),
      ),
      dev: {
        server: { hostname: '127.0.0.1', port: 0 },
        inspector: false,
        persist,
        watch: false,
        logLevel: 'none',
      },
    });
    workers.push(worker);
    await worker.ready;
    const url = await worker.url;
    const s3 = new S3Client({
      endpoint: new URL('/cdn-cgi/local/r2/s3', url).href,
      region: 'auto',
      forcePathStyle: true,
      credentials: {
        accessKeyId: rows.S3_ACCESS_KEY_ID.default,
        secretAccessKey: rows.S3_SECRET_ACCESS_KEY.default,
      },
    });
    const post = async (body: Buffer): Promise<number> => {
      const response = await fetch(new URL('/v1/traces', url), {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'gzip' },
        body: new Uint8Array(gzipSync(body)),
      });
      await response.arrayBuffer();
      return response.status;
    };
    const spooled = async (): Promise<Uint8Array[]> => {
      const listed = await s3.send(
        new ListObjectsV2Command({ Bucket: 'tidemark', Prefix: 'spool/' }),
      );
      return Promise.all(
        (listed.Contents ?? []).map(async ({ Key }) => {
          const object = await s3.send(new GetObjectCommand({ Bucket: 'tidemark', Key }));
          return (await object.Body?.transformToByteArray()) ?? new Uint8Array();
        }),
      );
    };
    return { post, spooled };
  }

  /** Every record that the topic has now. */
  async function records(): Promise<KafkaRecord[]> {
    const admin = await kafka.client.openAdmin();
    const offsets = await admin.offsets(topics.traces);
    await admin.close();
    const wanted = offsets.reduce((sum, { low, high }) => sum + Number(high - low), 0);
    const taken: KafkaRecord[] = [];
    const consumer = await kafka.client.consume({
      groupId: `test-${crypto.randomUUID()}`,
      topics: [topics.traces],
      handler: {
        assigned: () => Promise.resolve(0n),
        revoked: () => undefined,
        records: (batch) => void taken.push(...batch.records),
        failed: (error) => expect(error.retryable, error.message).toBe(true),
      },
    });
    while (taken.length < wanted) await pause(50);
    await consumer.stop();
    return taken;
  }

  it.each([
    ['v2', { KAFKA_REST_VERSION: 'v2', ...credentials }],
    ['v3', { KAFKA_REST_VERSION: 'v3', KAFKA_REST_CLUSTER: clusterId, KAFKA_REST_TOKEN: 't0ken' }],
  ])(
    '%s: a request of several megabytes becomes records of one key, each span in one of them',
    async (version, settings) => {
      const edge = await startEdge(settings);
      const body = request(version, 20_000);
      expect(body.length).toBeGreaterThan(3 * recordBytesMax);
      expect(await edge.post(body)).toBe(200);
      const mine = (await records()).filter(({ value }) => value?.includes(`${version}-`) === true);
      expect(mine.length).toBe(Math.ceil(body.length / recordBytesMax));
      for (const { value } of mine) expect(value?.length).toBeLessThanOrEqual(recordBytesMax);
      const wrong = [...counts(version, 20_000, valuesOf(mine))].filter(([, count]) => count !== 1);
      expect(wrong).toEqual([]);
      const [key, ...others] = new Set(mine.map((record) => record.key?.toString() ?? ''));
      expect(others).toEqual([]);
      const parts = parseRecordKey(key ?? '');
      expect(parts?.tenantId).toBe('default');
      for (const { headers } of version === 'v3' ? mine : []) {
        expect(headers[recordHeaders.tenant]?.toString()).toBe('default');
        expect(headers[recordHeaders.requestId]?.toString()).toBe(parts?.requestId);
      }
      expect(await edge.spooled()).toEqual([]);
    },
    120_000,
  );

  it('wrong credentials for the proxy lose nothing: the spool takes it', async () => {
    const edge = await startEdge({ KAFKA_REST_TOKEN: 'wrong' });
    expect(await edge.post(request('denied', 3))).toBe(200);
    expect([...counts('denied', 3, await edge.spooled()).values()]).toEqual([1, 1, 1]);
  }, 60_000);

  it('while Kafka is down the spool takes everything, and Kafka again when it is back', async () => {
    const edge = await startEdge(credentials);
    const sent: string[] = [];
    const post = async (name: string) => {
      expect(await edge.post(request(name, 10)), name).toBe(200);
      sent.push(name);
    };
    await post('before');
    await kafka.kill();
    for (let index = 0; index < 7; index += 1) await post(`down${index}`);
    const spooledDown = await edge.spooled();
    for (const name of sent.slice(1)) {
      expect(Math.min(...counts(name, 10, spooledDown).values()), name).toBe(1);
    }
    await kafka.restart();
    // The breaker tries again by itself, with what clients send.
    for (let index = 0; index < 120; index += 1) {
      const before = (await edge.spooled()).length;
      await post(`back${index}`);
      if ((await edge.spooled()).length === before) break;
      await pause(500);
    }
    const stored = await records();
    expect(counts(sent.at(-1) ?? '', 10, valuesOf(stored)).get(9)).toBe(1);
    const all = [...valuesOf(stored), ...(await edge.spooled())];
    for (const name of sent) {
      expect(Math.min(...counts(name, 10, all).values()), name).toBeGreaterThanOrEqual(1);
    }
  }, 180_000);
});
