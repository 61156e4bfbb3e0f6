/**
 * A real OpenTelemetry Collector beside the edge: OTLP in, a real Kafka and, for both legs, ClickHouse
 * out. Throws when a leg did not get every span.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pino from 'pino';
import { startKafka } from '../../dev/kafka.ts';
import { freePorts } from '../../dev/port.ts';
import { topics } from '../../schemas/archive.ts';
import { readSettings } from '../../schemas/settings.ts';
import { startClickHouse } from '../../test/support/clickhouse.ts';
import { collector } from '../../test/support/peers.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { openKafka } from '../../workers/clients/kafka/kafka.ts';
import { spansPerRequest } from '../payload.ts';
import { costOf, requests, warmUp, warmUps } from './cost.ts';
import type { Cost } from './cost.ts';
import { start, startSink } from './program.ts';
import type { Program } from './program.ts';

/** How often, and for how long, it is asked whether all has come in. */
const tryMs = 200;
const triesMax = 150;

/** Why there is no Collector. */
export interface Missing {
  readonly missing: string;
}

/** The archive leg alone. */
export function measureKafka(directory: string): Promise<Cost | Missing> {
  return withCollector(directory, archiveLeg, async (program, brokers) => {
    await warmUp(program);
    const cost = await costOf(program);
    await until('Kafka has every request', () => hasRecords(brokers));
    return cost;
  });
}

/**
 * Both legs. The warm-up is stored in a real ClickHouse, row by row counted; what is measured goes to a
 * sink that is as fast as the edge's own.
 */
export async function measureBoth(directory: string): Promise<Cost | Missing> {
  const server = await startClickHouse();
  const sink = await startSink(server.url);
  const config = (port: number, brokers: string) => bothLegs(port, brokers, sink.url);
  try {
    return await withCollector(directory, config, async (program, brokers) => {
      const spans = await warmUp(program);
      await until('ClickHouse has every span', async () => (await rowsOf(server.url)) === spans);
      await sink.goAlone();
      const cost = await costOf(program);
      const all = spans + requests * spansPerRequest;
      await until('the sink has every span', async () => (await sink.counts()).rows === all);
      await until('Kafka has every request', () => hasRecords(brokers));
      return cost;
    });
  } finally {
    await Promise.all([sink.stop(), server.stop()]);
  }
}

async function withCollector<T>(
  directory: string,
  config: (port: number, brokers: string) => string,
  measure: (program: Program, brokers: string) => Promise<T>,
): Promise<T | Missing> {
  const peer = await collector();
  if ('missing' in peer) return { missing: peer.missing };
  const kafka = await startKafka({
    directory: path.join(directory, 'kafka'),
    environment: process.env,
    properties: { 'auto.create.topics.enable': 'true' },
  });
  try {
    const [port = 0] = await freePorts(1);
    await mkdir(directory, { recursive: true });
    const file = path.join(directory, 'collector.yaml');
    await writeFile(file, config(port, kafka.brokers));
    const program = await start(peer.path, ['--config', file], `http://127.0.0.1:${port}`);
    try {
      return await measure(program, kafka.brokers);
    } finally {
      await program.stop();
    }
  } finally {
    await kafka.stop();
  }
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < triesMax; turn += 1) {
    if (await isSo()) return;
    await pause(tryMs);
  }
  throw new Error(`in vain waited until ${what}`);
}

async function rowsOf(url: string): Promise<number> {
  const clickhouse = openClickHouse({ ...readSettings({}), CLICKHOUSE_URL: url });
  const [row] = await clickhouse.query<{ rows: number }>(
    'SELECT toFloat64(count()) AS rows FROM otel_traces',
    {},
  );
  await clickhouse.close();
  return row?.rows ?? 0;
}

/** Whether Kafka has a record for each request, as the Collector makes them. */
async function hasRecords(brokers: string): Promise<boolean> {
  const settings = readSettings({ KAFKA_BROKERS: brokers });
  const admin = await openKafka(settings, pino({ level: 'silent' })).openAdmin();
  const offsets = await admin.offsets(topics.traces);
  await admin.close();
  return offsets.reduce((sum, { high }) => sum + Number(high), 0) >= warmUps + requests;
}

/** OTLP in, Kafka out, zstd: the archive leg of a Collector, as its users set it up. */
function archiveLeg(port: number, brokers: string): string {
  return `${receiver(port)}
exporters:
${kafkaExporter(brokers)}
${service('kafka')}`;
}

/**
 * ClickHouse's exporter as its documentation has it: LZ4, asynchronous inserts, batches; the schema
 * by itself. Batches are those of its queue, because the batch processor would make records of
 * Kafka that are too large, and copies every span besides.
 */
function bothLegs(port: number, brokers: string, clickhouse: string): string {
  return `${receiver(port)}
exporters:
${kafkaExporter(brokers)}
  clickhouse:
    endpoint: "${clickhouse}"
    timeout: 60s
    sending_queue:
      block_on_overflow: true
      sizer: items
      queue_size: 1000000
      batch: { flush_timeout: 1s, min_size: 10000 }
${service('kafka, clickhouse')}`;
}

function receiver(port: number): string {
  return `receivers:
  otlp: { protocols: { http: { endpoint: "127.0.0.1:${port}" } } }`;
}

function kafkaExporter(brokers: string): string {
  return `  kafka:
    brokers: ["${brokers}"]
    producer: { compression: zstd, max_message_bytes: 1000000, required_acks: -1 }
    sending_queue: { block_on_overflow: true }`;
}

function service(exporters: string): string {
  return `service:
  telemetry: { metrics: { level: none }, logs: { level: error } }
  pipelines: { traces: { receivers: [otlp], exporters: [${exporters}] } }
`;
}
