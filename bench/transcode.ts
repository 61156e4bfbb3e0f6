/**
 * Measures the transcoder against protobufjs decoding the same bytes, in one process on one core.
 * First the rows, loaded in the ClickHouse engine, and the columns must equal what an independent
 * reading of the requests says.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ItemColumns, Transcoder } from '../aggregator-as/host.ts';
import type { Provenance } from '../aggregator-as/host.ts';
import { traceColumns } from '../schemas/archive.ts';
import { valuesOf } from '../test/aggregator-as/arrow.ts';
import { loadRows } from '../test/aggregator-as/clickhouse.ts';
import { expectHours } from '../test/aggregator-as/columns.ts';
import { expectSpans } from '../test/aggregator-as/reference.ts';
import { jsonRowOf } from '../test/aggregator-as/rows.ts';
import { makeRequests, requestType, spansPerRequest, startMs } from './payload.ts';

const requestCount = 20;
/** At most so many rounds of all sides. */
const roundsMax = 200;

const provenance: Provenance = {
  tenantId: 'acme',
  receivedMs: startMs + 60_000,
  pastMaxMs: 86_400_000,
  futureMaxMs: 86_400_000,
  topic: 'otlp_spans',
  partition: 0,
  offset: 1n,
};

interface Side {
  readonly name: string;
  /** All of these are one pass over all requests. */
  readonly steps: readonly (() => void)[];
}

/** The whole benchmark, in about `seconds`. */
export async function transcode(seconds = 8): Promise<void> {
  const type = requestType();
  const requests = makeRequests(type, requestCount);
  const wasm = path.join(import.meta.dirname, '../aggregator-as/build/transcode.wasm');
  const module = await WebAssembly.compile(readFileSync(wasm));
  const transcoder = new Transcoder(module);
  const columns = new ItemColumns(module, 'traces');
  assertRows(transcoder, requests);
  assertColumns(columns, requests);
  const buffers = requests.map((request) => Buffer.from(request));
  const sides: Side[] = [
    {
      name: 'RowBinary',
      steps: eachOf(requests, (request) => transcoder.tracesToRowBinary(request, provenance)),
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
  report(sides, measure(sides, seconds), requests);
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

function assertRows(transcoder: Transcoder, requests: readonly Uint8Array[]): void {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-transcode-'));
  try {
    const file = path.join(directory, 'rows.bin');
    const rows = requests.map((request) =>
      Buffer.from(transcoder.tracesToRowBinary(request, provenance).rows),
    );
    writeFileSync(file, Buffer.concat(rows));
    const wanted = requests
      .flatMap((request) => expectSpans(request, provenance).spans)
      .map((span) => jsonRowOf(span, provenance.tenantId, provenance.receivedMs));
    assert.deepEqual(loadRows(file), wanted);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function assertColumns(columns: ItemColumns, requests: readonly Uint8Array[]): void {
  const placed = requests.flatMap((request) =>
    expectSpans(request, provenance).spans.map((span) => ({ span, provenance })),
  );
  for (const request of requests) columns.add(request, provenance);
  const hours = expectHours(placed);
  for (const [index, { name, type }] of traceColumns.entries()) {
    const values = [...columns.hours()].length === hours.length && columnOf(columns, index);
    const wanted = hours.flatMap(({ rows }) => rows.map((row) => row[name]));
    assert.deepEqual(values, wanted, `${name} (${type})`);
  }
}

/** The values of one column through all hours. */
function columnOf(columns: ItemColumns, index: number): unknown[] {
  const values: unknown[] = [];
  for (const hour of columns.hours()) {
    const column = hour.columns[index];
    const type = traceColumns[index]?.type;
    if (column && type) values.push(...valuesOf(type, column));
  }
  return values;
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
  sides: readonly Side[],
  passMs: readonly number[],
  requests: readonly Uint8Array[],
): void {
  const spans = requestCount * spansPerRequest;
  const megabytes = requests.reduce((sum, request) => sum + request.length, 0) / 1e6;
  const decodeMs = Math.min(passMs[2] ?? Number.NaN, passMs[3] ?? Number.NaN);
  const versus = sides[passMs.indexOf(decodeMs)]?.name;
  const machine = `${os.cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}`;
  for (const [index, { name }] of sides.entries()) {
    const ms = passMs[index] ?? Number.NaN;
    const figures = [
      { value: Math.round((spans / ms) * 1000), unit: 'spans/s' },
      { value: Math.round((megabytes / ms) * 1000), unit: 'MB/s' },
    ];
    for (const figure of figures) {
      const ratio = Math.round((decodeMs / ms) * 100) / 100;
      const line = { bench: 'transcode', case: name, ...figure, versus, ratio, machine };
      process.stdout.write(`${JSON.stringify(line)}\n`);
    }
  }
}
