/**
 * Measures the transcoder against protobufjs decoding the same bytes, in one process on one core.
 * First the rows, loaded in the ClickHouse engine, and the columns must equal what an independent
 * reading of the requests says.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SpanColumns, Transcoder } from '../aggregator-as/host.ts';
import type { Provenance } from '../aggregator-as/host.ts';
import { traceColumns } from '../schemas/archive.ts';
import { valuesOf } from '../test/aggregator-as/arrow.ts';
import { loadRows } from '../test/aggregator-as/clickhouse.ts';
import { expectHours } from '../test/aggregator-as/columns.ts';
import { expectSpans } from '../test/aggregator-as/reference.ts';
import { jsonRowOf } from '../test/aggregator-as/rows.ts';
import { makeRequests, requestType, spansPerRequest, startMs } from './payload.ts';

const requestCount = 20;
/** Rounds of each side; the figure is the median round. */
const roundCount = 9;

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
  /** Works through all requests once. */
  run(): void;
}

/** The whole benchmark, in about `seconds`. */
export async function transcode(seconds = 8): Promise<void> {
  const type = requestType();
  const requests = makeRequests(type, requestCount);
  const wasm = path.join(import.meta.dirname, '../aggregator-as/build/transcode.wasm');
  const module = await WebAssembly.compile(readFileSync(wasm));
  const transcoder = new Transcoder(module);
  const columns = new SpanColumns(module);
  assertRows(transcoder, requests);
  assertColumns(columns, requests);
  const buffers = requests.map((request) => Buffer.from(request));
  const sides: Side[] = [
    {
      name: 'RowBinary',
      run: () => {
        for (const request of requests) transcoder.tracesToRowBinary(request, provenance);
      },
    },
    { name: 'Arrow columns', run: () => writeColumns(columns, requests) },
    { name: 'protobufjs decode of Uint8Array', run: () => decodeAll(requests) },
    { name: 'protobufjs decode of Buffer', run: () => decodeAll(buffers) },
  ];
  const decodeAll = (inputs: readonly Uint8Array[]) => {
    for (const input of inputs) type.decode(input);
  };
  report(sides, measure(sides, seconds), requests);
}

function writeColumns(columns: SpanColumns, requests: readonly Uint8Array[]): void {
  columns.reset();
  for (const request of requests) columns.add(request, provenance);
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

function assertColumns(columns: SpanColumns, requests: readonly Uint8Array[]): void {
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
function columnOf(columns: SpanColumns, index: number): unknown[] {
  const values: unknown[] = [];
  for (const hour of columns.hours()) {
    const column = hour.columns[index];
    const type = traceColumns[index]?.type;
    if (column && type) values.push(...valuesOf(type, column));
  }
  return values;
}

/** CPU milliseconds of one pass over all requests for each side: the median of its rounds. */
function measure(sides: readonly Side[], seconds: number): number[] {
  const roundMs = (seconds * 1000) / (roundCount + 1) / sides.length;
  const times = sides.map((): number[] => []);
  for (let round = 0; round <= roundCount; round++) {
    const order = sides.map((_, index) => index);
    if (round % 2 === 1) order.reverse();
    for (const index of order) {
      const passMs = timePasses(sides[index], roundMs);
      // The first round warms up.
      if (round > 0) times[index]?.push(passMs);
    }
  }
  return times.map((rounds) => rounds.toSorted((a, b) => a - b)[roundCount >> 1] ?? Number.NaN);
}

/** CPU time of this thread, so that whatever else the machine does counts as little as possible. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function timePasses(side: Side | undefined, roundMs: number): number {
  const start = cpuMs();
  let passes = 0;
  while (passes === 0 || cpuMs() - start < roundMs) {
    side?.run();
    passes++;
  }
  return (cpuMs() - start) / passes;
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
