/** The stack with a real Kafka, as a user runs it: what is sent is in the topics byte for byte. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { steadyPorts } from '../../dev/port.ts';
import { topics } from '../../schemas/archive.ts';
import type { Signal } from '../../schemas/archive.ts';
import { readSettings } from '../../schemas/settings.ts';
import { openKafka } from '../../workers/clients/kafka/kafka.ts';
import type { KafkaRecord } from '../../workers/clients/kafka/consumer.ts';
import { noKafka } from '../support/kafka.ts';

const entry = path.join(import.meta.dirname, '../../bin/tidemark.js');

interface Addresses {
  readonly otlp: string;
  readonly kafka: string;
  readonly kafkaRest: string;
}

/** OTLP protobuf by hand, so that no encoder of ours is a witness: one item of each signal. */
const field = (number: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
const fixed64 = (number: number, value: bigint): Buffer => {
  const bytes = Buffer.alloc(9);
  bytes[0] = (number << 3) | 1;
  bytes.writeBigUInt64LE(value, 1);
  return bytes;
};
const nowNs = BigInt(Date.now()) * 1_000_000n;
const span = Buffer.concat([
  field(1, Buffer.from('5b8efff798038103d269b633813fc60c', 'hex')),
  field(2, Buffer.from('eee19b7ec3c1b174', 'hex')),
  field(5, Buffer.from('GET /')),
  fixed64(7, nowNs),
  fixed64(8, nowNs + 5n),
]);
const logRecord = Buffer.concat([fixed64(1, nowNs), field(5, field(1, Buffer.from('hello')))]);
const point = Buffer.concat([fixed64(3, nowNs), fixed64(6, 7n)]);
const metric = Buffer.concat([field(1, Buffer.from('requests')), field(5, field(1, point))]);
/** Resource…s { Scope…s { item } }: the same field numbers in all three signals. */
const requestOf = (item: Buffer): Buffer => field(1, field(2, field(2, item)));
const requests: Readonly<Record<Signal, Buffer>> = {
  traces: requestOf(span),
  metrics: requestOf(metric),
  logs: requestOf(logRecord),
};

const send = async ({ otlp }: Addresses, signal: Signal): Promise<number> => {
  const answer = await fetch(new URL(`/v1/${signal}`, otlp), {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: new Uint8Array(requests[signal]),
  });
  await answer.arrayBuffer();
  return answer.status;
};

/** All records of all topics, read by a group of its own. */
const readAll = async (
  { kafka }: Addresses,
  count: number,
): Promise<Record<string, KafkaRecord[]>> => {
  const client = openKafka(readSettings({ KAFKA_BROKERS: kafka }), pino({ level: 'silent' }));
  const taken: Record<string, KafkaRecord[]> = {};
  const consumer = await client.consume({
    groupId: `test-${count}`,
    topics: Object.values(topics),
    handler: {
      assigned: () => Promise.resolve(0n),
      revoked: () => undefined,
      records: ({ topic, records }) => void (taken[topic] ??= []).push(...records),
      // The group's coordinator may still be loading; the client goes on by itself.
      failed: (error) => expect(error.retryable, error.message).toBe(true),
    },
  });
  while (Object.values(taken).flat().length < count) await pause(50);
  await consumer.stop();
  return taken;
};

describe.skipIf(noKafka)('tidemark start --kafka', () => {
  let directory: string;
  let environment: Record<string, string>;
  const running = new Set<ChildProcess>();

  beforeAll(async () => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-kafka-stack-'));
    const [port, clickhousePort, kafkaPort, restPort] = await steadyPorts(4);
    environment = {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      TIDEMARK_DATA: directory,
      TIDEMARK_PORT: String(port),
      TIDEMARK_CLICKHOUSE_PORT: String(clickhousePort),
      TIDEMARK_KAFKA_PORT: String(kafkaPort),
      TIDEMARK_KAFKA_REST_PORT: String(restPort),
      TIDEMARK_KAFKA_PARTITIONS: '2',
    };
  });

  afterAll(async () => {
    for (const child of running) {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  const start = async (version: string): Promise<{ child: ChildProcess; at: Addresses }> => {
    const child = spawn(process.execPath, [entry, 'start', '--kafka', '--json'], {
      env: { ...environment, KAFKA_REST_VERSION: version },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    running.add(child);
    child.once('close', () => running.delete(child));
    const ended = once(child, 'close').then(() => expect.unreachable('the stack did not start'));
    const lines = once(createInterface({ input: child.stdout }), 'line');
    const [line] = (await Promise.race([lines, ended])) as [string];
    ended.catch(() => undefined);
    return { child, at: JSON.parse(line) as Addresses };
  };

  it('puts every signal into its topic as it was sent, and keeps it over a restart', async () => {
    const first = await start('v2');
    for (const signal of ['traces', 'metrics', 'logs'] as const) {
      expect(await send(first.at, signal), signal).toBe(200);
    }
    const taken = await readAll(first.at, 3);
    for (const signal of ['traces', 'metrics', 'logs'] as const) {
      const [record, ...others] = taken[topics[signal]] ?? [];
      expect(others).toEqual([]);
      expect(record?.value?.toString('hex'), signal).toBe(requests[signal].toString('hex'));
      expect(record?.key?.toString()).toMatch(/^default\/[0-9a-zA-Z-]+$/);
    }
    first.child.kill('SIGTERM');
    await once(first.child, 'close');
    expect(first.child.exitCode).toBe(0);

    // The same through the other dialect, which has headers.
    const second = await start('v3');
    expect(await send(second.at, 'traces')).toBe(200);
    const again = await readAll(second.at, 4);
    const [, latest] = (again[topics.traces] ?? []).toSorted(
      (a, b) => a.timestampMs - b.timestampMs,
    );
    expect(latest?.value?.equals(requests.traces)).toBe(true);
    const headers = Object.values(latest?.headers ?? {}).map((value) => value.toString());
    expect(headers).toContain('default');
    second.child.kill('SIGTERM');
    await once(second.child, 'close');
    expect(second.child.exitCode).toBe(0);
  }, 240_000);
});
