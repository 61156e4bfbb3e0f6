/**
 * Measures the transcoder against protobufjs decoding the same bytes, in one process on one core.
 * First the rows, loaded in the ClickHouse engine, and the columns must equal what an independent
 * reading of the requests says.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type protobuf from 'protobufjs';
import { ItemColumns, Transcoder } from '../aggregator-as/host.ts';
import type { Provenance } from '../aggregator-as/host.ts';
import { topics } from '../schemas/archive.ts';
import type { Signal } from '../schemas/archive.ts';
import { makeRequests, requestType, spansPerRequest, startMs } from './payload.ts';
import { makeLogRequests, recordsPerRequest } from './payload/logs.ts';
import { makeMetricRequests, pointsPerRequest } from './payload/metrics.ts';
import { assertColumns, assertRows } from './transcode/equal.ts';

const requestCount = 20;
/** At most so many rounds of all sides. */
const roundsMax = 200;

interface Payload {
  readonly make: (type: protobuf.Type, count: number) => Uint8Array[];
  readonly itemsPerRequest: number;
  readonly unit: string;
}

const payloads: Record<Signal, Payload> = {
  traces: { make: makeRequests, itemsPerRequest: spansPerRequest, unit: 'spans/s' },
  logs: { make: makeLogRequests, itemsPerRequest: recordsPerRequest, unit: 'log records/s' },
  metrics: { make: makeMetricRequests, itemsPerRequest: pointsPerRequest, unit: 'data points/s' },
};

function provenanceOf(signal: Signal): Provenance {
  return {
    tenantId: 'acme',
    receivedMs: startMs + 60_000,
    pastMaxMs: 86_400_000,
    futureMaxMs: 86_400_000,
    topic: topics[signal],
    partition: 0,
    offset: 1n,
  };
}

interface Side {
  readonly name: string;
  /** All of these are one pass over all requests. */
  readonly steps: readonly (() => void)[];
}

/** The whole benchmark, in about `seconds` for each signal. */
export async function transcode(seconds = 8): Promise<void> {
  const wasm = path.join(import.meta.dirname, '../aggregator-as/build/transcode.wasm');
  const module = await WebAssembly.compile(readFileSync(wasm));
  for (const signal of ['traces', 'logs', 'metrics'] as const)
    measureSignal(signal, module, seconds);
}

function measureSignal(signal: Signal, module: WebAssembly.Module, seconds: number): void {
  const type = requestType(signal);
  const provenance = provenanceOf(signal);
  const requests = payloads[signal].make(type, requestCount);
  const transcoder = new Transcoder(module);
  const columns = new ItemColumns(module, signal);
  assertRows(signal, transcoder, requests, provenance);
  assertColumns(signal, columns, requests, provenance);
  const buffers = requests.map((request) => Buffer.from(request));
  const sides: Side[] = [
    {
      name: 'RowBinary',
      steps: eachOf(requests, (request) => transcoder.toRowBinary(signal, request, provenance)),
    },
    {
      name: 'Arrow columns',
      steps: [
        () => columns.reset(),
        ...eachOf(requests, (request) => columns.add(request, provenance)),
        () => writeHours(columns),
      ],
    },
    {
      name: 'protobufjs decode of Uint8Array',
      steps: eachOf(requests, (request) => type.decode(request)),
    },
    {
      name: 'protobufjs decode of Buffer',
      steps: eachOf(buffers, (request) => type.decode(request)),
    },
  ];
  report(signal, sides, measure(sides, seconds), requests);
}

function eachOf(
  inputs: readonly Uint8Array[],
  work: (input: Uint8Array) => unknown,
): (() => void)[] {
  return inputs.map((input) => () => void work(input));
}

function writeHours(columns: ItemColumns): void {
  for (const hour of columns.hours()) assert.ok(hour.rows > 0);
}

/**
 * Milliseconds of one pass for each side: the sum over its steps of the best time of each. So the
 * time that other programs take is left out, and garbage collection, which would slow protobufjs.
 */
function measure(sides: readonly Side[], seconds: number): number[] {
  const best = sides.map(({ steps }) => steps.map(() => Number.POSITIVE_INFINITY));
  const start = performance.now();
  for (let round = 0; round < roundsMax && performance.now() - start < seconds * 1000; round++) {
    const order = sides.map((_, index) => index);
    if (round % 2 === 1) order.reverse();
    for (const index of order) timeSteps(sides[index], best[index] ?? []);
  }
  return best.map((times) => times.reduce((sum, time) => sum + time, 0));
}

function timeSteps(side: Side | undefined, best: number[]): void {
  for (const [index, step] of (side?.steps ?? []).entries()) {
    const start = performance.now();
    step();
    best[index] = Math.min(best[index] ?? Number.POSITIVE_INFINITY, performance.now() - start);
  }
}

/** Ratios are against the faster of protobufjs's two readers. */
function report(
  signal: Signal,
  sides: readonly Side[],
  passMs: readonly number[],
  requests: readonly Uint8Array[],
): void {
  const { itemsPerRequest, unit } = payloads[signal];
  const items = requestCount * itemsPerRequest;
  const megabytes = requests.reduce((sum, request) => sum + request.length, 0) / 1e6;
  const decodeMs = Math.min(passMs[2] ?? Number.NaN, passMs[3] ?? Number.NaN);
  const versus = sides[passMs.indexOf(decodeMs)]?.name;
  const machine = `${os.cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}`;
  for (const [index, { name }] of sides.entries()) {
    const ms = passMs[index] ?? Number.NaN;
    const figures = [
      { value: Math.round((items / ms) * 1000), unit },
      { value: Math.round((megabytes / ms) * 1000), unit: 'MB/s' },
    ];
    for (const figure of figures) {
      const ratio = Math.round((decodeMs / ms) * 100) / 100;
      const line = {
        bench: 'transcode',
        case: `${signal}: ${name}`,
        ...figure,
        versus,
        ratio,
        machine,
      };
      process.stdout.write(`${JSON.stringify(line)}\n`);
    }
  }
}
