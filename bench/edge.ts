/**
 * Measures what the edge costs: CPU time a span of plain workerd with both legs on fast local
 * sinks, beside a real OpenTelemetry Collector on the same bytes; 500 connections for a minute; and
 * what group commit does to many small requests. Prints one JSON line per figure.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { measureBoth, measureKafka } from './edge/collector.ts';
import type { Missing } from './edge/collector.ts';
import { costOf, requests, warmUp, warmUps } from './edge/cost.ts';
import type { Cost } from './edge/cost.ts';
import { measureGroups } from './edge/groups.ts';
import { load } from './edge/load.ts';
import {
  residentBytes,
  headers,
  startFloor,
  startSink,
  startWorkerd,
  varsOf,
} from './edge/program.ts';
import type { Program } from './edge/program.ts';
import { makeRequests, requestType } from './payload.ts';

/** Bytes of rows for each byte of OTLP, of these payloads. */
const rowBytes = '1.6';
const manyConnections = 500;
const manySeconds = 60;
const manyPerSecond = 150;
const megabyte = 1e6;

/** CPU a span, beside the least Worker's and the Collector's. */
async function measureCpu(directory: string): Promise<void> {
  const own = await withSink((sink) => startWorkerd(path.join(directory, 'cpu'), varsOf(sink)));
  print('throughput, 8 connections', own.perSecond, 'spans/s', { versus: '' });
  const floor = await withSink((sink) =>
    startFloor(path.join(directory, 'floor'), { ...varsOf(sink), ROW_BYTES: rowBytes }),
  );
  const least = 'a Worker that only inflates and posts as many zeros';
  compare(own, least, floor, undefined);
  const kafka = await measureKafka(path.join(directory, 'kafka'));
  compare(own, 'Collector, otlp → kafka alone', kafka, 3);
  const both = await measureBoth(path.join(directory, 'both'));
  compare(own, 'Collector, otlp → clickhouse + kafka', both, 8);
}

/** One line for Tidemark, with the ratio, and one for the peer. */
function compare(own: Cost, versus: string, peer: Cost | Missing, goal: number | undefined): void {
  const name = 'CPU a span, both legs';
  if ('missing' in peer) {
    print(name, own.perSpan, 'µs', { versus: peer.missing, ratio: null, goal });
    return;
  }
  print(name, own.perSpan, 'µs', { versus, ratio: round(peer.perSpan / own.perSpan), goal });
  if (goal !== undefined) print(`CPU a span, ${versus}`, peer.perSpan, 'µs', { versus: '' });
}

/** What a Worker with both legs on one fast sink costs. Throws when a leg did not get everything. */
async function withSink(open: (sink: string) => Promise<Program>): Promise<Cost> {
  const sink = await startSink();
  const worker = await open(sink.url);
  try {
    await warmUp(worker);
    const cost = await costOf(worker);
    const { produces, inserts } = await sink.counts();
    if (produces < requests + warmUps || inserts < requests + warmUps) {
      throw new Error(`only ${produces} produce calls and ${inserts} inserts came through`);
    }
    return cost;
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
    const { failed, reasons, sent, opened } = await load({
      ...options,
      requests: perSecond * manySeconds,
      perSecond,
    });
    const third = Math.floor(samples.length / 3);
    const early = Math.max(...samples.slice(third, 2 * third));
    const late = Math.max(...samples.slice(2 * third));
    const label = `${manyConnections} connections for ${manySeconds} s`;
    const versus = `${sent} requests`;
    print(`${label}, failed`, failed, 'requests', { versus, goal: 0, reasons, opened });
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
