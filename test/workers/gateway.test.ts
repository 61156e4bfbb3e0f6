/** Tests of the Kafka REST gateway as curl and the edge use it, on a real Kafka. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { readSettings } from '../../schemas/settings.ts';
import { openKafka } from '../../workers/clients/kafka/kafka.ts';
import type { KafkaRecord } from '../../workers/clients/kafka/consumer.ts';
import type { KafkaAdmin } from '../../workers/clients/kafka/kafka.ts';
import { startGateway } from '../../workers/gateway.ts';
import { noKafka, startTestKafka } from '../support/kafka.ts';
import type { TestKafka } from '../support/kafka.ts';

const binary = 'application/vnd.kafka.binary.v2+json';
const silent = pino({ level: 'silent' });
const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64');
const entry = path.join(import.meta.dirname, '../../bin/tidemark.js');

interface Entry {
  readonly partition: number | null;
  readonly offset: number | null;
  readonly error_code: number | null;
  readonly error: string | null;
}

interface Report {
  readonly error_code: number;
  readonly message?: string;
  readonly partition_id?: number;
  readonly offset?: number;
}

/** Starts a gateway for the brokers of `environment`; ends it with the test. */
async function gatewayOf(environment: Record<string, string>): Promise<string> {
  const settings = readSettings({ TIDEMARK_KAFKA_REST_PORT: '0', ...environment });
  const gateway = await startGateway({
    kafka: openKafka(settings, silent),
    settings,
    log: silent,
    now: () => Date.now(),
    monotonicMs: () => performance.now(),
  });
  onTestFinished(() => gateway.close());
  return gateway.url;
}

async function post(url: string, body: string, type: string, headers = {}) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': type, ...headers },
    body,
  });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

async function postV2(url: string, topic: string, records: readonly object[]) {
  const answer = await post(`${url}/topics/${topic}`, JSON.stringify({ records }), binary);
  return { ...answer, body: JSON.parse(answer.text) as { offsets: Entry[] } & Report };
}

function reportsOf(text: string): Report[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Report);
}

describe('startGateway()', () => {
  const nowhere = { KAFKA_BROKERS: '127.0.0.1:1' };

  it('starts and answers while Kafka is away: alive, not ready, 503 with Retry-After', async () => {
    const url = await gatewayOf(nowhere);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    const { status, headers, body } = await postV2(url, 't', [{ value: '' }]);
    expect([status, body.error_code]).toEqual([503, 50_003]);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    const stream = await post(`${url}/v3/clusters/c/topics/t/records`, '{}', 'application/json');
    expect(stream.status).toBe(503);
  });

  it('refuses to serve strangers, and a port that is taken', async () => {
    await expect(gatewayOf({ ...nowhere, TIDEMARK_KAFKA_REST_HOST: '0.0.0.0' })).rejects.toThrow(
      'to anybody',
    );
    const { port } = new URL(await gatewayOf(nowhere));
    await expect(gatewayOf({ ...nowhere, TIDEMARK_KAFKA_REST_PORT: port })).rejects.toMatchObject({
      code: 'PORT_TAKEN',
    });
  });

  it('asks for the credentials that are set, but for its health', async () => {
    const url = await gatewayOf({
      ...nowhere,
      KAFKA_REST_USER: 'edge',
      KAFKA_REST_PASSWORD: 'secret',
    });
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    for (const place of ['/metrics', '/topics', '/v3/clusters', '/anything']) {
      const answer = await fetch(`${url}${place}`);
      expect(answer.status, place).toBe(401);
      expect(await answer.json()).toEqual({ error_code: 401, message: 'Unauthorized' });
    }
    const authorization = `Basic ${base64('edge:secret')}`;
    expect((await fetch(`${url}/metrics`, { headers: { authorization } })).status).toBe(200);
  });

  it.each([
    ['no JSON', '{"records":[', 400],
    ['no object', '[]', 422],
    ['no records', '{}', 422],
    ['an empty list', '{"records":[]}', 422],
    ['a record that is none', '{"records":[7]}', 422],
    ['a value that is no base64', '{"records":[{"value":"*"}]}', 422],
    ['a key that is no text', '{"records":[{"key":1,"value":""}]}', 422],
    ['a partition that is none', '{"records":[{"value":"","partition":-1}]}', 422],
  ])('refuses %s', async (_name, body, status) => {
    const url = await gatewayOf(nowhere);
    const answer = await post(`${url}/topics/t`, body, binary);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({ error_code: status });
  });

  it('refuses other types, compressed bodies, and bodies past the bound', async () => {
    const url = await gatewayOf({ ...nowhere, TIDEMARK_KAFKA_REST_BODY_BYTES_MAX: '2000' });
    expect((await post(`${url}/topics/t`, '{}', 'application/json')).status).toBe(415);
    const gzip = { 'content-encoding': 'gzip' };
    expect((await post(`${url}/topics/t`, '{}', binary, gzip)).status).toBe(415);
    const tooLarge = await post(`${url}/topics/t`, 'x'.repeat(3_000_000), binary);
    expect([tooLarge.status, reportsOf(tooLarge.text)[0]?.error_code]).toEqual([413, 413]);
    // Without a length in its header.
    const { port } = new URL(url);
    const chunked = request({ port, path: '/topics/t', method: 'POST' });
    chunked.setHeader('content-type', binary);
    chunked.write('x'.repeat(1500));
    chunked.write('x'.repeat(1500));
    const [answer] = (await once(chunked, 'response')) as [{ statusCode: number }];
    expect(answer.statusCode).toBe(413);
    chunked.destroy();
  });

  it('answers 429 while it holds as much as it may, and takes requests again after', async () => {
    const bounds = { TIDEMARK_KAFKA_REST_IN_FLIGHT_BYTES_MAX: '5000' };
    const url = await gatewayOf({ ...nowhere, ...bounds });
    const { port } = new URL(url);
    const slow = request({ port, path: '/topics/t', method: 'POST' });
    slow.setHeader('content-type', binary);
    slow.on('error', () => undefined);
    slow.write('x'.repeat(4000));
    const held = async () =>
      Number(/in_flight_bytes (\d+)/.exec(await (await fetch(`${url}/metrics`)).text())?.[1]);
    while ((await held()) < 4000) await pause(10);
    const busy = await post(`${url}/topics/t`, 'x'.repeat(2000), binary);
    expect([busy.status, busy.headers.get('retry-after')]).toEqual([429, '2']);
    slow.destroy();
    while ((await held()) > 0) await pause(10);
    expect((await post(`${url}/topics/t`, 'x'.repeat(2000), binary)).status).toBe(400);
  });
});

describe.skipIf(noKafka)('on a real Kafka', () => {
  let kafka: TestKafka;
  let admin: KafkaAdmin;
  let clusterId: string;
  let environment: Record<string, string>;

  beforeAll(async () => {
    kafka = await startTestKafka();
    environment = { KAFKA_BROKERS: kafka.brokers };
    admin = await kafka.client.openAdmin();
    clusterId = await admin.clusterId();
  }, 360_000);

  afterAll(async () => {
    await admin.close();
    await kafka.close();
  });

  const create = async (topic: string, partitions = 1, config = {}): Promise<string> => {
    await admin.createTopics([{ topic, partitions, config }]);
    return topic;
  };

  /** All records of a topic, by partition, as a consumer sees them. */
  const readAll = async (topic: string): Promise<KafkaRecord[][]> => {
    const ends = await admin.offsets(topic);
    const taken: KafkaRecord[][] = ends.map(() => []);
    const consumer = await kafka.client.consume({
      groupId: `read-${topic}-${randomBytes(4).toString('hex')}`,
      topics: [topic],
      handler: {
        assigned: () => Promise.resolve(0n),
        revoked: () => undefined,
        records: ({ partition, records }) => void taken[partition]?.push(...records),
        failed: (error) => expect(error.retryable, error.message).toBe(true),
      },
    });
    const wanted = ends.reduce((sum, { high }) => sum + Number(high), 0);
    while (taken.flat().length < wanted) await pause(20);
    await consumer.stop();
    return taken;
  };

  it('names topics and the cluster', async () => {
    await create('named');
    const url = await gatewayOf(environment);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${url}/topics`)).json()).toContain('named');
    expect(await (await fetch(`${url}/v3/clusters`)).json()).toMatchObject({
      data: [{ cluster_id: clusterId }],
    });
  });

  it('v2 stores keys and values bit by bit and answers as Confluent does', async () => {
    const topic = await create('v2', 2);
    const url = await gatewayOf(environment);
    const values = [Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)), randomBytes(9999)];
    const records = [
      { key: base64('k'), value: base64(values[0] ?? ''), partition: 0 },
      { value: base64(values[1] ?? ''), partition: 1 },
      { key: null, value: null, partition: 0 },
      { key: base64('x'), value: base64('y'), partition: 9 },
    ];
    const { status, headers, body } = await postV2(url, topic, records);
    expect([status, headers.get('content-type')]).toEqual([200, 'application/vnd.kafka.v2+json']);
    expect(body).toEqual({
      key_schema_id: null,
      value_schema_id: null,
      offsets: [
        { partition: 0, offset: 0, error_code: null, error: null },
        { partition: 1, offset: 0, error_code: null, error: null },
        { partition: 0, offset: 1, error_code: null, error: null },
        { partition: null, offset: null, error_code: 1, error: 'Partition 9 not found' },
      ],
    });
    const [zero, one] = await readAll(topic);
    expect(zero?.[0]?.key?.toString()).toBe('k');
    expect(zero?.[0]?.value?.equals(values[0] ?? Buffer.of())).toBe(true);
    expect(one?.[0]?.value?.equals(values[1] ?? Buffer.of())).toBe(true);
    expect([zero?.[1]?.key, zero?.[1]?.value]).toEqual([null, null]);
  });

  it('v3 reports on each record in order, good and bad, and keeps headers', async () => {
    const topic = await create('v3');
    const url = await gatewayOf(environment);
    const stream = [
      {
        key: { type: 'BINARY', data: base64('k') },
        value: { type: 'BINARY', data: base64(Buffer.from([0, 255])) },
        headers: [{ name: 'tenant', value: base64('shop') }],
      },
      { value: { type: 'BINARY', data: '*' } },
      { value: { type: 'STRING', data: 'ü' }, partition_id: 7 },
      { value: { type: 'JSON', data: { a: [1] } }, timestamp: '2026-01-02T03:04:05Z' },
      { value: { type: 'AVRO', data: 'x' } },
    ];
    const place = `${url}/v3/clusters/${clusterId}/topics/${topic}/records`;
    const body = `${stream.map((record) => JSON.stringify(record)).join('')} {"broken":}`;
    const answer = await post(place, body, 'application/json');
    expect(answer.status).toBe(200);
    const reports = reportsOf(answer.text);
    expect(reports.map((report) => report.error_code)).toEqual([200, 422, 40_402, 200, 422, 400]);
    expect(reports[0]).toMatchObject({
      cluster_id: clusterId,
      topic_name: topic,
      partition_id: 0,
      offset: 0,
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      key: { type: 'BINARY', size: 1 },
      value: { type: 'BINARY', size: 2 },
    });
    expect(reports[3]).toMatchObject({ offset: 1, value: { type: 'JSON', size: 9 } });
    const [records = []] = await readAll(topic);
    expect(records.map(({ value }) => value?.toString('latin1'))).toEqual(['\0ÿ', '{"a":[1]}']);
    expect(records[0]?.headers['tenant']?.toString()).toBe('shop');
  });

  it('v3 reports while the stream is still open, and refuses what is no stream of objects', async () => {
    const topic = await create('v3-open');
    const url = new URL(await gatewayOf(environment));
    const open = request({
      port: url.port,
      path: `/v3/clusters/${clusterId}/topics/${topic}/records`,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    open.write('{"value":{"type":"STRING","data":"one"}}{"value":{"type":"STR');
    const [answer] = (await once(open, 'response')) as [IncomingMessage];
    const lines = createInterface({ input: answer });
    const received: string[] = [];
    lines.on('line', (line) => received.push(line));
    while (received.length < 1) await pause(10);
    open.write('ING","data":"two"}}');
    while (received.length < 2) await pause(10);
    open.end(',');
    await once(answer, 'close');
    const codes = received.map((line) => (JSON.parse(line) as Report).error_code);
    expect(codes).toEqual([200, 200, 400]);
    const place = `${url.origin}${open.path}`;
    expect((await post(place, '  ', 'application/json')).status).toBe(400);
    const cut = await post(place, '{"value":', 'application/json');
    expect([cut.status, reportsOf(cut.text)[0]?.error_code]).toEqual([200, 400]);
  });

  it('does not know topics and clusters that are not there, and creates none', async () => {
    const url = await gatewayOf(environment);
    const v2 = await postV2(url, 'nobody-made-it', [{ value: '' }]);
    expect([v2.status, v2.body.error_code]).toEqual([404, 40_401]);
    const v3 = (cluster: string, topic: string) =>
      post(`${url}/v3/clusters/${cluster}/topics/${topic}/records`, '{}', 'application/json');
    expect(reportsOf((await v3(clusterId, 'nobody-made-it')).text)[0]?.error_code).toBe(40_403);
    expect((await v3('other', 'named')).status).toBe(404);
    expect(await admin.topics()).not.toContain('nobody-made-it');
  });

  it('a record that the topic does not take fails alone, in both dialects', async () => {
    const topic = await create('narrow', 1, { 'max.message.bytes': '5000' });
    const url = await gatewayOf(environment);
    const sizes = [10, 9000, 20];
    const values = sizes.map((bytes) => base64(randomBytes(bytes)));
    const v2 = await postV2(
      url,
      topic,
      values.map((value) => ({ value })),
    );
    expect(v2.body.offsets.map((one) => one.error_code)).toEqual([null, 1, null]);
    expect(v2.body.offsets.map(({ offset }) => offset)).toEqual([0, null, 1]);
    const stream = values.map((data) => JSON.stringify({ value: { type: 'BINARY', data } }));
    const place = `${url}/v3/clusters/${clusterId}/topics/${topic}/records`;
    const v3 = await post(place, stream.join('\n'), 'application/json');
    expect(reportsOf(v3.text).map((report) => report.error_code)).toEqual([200, 413, 200]);
  });

  it('puts 1,000 concurrent small requests into few calls, each answered with its own place', async () => {
    const topic = await create('many', 3);
    const url = await gatewayOf(environment);
    const startMs = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 1000 }, async (_, index) => {
        const { body } = await postV2(url, topic, [{ value: base64(`value ${index}`) }]);
        return body.offsets[0];
      }),
    );
    const elapsedMs = performance.now() - startMs;
    const records = await readAll(topic);
    for (const [index, answer] of answers.entries()) {
      expect(answer?.error_code).toBeNull();
      const record = records[answer?.partition ?? -1]?.[answer?.offset ?? -1];
      expect(record?.value?.toString()).toBe(`value ${index}`);
    }
    expect(records.flat().length).toBe(1000);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const calls = Number(/batches_total\{outcome="stored"\} (\d+)/.exec(metrics)?.[1]);
    expect(calls).toBeLessThan(500);
    expect(metrics).toContain('tidemark_kafka_rest_records_total{outcome="stored"} 1000');
    process.stdout.write(`1,000 requests in ${Math.round(elapsedMs)} ms, ${calls} calls\n`);
  });

  it('says that nothing is stored while the broker is away, and stores again when it is back', async () => {
    const topic = await create('away');
    const url = await gatewayOf(environment);
    await postV2(url, topic, [{ value: base64('first') }]);
    await kafka.kill();
    const v2 = await postV2(url, topic, [{ value: base64('lost') }]);
    expect([v2.status, v2.body.offsets[0]?.error_code]).toEqual([200, 2]);
    const place = `${url}/v3/clusters/${clusterId}/topics/${topic}/records`;
    const v3 = await post(place, '{"value":{"type":"STRING","data":"lost"}}', 'application/json');
    expect(reportsOf(v3.text)[0]?.error_code).toBe(50_003);
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    await kafka.restart();
    let stored: Entry | undefined;
    while (stored?.error_code !== null) {
      const { body } = await postV2(url, topic, [{ value: base64('second') }]);
      stored = body.offsets?.[0];
    }
    const [records = []] = await readAll(topic);
    expect(records.map(({ value }) => value?.toString())).toEqual(['first', 'second']);
  }, 120_000);

  it('tidemark kafka-rest loses no record that it answered for when it is told to stop', async () => {
    const topic = await create('stopped', 2);
    const child = spawn(process.execPath, [entry, 'kafka-rest', '--port', '0', '--json'], {
      env: { PATH: process.env['PATH'], ...environment, TIDEMARK_LOG_LEVEL: 'warn' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const { url } = JSON.parse(line) as { url: string };
    const acknowledged = new Map<string, Entry>();
    let refused = 0;
    const sender = async (name: number): Promise<void> => {
      for (let count = 0; refused < 50; count += 1) {
        const value = `${name}-${count}`;
        const answer = await postV2(url, topic, [{ value: base64(value) }]).catch(() => undefined);
        const place = answer?.body.offsets?.[0];
        if (answer?.status === 200 && place?.error_code === null) acknowledged.set(value, place);
        else refused += 1;
      }
    };
    // One stream in the dialect that is answered while it is read.
    const stream = request({
      port: new URL(url).port,
      path: `/v3/clusters/${clusterId}/topics/${topic}/records`,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    stream.on('error', () => undefined);
    stream.write('{"value":{"type":"STRING","data":"streamed"}}');
    const [answer] = (await once(stream, 'response')) as [IncomingMessage];
    const reports: Report[] = [];
    createInterface({ input: answer }).on('line', (text) => {
      reports.push(JSON.parse(text) as Report);
    });
    const senders = Promise.all(Array.from({ length: 20 }, (_, name) => sender(name)));
    while (acknowledged.size < 300) await pause(10);
    child.kill('SIGTERM');
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(0);
    await senders;
    expect(reports.map((report) => report.error_code)).toEqual([200]);
    stream.destroy();
    const records = await readAll(topic);
    for (const [value, { partition, offset }] of acknowledged) {
      expect(records[partition ?? -1]?.[offset ?? -1]?.value?.toString()).toBe(value);
    }
    expect(acknowledged.size).toBeGreaterThanOrEqual(300);
  }, 120_000);
});
