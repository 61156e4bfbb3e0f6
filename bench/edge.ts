/**
 * Measures what the edge costs: CPU time a span of plain workerd with both legs on fast local
 * sinks, beside a real OpenTelemetry Collector on the same bytes; 500 connections for a minute; and
 * what group commit does to many small requests. Prints one JSON line per figure.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { startKafka } from '../dev/kafka.ts';
import { freePorts } from '../dev/port.ts';
import { collector } from '../test/support/peers.ts';
import { measureGroups } from './edge/groups.ts';
import { load } from './edge/load.ts';
import {
  cpuMs,
  residentBytes,
  headers,
  start,
  startFloor,
  startSink,
  startWorkerd,
  varsOf,
} from './edge/program.ts';
import type { Program } from './edge/program.ts';
import { makeRequests, requestType, spansPerRequest } from './payload.ts';

const connections = 8;
const warmUps = 200;
/** CPU time in a second of a program that is idle, and seconds that it may take to become so. */
const idleMs = 30;
const settleTurnsMax = 10;
const requests = 1500;
/** Bytes of rows for each byte of OTLP, of these payloads. */
const rowBytes = '1.6';
const manyConnections = 500;
const manySeconds = 60;
const manyPerSecond = 150;
const megabyte = 1e6;

/** CPU time a span, in µs, of a program that takes `requests` requests. */
async function cpuPerSpan(program: Program, bodies: readonly Uint8Array[]) {
  const options = { url: `${program.url}/v1/traces`, headers, bodies, connections };
  await load({ ...options, requests: warmUps });
  await settle(program.pid);
  const before = cpuMs(program.pid);
  const { failed, seconds } = await load({ ...options, requests });
  // What a program puts off, such as sending to Kafka, is its cost as well.
  await settle(program.pid);
  const microseconds = (cpuMs(program.pid) - before) * 1000;
  if (failed > 0) throw new Error(`${failed} of ${requests} requests failed`);
  const spans = requests * spansPerRequest;
  return { perSpan: microseconds / spans, perSecond: spans / seconds };
}

/** Waits until a process has been idle for a second, but not for long. */
async function settle(pid: number): Promise<void> {
  let before = cpuMs(pid);
  for (let turn = 0; turn < settleTurnsMax; turn += 1) {
    await pause(1000);
    const now = cpuMs(pid);
    if (now - before <= idleMs) return;
    before = now;
  }
}

async function withCollector(directory: string, bodies: readonly Uint8Array[]) {
  const peer = await collector();
  if ('missing' in peer) return { missing: peer.missing };
  const kafka = await startKafka({
    directory: path.join(directory, 'kafka'),
    environment: process.env,
    properties: { 'auto.create.topics.enable': 'true' },
  });
  try {
    const [port = 0] = await freePorts(1);
    const file = path.join(directory, 'collector.yaml');
    await writeFile(file, collectorConfig(port, kafka.brokers));
    const program = await start(peer.path, ['--config', file], `http://127.0.0.1:${port}`);
    try {
      return await cpuPerSpan(program, bodies);
    } finally {
      await program.stop();
    }
  } finally {
    await kafka.stop();
  }
}

/** OTLP in, Kafka out, zstd: the archive leg of a Collector, as its users set it up. */
function collectorConfig(port: number, brokers: string): string {
  return `receivers:
  otlp: { protocols: { http: { endpoint: "127.0.0.1:${port}" } } }
exporters:
  kafka:
    brokers: ["${brokers}"]
    producer: { compression: zstd, max_message_bytes: 1000000, required_acks: -1 }
    sending_queue: { block_on_overflow: true }
service:
  telemetry: { metrics: { level: none }, logs: { level: error } }
  pipelines: { traces: { receivers: [otlp], exporters: [kafka] } }
`;
}

/** CPU a span, beside the least Worker's and the Collector's. */
async function measureCpu(directory: string): Promise<void> {
  const bodies = makeRequests(requestType(), 16).map((body) => gzipSync(body));
  const own = await withSink(bodies, (sink) =>
    startWorkerd(path.join(directory, 'cpu'), varsOf(sink)),
  );
  const name = 'CPU a span, both legs';
  print('throughput, 8 connections', own.perSecond, 'spans/s', { versus: '' });
  const floor = await withSink(bodies, (sink) =>
    startFloor(path.join(directory, 'floor'), { ...varsOf(sink), ROW_BYTES: rowBytes }),
  );
  const least = 'a Worker that only inflates and posts as many zeros';
  print(name, own.perSpan, 'µs', { versus: least, ratio: round(floor.perSpan / own.perSpan) });
  const peer = await withCollector(directory, bodies);
  if ('missing' in peer) {
    print(name, own.perSpan, 'µs', { versus: peer.missing, ratio: null, goal: 3 });
    return;
  }
  const versus = 'Collector, otlp → kafka alone';
  print(name, own.perSpan, 'µs', { versus, ratio: round(peer.perSpan / own.perSpan), goal: 3 });
  print(`${name.split(',')[0]}, Collector`, peer.perSpan, 'µs', { versus: '' });
}

/** What a Worker with both legs on one fast sink costs. Throws when a leg did not get everything. */
async function withSink(bodies: readonly Uint8Array[], open: (sink: string) => Promise<Program>) {
  const sink = await startSink();
  const worker = await open(sink.url);
  try {
    const figures = await cpuPerSpan(worker, bodies);
    const { produces, inserts } = await sink.counts();
    if (produces < requests + warmUps || inserts < requests + warmUps) {
      throw new Error(`only ${produces} produce calls and ${inserts} inserts came through`);
    }
    return figures;
  } finally {
    await Promise.all([worker.stop(), sink.stop()]);
  }
}

/** 500 connections for a minute: no error, and memory that does not grow. */
async function measureMany(directory: string): Promise<void> {
  const bodies = makeRequests(requestType(), 8).map((body) => gzipSync(body));
  const sink = await startSink();
  const worker = await startWorkerd(path.join(directory, 'many'), varsOf(sink.url));
  const options = { url: `${worker.url}/v1/traces`, headers, bodies, connections: manyConnections };
  const samples: number[] = [];
  const timer = setInterval(() => samples.push(residentBytes(worker.pid)), 1000);
  try {
    const perSecond = manyPerSecond;
    const { failed, reasons, sent } = await load({
      ...options,
      requests: perSecond * manySeconds,
      perSecond,
    });
    const third = Math.floor(samples.length / 3);
    const early = Math.max(...samples.slice(third, 2 * third));
    const late = Math.max(...samples.slice(2 * third));
    const label = `${manyConnections} connections for ${manySeconds} s`;
    const versus = `${sent} requests`;
    print(`${label}, failed`, failed, 'requests', { versus, goal: 0, reasons });
    print(`${label}, memory in the last third`, late / megabyte, 'MB', {
      versus: 'the third before',
      ratio: round(early / late),
    });
  } finally {
    clearInterval(timer);
    await Promise.all([worker.stop(), sink.stop()]);
  }
}

/** The whole benchmark. */
export async function edge(): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'tidemark-edge-'));
  try {
    await measureCpu(directory);
    await measureGroups(directory, print);
    await measureMany(directory);
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

function print(name: string, value: number, unit: string, more: object): void {
  const machine = `${os.availableParallelism()} × ${os.cpus()[0]?.model ?? 'unknown'}`;
  const line = { bench: 'edge', case: name, value: round(value), unit, ...more, machine };
  process.stdout.write(`${JSON.stringify({ ...line, node: process.version })}\n`);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

if (import.meta.main) await edge();
