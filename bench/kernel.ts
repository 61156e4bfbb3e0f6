/**
 * Measures the batch kernel: dedup, group, count and exact quantiles of spans in memory, on one core,
 * against DuckDB and ClickHouse on one thread with the same spans in tables in memory. Asserts
 * first that all three give the same counts and quantiles. Prints one JSON line per figure.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { Session } from 'chdb';
import { ShardKernel, type ShardColumns } from '../aggregator-as/kernel.ts';
import { mergePartials } from '../batch/traces/merge.ts';
import { encodePartial, publishedQuantiles } from '../schemas/partial.ts';

const rows = 2_000_000;
const batchRows = 50_000;
const groups = 1000;
const services = 20;
const traceSpans = 10;
const repeats = 5;

/** xorshift32: the same spans on every run. */
function randomWords(): () => number {
  let state = 20_261_122;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

function emptyColumns(count: number): ShardColumns {
  return {
    rows: count,
    traceIds: new Uint8Array(count * 16),
    spanIds: new Uint8Array(count * 8),
    kinds: new Uint8Array(count).fill(2),
    tenants: new Uint32Array(count),
    services: new Uint32Array(count),
    operations: new Uint32Array(count),
    errors: new Uint8Array(count),
    durations: new BigUint64Array(count),
    ingestedMs: new BigInt64Array(count),
    partitions: new Int32Array(count),
    offsets: new BigInt64Array(count),
    itemIndexes: new Uint32Array(count),
  };
}

/** One batch: traces of about ten spans, 3 % of the rows later copies of a row shortly before. */
function makeBatch(next: () => number, batch: number): ShardColumns {
  const columns = emptyColumns(batchRows);
  const traceWords = new Uint32Array(columns.traceIds.buffer);
  const spanWords = new Uint32Array(columns.spanIds.buffer);
  const trace = Uint32Array.from({ length: 4 }, next);
  for (let i = 0; i < batchRows; i++) {
    columns.offsets[i] = BigInt(batch * batchRows + i);
    if (i > 100 && next() % 100 < 3) {
      copyRow(columns, i - 1 - (next() % 100), i);
      continue;
    }
    if (next() % traceSpans === 0) trace.set(Array.from({ length: 4 }, next));
    traceWords.set(trace, i * 4);
    spanWords.set([next(), next()], i * 2);
    const group = next() % groups;
    columns.operations[i] = group;
    columns.services[i] = group % services;
    columns.errors[i] = Number(next() % 50 === 0);
    columns.durations[i] = BigInt(Math.floor(Math.exp(13 + (next() / 2 ** 32) * 7)));
  }
  return columns;
}

function copyRow(columns: ShardColumns, from: number, to: number): void {
  columns.traceIds.copyWithin(to * 16, from * 16, from * 16 + 16);
  columns.spanIds.copyWithin(to * 8, from * 8, from * 8 + 8);
  columns.operations[to] = columns.operations[from] ?? 0;
  columns.services[to] = columns.services[from] ?? 0;
  columns.errors[to] = columns.errors[from] ?? 0;
  columns.durations[to] = columns.durations[from] ?? 0n;
}

/** ClickHouse's types of the rows that `rowBinary` writes. */
const structure = `trace FixedString(16), span FixedString(8), kind UInt8, tenant UInt32,
  service UInt32, operation UInt32, error UInt8, duration UInt64, off Int64`;

function rowBinary(batches: readonly ShardColumns[]): Uint8Array {
  const width = 16 + 8 + 1 + 12 + 1 + 16;
  const bytes = new Uint8Array(rows * width);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const columns of batches) {
    for (let i = 0; i < columns.rows; i++) {
      bytes.set(columns.traceIds.subarray(i * 16, i * 16 + 16), at);
      bytes.set(columns.spanIds.subarray(i * 8, i * 8 + 8), at + 16);
      bytes[at + 24] = columns.kinds[i] ?? 0;
      view.setUint32(at + 25, columns.tenants[i] ?? 0, true);
      view.setUint32(at + 29, columns.services[i] ?? 0, true);
      view.setUint32(at + 33, columns.operations[i] ?? 0, true);
      bytes[at + 37] = columns.errors[i] ?? 0;
      view.setBigUint64(at + 38, columns.durations[i] ?? 0n, true);
      view.setBigInt64(at + 46, columns.offsets[i] ?? 0n, true);
      at += width;
    }
  }
  return bytes;
}

/** One line per group: tenant, service, operation, spans, errors, traces, quantiles. */
type Result = number[][];

const levels = publishedQuantiles.join(', ');

const clickHouseSql = `SELECT tenant, tupleElement(kept, 1) AS s, tupleElement(kept, 2) AS o, count(),
    sum(tupleElement(kept, 3)), uniqExact(trace),
    quantilesExactInclusive(${levels})(tupleElement(kept, 4))
  FROM (SELECT tenant, trace, argMin((service, operation, error, duration), off) AS kept
    FROM spans GROUP BY tenant, trace, span, kind)
  GROUP BY tenant, s, o ORDER BY tenant, s, o SETTINGS max_threads = 1`;

const duckDbSql = `SELECT tenant, kept.service, kept.operation, count(*)::INTEGER,
    sum(kept.error)::INTEGER, count(DISTINCT trace)::INTEGER,
    quantile_cont(kept.duration, [${levels}])
  FROM (SELECT tenant, trace, arg_min({service: service, operation: operation, error: error,
      duration: duration}, off) AS kept FROM spans GROUP BY tenant, trace, span, kind)
  GROUP BY ALL ORDER BY ALL`;

/**
 * Least CPU time of `repeats` runs, all threads of the process together (so that neighbours on the
 * machine count little, and nobody's helpers are free), and the last result.
 */
async function timed(run: () => Result | Promise<Result>) {
  let bestMs = Infinity;
  let result: Result = [];
  for (let i = 0; i < repeats; i++) {
    const start = process.cpuUsage();
    result = await run();
    const { user, system } = process.cpuUsage(start);
    bestMs = Math.min(bestMs, (user + system) / 1000);
  }
  return { bestMs, result };
}

function kernelRun(shard: ShardKernel, batches: readonly ShardColumns[]) {
  return async (): Promise<Result> => {
    shard.reset();
    for (const columns of batches) shard.add(columns);
    const partial = encodePartial(named(shard));
    const read = (start: number, end: number) => Promise.resolve(partial.subarray(start, end));
    const stats = await mergePartials([{ byteLength: partial.length, read }], publishedQuantiles);
    return stats.map((group) => [
      Number(group.tenantId),
      Number(group.serviceName),
      Number(group.operationName),
      group.totalSpans,
      group.errorCount,
      group.uniqueTraces,
      ...group.quantilesMs,
    ]);
  };
}

function* named(shard: ShardKernel) {
  for (const group of shard.finish()) {
    const serviceName = nameOf(group.service);
    const operationName = nameOf(group.operation);
    const spanKind = nameOf(group.kind);
    yield { ...group, tenantId: nameOf(group.tenant), serviceName, operationName, spanKind };
  }
}

/** Names whose order is that of the codes. */
function nameOf(code: number): string {
  return String(code).padStart(6, '0');
}

async function runDuckDb(parquet: string) {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  await connection.run(`CREATE TABLE spans AS FROM '${parquet}'`);
  const timing = await timed(async () => {
    const found = (await connection.runAndReadAll(duckDbSql)).getRowsJson();
    return found.map((row) => row.flat().map((value, i) => (i < 6 ? Number(value) : ms(value))));
  });
  connection.closeSync();
  return timing;
}

function runClickHouse(binary: string, parquet: string) {
  const session = new Session();
  session.query(`CREATE TABLE spans (${structure}) ENGINE = Memory`);
  session.query(`INSERT INTO spans SELECT * FROM file('${binary}', RowBinary, '${structure}')`);
  session.query(`INSERT INTO FUNCTION file('${parquet}', Parquet) SELECT * FROM spans`);
  const timing = timed(() => {
    const lines = session.query(clickHouseSql, 'JSONCompactEachRow').trimEnd().split('\n');
    return lines.map((line) => {
      const row = (JSON.parse(line) as unknown[]).flat();
      return row.map((value, i) => (i < 6 ? Number(value) : ms(value)));
    });
  });
  return timing.finally(() => session.cleanup());
}

function ms(value: unknown): number {
  return Number(value) / 1e6;
}

/** DuckDB rounds the last bit of some quantiles otherwise, see `batch/quantile.ts`. */
function assertClose(found: Result, wanted: Result): void {
  assert.equal(found.length, wanted.length);
  for (const [i, row] of found.entries()) {
    for (const [at, value] of row.entries()) {
      const other = wanted[i]?.[at] ?? Number.NaN;
      assert.ok(Math.abs(value - other) <= Math.abs(other) * 1e-12, `row ${i}: ${value}, ${other}`);
    }
  }
}

/** The whole benchmark. */
export async function kernel(): Promise<void> {
  const next = randomWords();
  const batches = Array.from({ length: rows / batchRows }, (_, i) => makeBatch(next, i));
  const wasm = path.join(import.meta.dirname, '../aggregator-as/build/aggregate.wasm');
  const module = await WebAssembly.compile(readFileSync(wasm));
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-kernel-'));
  try {
    const binary = path.join(directory, 'spans.bin');
    const parquet = path.join(directory, 'spans.parquet');
    writeFileSync(binary, rowBinary(batches));
    const clickHouse = await runClickHouse(binary, parquet);
    const duckDb = await runDuckDb(parquet);
    const shard = new ShardKernel(module, { memoryBytesMax: 1024 * 1024 * 1024 });
    const ours = await timed(kernelRun(shard, batches));
    assert.deepEqual(ours.result, clickHouse.result);
    assertClose(ours.result, duckDb.result);
    print('DuckDB, 1 thread, table in memory', ours.bestMs, duckDb.bestMs);
    print('ClickHouse, 1 thread, table in memory', ours.bestMs, clickHouse.bestMs);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function print(versus: string, oursMs: number, theirsMs: number): void {
  const line = {
    bench: 'kernel',
    case: `${rows} spans, ${groups} groups, 3 % duplicates: columns to merged quantiles`,
    value: Math.round((rows / oursMs) * 1000),
    unit: 'rows per CPU second',
    versus,
    versusValue: Math.round((rows / theirsMs) * 1000),
    ratio: Math.round((theirsMs / oursMs) * 100) / 100,
    machine: `${os.availableParallelism()} × ${os.cpus()[0]?.model ?? 'unknown'}`,
    node: process.version,
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

if (import.meta.main) await kernel();
